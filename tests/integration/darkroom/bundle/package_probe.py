"""Uses what an unpacked package holds, with nothing else on the path: run by test_package.py."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

root = sys.argv[1]
sys.path.insert(0, root)
sys.dont_write_bytecode = True
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

from botocore.awsrequest import AWSResponse  # noqa: E402 -- from the package, which is on the path only now
from PIL import Image, ImageCms  # noqa: E402 -- from the package, which is on the path only now

import worker.handler  # noqa: E402 -- from the package, which is on the path only now
from worker.session import create_session  # noqa: E402 -- from the package, which is on the path only now

REGIONS = ("eu-central-1", "us-east-1", "cn-north-1", "us-gov-west-1", "il-central-1")

encoded = {}
for picture_format in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"):
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(file, picture_format)
    picture = Image.open(io.BytesIO(file.getvalue()))
    picture.load()
    encoded[picture_format] = [picture.format, *picture.size]

with Image.open(sys.argv[2]) as picture:  # the worker has registered the format
    picture.load()
    heic = [picture.format, *picture.size]

srgb = ImageCms.createProfile("sRGB")
ImageCms.profileToProfile(Image.new("RGB", (4, 3)), srgb, srgb)

session = create_session()
endpoints = {}
sent: list[str] = []


class Body(io.BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


def answer(request: Any, **_: Any) -> Any:
    """Take the place of the network, behind endpoint rules, checksums and signature."""
    assert request.headers["Authorization"].startswith(b"AWS4-HMAC-SHA256 ")
    sent.append(f"{request.method} {request.url}")
    headers: Any = {"ETag": '"0"'}
    return AWSResponse(request.url, 200, headers, Body())


for region in REGIONS:
    clients: dict[str, Any] = {}
    for service in ("s3", "sqs"):
        client = session.create_client(
            service, region, aws_access_key_id="none", aws_secret_access_key="none"
        )
        client.meta.events.register("before-send", answer)
        endpoints[f"{service} {region}"] = client.meta.endpoint_url
        clients[service] = client
    uploaded = {"Bucket": "uploads", "Key": "a b.jpg"}
    thumbnail = {"Bucket": "thumbnails", "Key": "ü/w128"}
    clients["s3"].get_object(**uploaded, VersionId="1")["Body"].read()
    clients["s3"].put_object(**thumbnail, Body=b"x", IfNoneMatch="*", Metadata={"width": "128"})
    clients["s3"].head_object(**thumbnail)
    clients["s3"].list_objects_v2(Bucket="thumbnails", Prefix="ü/")
    clients["s3"].delete_object(**thumbnail, IfMatch="0")
    url = f"https://sqs.{region}.amazonaws.com/111122223333/work"
    clients["sqs"].change_message_visibility(QueueUrl=url, ReceiptHandle="r", VisibilityTimeout=1)
    clients["sqs"].delete_message(QueueUrl=url, ReceiptHandle="r")

files = {
    module.__name__: (module.__file__, module.__spec__ and module.__spec__.cached)
    for module in list(sys.modules.values())
    if getattr(module, "__spec__", None) and getattr(module, "__file__", None)
}
print(
    json.dumps(
        {
            "encoded": encoded,
            "heic": heic,
            "endpoints": endpoints,
            "sent": sent,
            "resizes_with_vectors": worker.imaging.resize.is_vectorised(),
            "handler": callable(worker.handler.handle),
            "elsewhere": [
                name for name, (file, _) in files.items() if "site-packages" in str(file)
            ],
            "uncompiled": [
                name
                for name, (file, compiled) in files.items()
                if str(file).startswith(root) and compiled and not Path(compiled).exists()
            ],
        }
    )
)
