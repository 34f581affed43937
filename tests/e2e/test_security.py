"""Who is refused: plain HTTP, externals, other keys, and the worker beyond its few rights."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from darkroom.emulator.ministack import SECRET_KEY
from tests.e2e import pictures
from tests.e2e.harness import Pipeline

OTHER_ACCOUNT = {"aws_access_key_id": "111111111111", "aws_secret_access_key": SECRET_KEY}

# How the services say that a right is missing.
REFUSALS = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}

# Runs with the worker's role and tries whatever calls it is told to.
PROBE = """
import botocore.session
from botocore.exceptions import ClientError

def handle(event, context):
    ends = []
    for service, operation, arguments in event:
        client = botocore.session.get_session().create_client(service)
        try:
            getattr(client, operation)(**arguments)
            ends.append("allowed")
        except ClientError as error:
            ends.append(error.response["Error"]["Code"])
    return ends
"""


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    code: str = caught.value.response["Error"]["Code"]
    return code


@pytest.fixture(scope="module")
def upload(running: Pipeline) -> str:
    """A key with an upload that has its thumbnails."""
    key = "uploads/private.jpg"
    running.thumbnails(key, running.upload(key, pictures.jpeg()))
    return key


@pytest.fixture(scope="module")
def administrator(running: Pipeline) -> dict[str, str]:
    """Credentials of a user who may do everything but what a policy refuses.

    The emulator's root passes every policy, so it would show nothing.
    """
    iam = running.emulator.client("iam")
    iam.create_user(UserName="administrator")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_user_policy(
        UserName="administrator",
        PolicyName="everything",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": everything}),
    )
    key = iam.create_access_key(UserName="administrator")["AccessKey"]
    return {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_plain_http_is_refused(
    running: Pipeline, upload: str, administrator: dict[str, str], scheme: str
) -> None:
    """S2: bucket and queue policies refuse it to everybody; over TLS the same calls pass."""
    emulator = running.emulator
    origin = emulator.url if scheme == "https" else emulator.plain_url
    session: Any = botocore.session.get_session()
    s3, sqs = (
        session.create_client(
            service,
            region_name=emulator.region,
            endpoint_url=origin,
            verify=str(emulator.certificate),
            config=Config(proxies={}, s3={"addressing_style": "path"}),
            **administrator,
        )
        for service in ("s3", "sqs")
    )
    queues = [running.stack.outputs[name] for name in ("WorkQueueUrl", "DeadLetterQueueUrl")]
    ends = [
        _end(s3.get_object, Bucket=running.uploads, Key=upload),
        _end(s3.put_object, Bucket=running.uploads, Key="uploads/x", Body=b""),
        _end(s3.list_objects_v2, Bucket=running.thumbnail_bucket),
        *(
            _end(
                sqs.get_queue_attributes,
                QueueUrl=url.replace(emulator.url, origin),
                AttributeNames=["All"],
            )
            for url in queues
        ),
    ]
    assert ends == ["allowed" if scheme == "https" else "AccessDenied"] * 5


def _end(operation: Callable[..., Any], **arguments: object) -> str:
    try:
        operation(**arguments)
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code.rpartition(".")[2].removesuffix("Exception")
    return "allowed"


def test_other_encryption_is_refused(running: Pipeline, administrator: dict[str, str]) -> None:
    """S2, S4: nothing is stored under S3's own keys, whoever puts it.

    The emulator does not know which key a request names, and so refuses the stack's own too: the
    day that it does not, `deployment.runnable` need not leave that statement out. The
    least-privilege test checks the keys.
    """
    s3 = running.emulator.client("s3", credentials=administrator)
    put = {"Bucket": running.uploads, "Key": "uploads/x", "Body": b""}
    key = running.stack.outputs["EncryptionKeyArn"]
    ends = [
        _end(s3.put_object, **put),
        _end(s3.put_object, **put, ServerSideEncryption="aws:kms"),
        _end(s3.put_object, **put, ServerSideEncryption="AES256"),
        _end(s3.put_object, **put, ServerSideEncryption="aws:kms", SSEKMSKeyId=key),
    ]
    assert ends == ["allowed", "AccessDenied", "AccessDenied", "AccessDenied"]


@pytest.mark.parametrize("who", ["anonymous", "another account"])
def test_externals_are_refused(running: Pipeline, upload: str, who: str) -> None:
    """S1, S2: nobody from outside the account reads, writes or lists."""
    if who == "anonymous":
        session: Any = botocore.session.get_session()
        external = session.create_client(
            "s3",
            region_name=running.emulator.region,
            endpoint_url=running.emulator.url,
            verify=str(running.emulator.certificate),
            config=Config(signature_version=UNSIGNED, proxies={}, s3={"addressing_style": "path"}),
        )
    else:
        external = running.emulator.client("s3", credentials=OTHER_ACCOUNT)
    for bucket in (running.uploads, running.thumbnail_bucket):
        for call in (
            lambda bucket=bucket: external.get_object(Bucket=bucket, Key=upload),
            lambda bucket=bucket: external.put_object(Bucket=bucket, Key=upload, Body=b""),
            lambda bucket=bucket: external.list_objects_v2(Bucket=bucket),
        ):
            assert refused(call) == "AccessDenied"


def test_the_bucket_cannot_be_opened(running: Pipeline) -> None:
    """S1: public access is blocked: neither a policy nor an ACL can undo it."""
    everyone = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{running.uploads}/*",
        },
    }
    assert refused(
        lambda: running.s3.put_bucket_policy(Bucket=running.uploads, Policy=json.dumps(everyone))
    )
    assert refused(
        lambda: running.s3.put_object(
            Bucket=running.uploads, Key="uploads/x.jpg", Body=b"", ACL="public-read"
        )
    )


@pytest.fixture(scope="module")
def as_worker(running: Pipeline) -> Iterator[Callable[..., list[str]]]:
    """Calls, as (service, operation, arguments), made by a function with the worker's role."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("probe.py", PROBE)
    client = running.emulator.client("lambda")
    client.create_function(
        FunctionName="probe",
        Runtime="python3.13",
        Handler="probe.handle",
        Role=running.role_arn,
        Code={"ZipFile": archive.getvalue()},
        Timeout=60,
    )

    def call(*calls: tuple[str, str, dict[str, Any]]) -> list[str]:
        answer = client.invoke(FunctionName="probe", Payload=json.dumps(calls))
        ends: list[str] = json.load(answer["Payload"])
        return ends

    yield call
    client.delete_function(FunctionName="probe")


