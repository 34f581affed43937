"""What a canary leaves where the caller may upload but not delete."""

from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.queues import DeployedQueue, DeployedSource
from darkroom.checks.canary import Canary
from darkroom.console.progress import Progress
from worker.settings import Source, Variants

KEY = "uploads/canary-1.jpg"


def test_what_may_not_be_deleted_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """D4: S3 refuses single versions in a response that is not an error, and listings with one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    s3: Any = botocore.session.Session().create_client("s3", region_name="eu-west-1")
    variants = Variants(widths=(128,), formats={"jpeg": 85}, max_pixels=1)
    source = Source(name="default", variants=variants, cache_control="no-store")
    queue = DeployedQueue("default", "https://work", "https://dead", "worker")
    uploads = DeployedSource("uploads", source, queue, ("uploads/",), (".jpg",))
    version = {"Key": KEY, "VersionId": "v", "Size": 1}
    with Stubber(s3) as stubber:
        stubber.add_response("list_object_versions", {"IsTruncated": False, "Versions": [version]})
        stubber.add_response(
            "delete_objects",
            {"Errors": [{"Key": KEY, "VersionId": "v", "Code": "AccessDenied", "Message": "no"}]},
        )
        stubber.add_client_error("list_object_versions", "AccessDenied", http_status_code=403)
        stubber.add_response("list_object_versions", {"IsTruncated": False})
        left = Canary(s3, uploads, "thumbnails", "stack", 1.0, Progress())._delete(KEY)
    assert f"s3://uploads/{KEY}: no" in left
    assert f"s3://thumbnails/thumbnails/{KEY}/ (AccessDenied)" in left
