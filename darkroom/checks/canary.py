"""A picture sent through a deployed stack: uploaded, awaited, inspected and deleted."""

import io
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from PIL import Image

from darkroom.aws import notifications
from darkroom.aws.errors import error_code, is_not_found
from darkroom.aws.objects import delete_versions
from darkroom.aws.outputs import is_thumbnail_name, output_count, output_names
from darkroom.aws.queues import DeployedSource
from darkroom.checks.framework import Finding, failed, passed, warned
from darkroom.console.progress import Progress
from darkroom.console.text import plural
from darkroom.errors import UserError
from templates.specification import Source
from worker import keys, storage
from worker.events import SourceObject
from worker.imaging import geometry

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

SIZE = (2000, 1250)
"""Width and height in pixels."""

PICTURE_SUFFIXES: tuple[str, ...] = Source().suffixes

PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Canary:
    """A picture for one source; `timeout` is in seconds."""

    s3: "S3Client"
    sqs: "SQSClient"
    source: DeployedSource
    thumbnail_bucket: str
    stack_name: str
    timeout: float
    progress: Progress

    def run(self) -> Iterator[Finding]:
        """Yield whether its thumbnails are right, and whether a deleted version is recorded.

        The canary is deleted in any case, also on Ctrl-C.
        """
        suffixes = [one for one in self.source.suffixes if one in (".jpg", ".jpeg")]
        suffix = (suffixes or list(self.source.suffixes) or [".jpg"])[0]
        key = f"{self.source.prefixes[0]}canary-{uuid.uuid4()}{suffix}"
        try:
            put = self.s3.put_object(
                Bucket=self.source.bucket, Key=key, Body=_picture(), ContentType="image/jpeg"
            )
            version = put.get("VersionId")
            outcome = self._outcome(key, version)
            yield outcome
            if outcome.verdict == "pass":
                yield from self._deletion(key, version, put["ETag"].strip('"'))
        finally:
            left = self._delete(key)
        if left:
            yield warned(
                f"parts of the canary {key} could not be deleted: {left}",
                "grant s3:ListBucketVersions and s3:DeleteObjectVersion, or delete it by hand",
            )

    def _deletion(self, key: str, version: str | None, etag: str) -> Iterator[Finding]:
        """Delete the canary, and yield whether the worker records that its version is gone.

        S3 documents for a key that a missing object is 404 where the caller may list the bucket,
        and 403 where it may not; for a version it documents neither (pitfall 78).
        """
        if self._delete(key, outputs=False):
            return  # the rest is reported where everything is deleted
        record = keys.rejection_key(key, self.source.settings.output_prefix)
        if self.source.settings.propagate_deletes and not self._is_recorded(record, "deletion"):
            yield failed(
                f"the deletion of the canary {key} was not recorded within {self.timeout:.0f} s;"
                f" its record will stay at {record}",
                f"darkroom logs {key} --stack-name {self.stack_name}",
            )
            return
        if version is None or self._delete(key):
            return
        gone = SourceObject(self.source.bucket, key, version_id=version, etag=etag, size=1)
        try:
            notifications.send(
                self.sqs, self.source.queue.work_queue_url, [notifications.notification(gone)]
            )
        except (ClientError, UserError) as error:
            yield warned(
                f"how the worker reads a deleted version was not checked: {error}",
                "allow sqs:SendMessage on the work queue and kms:GenerateDataKey on its key",
            )
            return
        if self._is_recorded(record, "deleted version"):
            yield passed("a version that is gone is recorded as deleted, without a retry")
        else:
            yield failed(
                f"a version that is gone was not recorded as deleted within {self.timeout:.0f} s:"
                " S3 may answer 403 instead of 404, and the message becomes a dead letter",
                f"darkroom logs {key} --stack-name {self.stack_name}; darkroom dlq purge",
            )

    def _is_recorded(self, record: str, what: str) -> bool:
        """Wait for the record of a deletion; return whether it is there in time."""
        began = time.monotonic()
        while self._reason(record) != "deleted":  # the record of a rejection may be there before
            seconds = time.monotonic() - began
            if seconds > self.timeout:
                return False
            self.progress.update(f"Waiting for the record of the {what}, for {seconds:.0f} s")
            time.sleep(PAUSE_SECONDS)
        return True

    def _reason(self, record: str) -> str | None:
        try:
            stored = self.s3.get_object(Bucket=self.thumbnail_bucket, Key=record)
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        return str(json.loads(stored["Body"].read()).get("reason"))

    def _outcome(self, key: str, version: str | None) -> Finding:
        began = time.monotonic()
        settings = self.source.settings
        expected = {
            keys.output_key(key, name, settings.output_prefix): width
            for name, width in output_names(settings.variants).items()
        }
        missing = set(expected)
        rejection = keys.rejection_key(key, settings.output_prefix)
        while missing:
            missing = {one for one in missing if not self._exists(one, version)}
            seconds = time.monotonic() - began
            if missing and self._exists(rejection, version):
                return self._rejected(rejection, seconds)
            if missing and (found := self._other_outputs(key, version)):
                return passed(
                    f"a file in {self.source.bucket} became {plural(len(found), 'output')}"
                    f" in {seconds:.1f} s: {', '.join(found)}"
                )
            if missing and seconds > self.timeout:
                return failed(
                    f"{len(missing)} of the canary's {plural(len(expected), 'thumbnail')} are"
                    f" missing in {self.thumbnail_bucket} after {seconds:.0f} s",
                    f"darkroom logs {key} --stack-name {self.stack_name}",
                )
            self.progress.update(
                f"Waiting for the canary in {self.source.bucket}: {len(expected) - len(missing)} of"
                f" {plural(len(expected), 'thumbnail')} after {seconds:.0f} s"
            )
            if missing:
                time.sleep(PAUSE_SECONDS)
        plan = geometry.resize_plan(SIZE, settings.variants)
        planned = zip(settings.variants.widths, plan.variants, strict=True)
        sizes = {width: variant.canvas_size for width, variant in planned}
        for name, width in expected.items():
            if problem := self._defect(name, sizes[width]):
                return failed(
                    f"the canary's thumbnail {name} {problem}",
                    f"darkroom logs {key} --stack-name {self.stack_name}",
                )
        return passed(
            f"a picture in {self.source.bucket} became {plural(len(expected), 'correct thumbnail')}"
            f" in {seconds:.1f} s"
        )

    def _rejected(self, rejection: str, seconds: float) -> Finding:
        """Return a failure, unless this is a workload that does not process pictures."""
        record = self.s3.get_object(Bucket=self.thumbnail_bucket, Key=rejection)
        text = record["Body"].read().decode().strip()
        takes_pictures = set(self.source.suffixes) & set(PICTURE_SUFFIXES)
        reason = json.loads(text).get("reason")
        if takes_pictures or reason in storage.REASONS:
            return failed(f"the canary was rejected: {text}", "docs/runbook.md, rejections")
        return passed(
            f"a picture in {self.source.bucket} was rejected as {reason} in {seconds:.1f} s, as"
            " another workload than thumbnails does"
        )

    def _other_outputs(self, key: str, version: str | None) -> list[str]:
        """Return the names of another workload's outputs, once all are there."""
        prefix = keys.output_key_prefix(key, self.source.settings.output_prefix)
        listed = self.s3.list_objects_v2(Bucket=self.thumbnail_bucket, Prefix=prefix, Delimiter="/")
        names = [item["Key"].removeprefix(prefix) for item in listed.get("Contents", ())]
        if not names or all(map(is_thumbnail_name, names)):
            return []
        head = self.s3.head_object(Bucket=self.thumbnail_bucket, Key=prefix + names[0])
        count = output_count(head["Metadata"])
        whole = count is not None and len(names) >= count
        return names if whole and self._exists(prefix + names[0], version) else []

    def _exists(self, key: str, version: str | None) -> bool:
        try:
            head = self.s3.head_object(Bucket=self.thumbnail_bucket, Key=key)
        except ClientError as error:
            if is_not_found(error):
                return False
            raise
        return version is None or head["Metadata"].get("source-version") in (version, None)

    def _defect(self, key: str, size: tuple[int, int]) -> str:
        """Return what is wrong with a thumbnail, as the end of a sentence, or nothing."""
        stored = self.s3.get_object(Bucket=self.thumbnail_bucket, Key=key)
        try:
            picture = Image.open(io.BytesIO(stored["Body"].read()))
            picture.load()
        except OSError as error:
            return f"cannot be decoded: {error}"
        if picture.size != size:
            return f"is {picture.width} × {picture.height}, not {size[0]} × {size[1]}"
        if (kind := Image.MIME.get(picture.format or "")) != stored["ContentType"]:
            return f"has the Content-Type {stored['ContentType']}, but is {kind}"
        if "SSEKMSKeyId" not in stored:
            return "is not encrypted with a customer managed key"
        return ""

    def _delete(self, key: str, *, outputs: bool = True) -> str:
        """Delete every version of the upload, and its outputs; return what is left."""
        folder = self.source.settings.output_prefix
        left = []
        results = (
            (self.thumbnail_bucket, keys.output_key_prefix(key, folder)),
            (self.thumbnail_bucket, keys.rejection_key(key, folder)),
        )
        for bucket, prefix in ((self.source.bucket, key), *(results if outputs else ())):
            try:
                for _, refused in delete_versions(self.s3, bucket, prefix):
                    left += [f"s3://{bucket}/{one}" for one in refused]
            except ClientError as error:
                left.append(f"s3://{bucket}/{prefix} ({error_code(error)})")
        return ", ".join(left)


def _picture() -> bytes:
    """Return a JPEG of SIZE: a gradient."""
    gradient = Image.linear_gradient("L").resize(SIZE)
    picture = Image.merge(
        "RGB", (gradient, gradient.rotate(180), gradient.point(lambda value: value // 2))
    )
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()