def test_the_worker_may_do_its_work(
    running: Pipeline, upload: str, as_worker: Callable[..., list[str]]
) -> None:
    """S5: the probe below proves something, because what is granted passes it."""
    thumbnails = running.thumbnail_bucket
    version = running.s3.head_object(Bucket=running.uploads, Key=upload)["VersionId"]
    assert as_worker(
        ("s3", "get_object", {"Bucket": running.uploads, "Key": upload, "VersionId": version}),
        ("s3", "head_object", {"Bucket": thumbnails, "Key": f"thumbnails/{upload}/w128"}),
    ) == ["allowed", "allowed"]


def test_the_worker_may_do_nothing_else(
    running: Pipeline, upload: str, as_worker: Callable[..., list[str]]
) -> None:
    """S5, R5: other prefixes, other verbs and other services are refused to its role."""
    uploads, thumbnails = running.uploads, running.thumbnail_bucket
    output = f"thumbnails/{upload}/w128"
    version = running.s3.head_object(Bucket=thumbnails, Key=output)["VersionId"]
    queue = running.stack.outputs["WorkQueueUrl"]
    forbidden: list[tuple[str, str, dict[str, Any]]] = [
        ("s3", "put_object", {"Bucket": uploads, "Key": "uploads/loop.jpg", "Body": "x"}),
        ("s3", "delete_object", {"Bucket": uploads, "Key": upload}),
        ("s3", "put_object", {"Bucket": thumbnails, "Key": "elsewhere/x", "Body": "x"}),
        ("s3", "delete_object", {"Bucket": thumbnails, "Key": "elsewhere/x"}),
        ("s3", "delete_object", {"Bucket": thumbnails, "Key": output, "VersionId": version}),
        ("s3", "get_bucket_policy", {"Bucket": uploads}),
        ("s3", "delete_bucket_policy", {"Bucket": uploads}),
        ("s3", "list_buckets", {}),
        ("sqs", "send_message", {"QueueUrl": queue, "MessageBody": "x"}),
        ("sqs", "purge_queue", {"QueueUrl": queue}),
        ("kms", "disable_key", {"KeyId": running.stack.outputs["EncryptionKeyArn"]}),
        ("iam", "list_roles", {}),
        ("lambda", "list_functions", {}),
        ("sns", "list_topics", {}),
        ("ec2", "describe_vpcs", {}),
        ("cloudformation", "list_stacks", {}),
    ]
    ends = {
        f"{service}:{operation} on {arguments}": end
        for (service, operation, arguments), end in zip(
            forbidden, as_worker(*forbidden), strict=True
        )
    }
    assert not {call: end for call, end in ends.items() if end not in REFUSALS}


def test_the_queue_takes_messages_from_its_bucket_alone(running: Pipeline) -> None:
    """T3: another bucket of the same account cannot announce to it."""
    s3 = running.s3
    s3.create_bucket(
        Bucket="another-bucket",
        CreateBucketConfiguration={"LocationConstraint": running.emulator.region},
    )
    arn = running.sqs.get_queue_attributes(
        QueueUrl=running.stack.outputs["WorkQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    wanted = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    code = refused(
        lambda: s3.put_bucket_notification_configuration(
            Bucket="another-bucket", NotificationConfiguration=wanted
        )
    )
    assert code == "InvalidArgument"  # "Unable to validate the following destination …"
