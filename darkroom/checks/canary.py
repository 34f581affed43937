"""A picture sent through a deployed stack: uploaded, awaited, inspected and deleted."""

import io
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from PIL import Image

from darkroom.aws import invocation, notifications
from darkroom.aws.errors import error_code, is_not_found
from darkroom.aws.objects import delete_versions
from darkroom.aws.queues import DeployedSource
from darkroom.aws.records import output_names, read_record
from darkroom.aws.session import Account
from darkroom.checks.framework import Finding, failed, passed, warned
from darkroom.console.progress import Progress
from darkroom.console.text import plural
from darkroom.errors import UserError
from templates.specification_sources import Source
from templates.specification_values import ANY_SUFFIX
from worker import imaging, storage
from worker.events import SourceObject
from worker.imaging import geometry
from worker.records import Record

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

    def new_key(self) -> str:
        """Return a key of its own below the first prefix, with a suffix that is announced."""
        suffixes = [one for one in self.source.suffixes if one in (".jpg", ".jpeg")]
        if not suffixes and ANY_SUFFIX not in self.source.suffixes:
            suffixes = list(self.source.suffixes)
        suffix = (suffixes or [".jpg"])[0]
        return f"{self.source.prefixes[0]}canary-{uuid.uuid4()}{suffix}"

    def run(self, key: str) -> Iterator[Finding]:
        """Yield whether its thumbnails are right, and whether a deleted version is recorded.

        The canary is deleted in any case, also on Ctrl-C.
        """
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

    def invoke(self, account: Account, seconds: float) -> Iterator[Finding]:
        """Yield whether the function makes the thumbnails of a picture that no message names.

        It is invoked with the event of such a message, so that a function can be tried whose queue
        it does not read. Where every suffix is announced, a message follows, for a picture that is
        deleted by then.

        Args:
            account: Whose function it is.
            seconds: The function's timeout.
        """
        # Without a suffix S3 does not announce it.
        key = f"{self.source.prefixes[0]}canary-{uuid.uuid4()}"
        name = self.source.queue.function_name
        try:
            put = self.s3.put_object(
                Bucket=self.source.bucket, Key=key, Body=_picture(), ContentType="image/jpeg"
            )
            version = put.get("VersionId")
            uploaded = SourceObject(
                self.source.bucket, key, version_id=version, etag=put["ETag"].strip('"'), size=1
            )
            self.progress.update(f"Invoking {name}")
            body = notifications.notification(uploaded)
            if problem := invocation.deliver(account, name, body, seconds=seconds):
                yield failed(problem, f"darkroom logs {key} --stack-name {self.stack_name}")
            else:
                yield self._outcome(key, version)
        finally:
            self._delete(key)

    def _deletion(self, key: str, version: str | None, etag: str) -> Iterator[Finding]:
        """Delete the canary, and yield whether the worker records that its version is gone.

        S3 documents for a key that a missing object is 404 where the caller may list the bucket,
        and 403 where it may not; for a version it documents neither (pitfall 78).
        """
        if self._delete(key, outputs=False):
            return  # the rest is reported where everything is deleted
        if self.source.settings.propagate_deletes and not self._is_recorded(key, "deletion"):
            record = self.source.settings.record_key(key)
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
        if self._is_recorded(key, "deleted version"):
            yield passed("a version that is gone is recorded as deleted, without a retry")
        else:
            yield failed(
                f"a version that is gone was not recorded as deleted within {self.timeout:.0f} s:"
                " S3 may answer 403 instead of 404, and the message becomes a dead letter",
                f"darkroom logs {key} --stack-name {self.stack_name}; darkroom dlq purge",
            )

    def _is_recorded(self, key: str, what: str) -> bool:
        """Wait for the record of a deletion; return whether it is there in time."""
        began = time.monotonic()
        while not _says_deleted(self._record(key)):  # another record may be there before
            seconds = time.monotonic() - began
            if seconds > self.timeout:
                return False
            self.progress.update(f"Waiting for the record of the {what}, for {seconds:.0f} s")
            time.sleep(PAUSE_SECONDS)
        return True

    def _record(self, key: str) -> Record | None:
        return read_record(self.s3, self.thumbnail_bucket, key, self.source.settings)

    def _outcome(self, key: str, version: str | None) -> Finding:
        began = time.monotonic()
        logs = f"darkroom logs {key} --stack-name {self.stack_name}"
        while True:
            record = self._record(key)
            seconds = time.monotonic() - began
            if record and record.source.version_id in (version, None):
                break
            if seconds > self.timeout:
                return failed(
                    f"the canary has no record in {self.thumbnail_bucket} after {seconds:.0f} s",
                    logs,
                )
            self.progress.update(
                f"Waiting for the canary in {self.source.bucket}, for {seconds:.0f} s"
            )
            time.sleep(PAUSE_SECONDS)
        if record.state != "done":
            return self._rejected(record, seconds)
        expected = self._expected_sizes()
        found = {output["name"]: output["key"] for output in record.content["outputs"]}
        if not found.keys() & expected.keys():
            return passed(
                f"a file in {self.source.bucket} became {plural(len(found), 'output')}"
                f" in {seconds:.1f} s: {', '.join(found)}"
            )
        if missing := expected.keys() - found.keys():
            return failed(
                f"the canary's record does not name {plural(len(missing), 'thumbnail')}:"
                f" {', '.join(sorted(missing))}",
                logs,
            )
        for name, size in expected.items():
            if problem := self._defect(found[name], size):
                return failed(f"the canary's thumbnail {found[name]} {problem}", logs)
        return passed(
            f"a picture in {self.source.bucket} became {plural(len(expected), 'correct thumbnail')}"
            f" in {seconds:.1f} s"
        )

    def _rejected(self, record: Record, seconds: float) -> Finding:
        """Return a failure, unless this is a workload that does not process pictures."""
        rejection = record.content["rejection"]
        takes_pictures = set(self.source.suffixes) & set(PICTURE_SUFFIXES)
        reason = rejection["reason"]
        if takes_pictures or reason in (*storage.REASONS, *imaging.REASONS):
            return failed(
                f"the canary was rejected as {reason}: {rejection['detail']}",
                "docs/runbook.md, rejections",
            )
        return passed(
            f"a picture in {self.source.bucket} was rejected as {reason} in {seconds:.1f} s, as"
            " another workload than thumbnails does"
        )

    def _expected_sizes(self) -> dict[str, tuple[int, int]]:
        """Return the size in pixels of each thumbnail of the canary, by name."""
        found = {}
        for variants in self.source.settings.variants:
            planned = geometry.resize_plan(SIZE, variants).variants
            of_width = dict(zip(variants.widths, planned, strict=True))
            for name, width in output_names(variants).items():
                found[name] = of_width[width].canvas_size
        return found

    def _defect(self, key: str, size: tuple[int, int]) -> str:
        """Return what is wrong with a thumbnail, as the end of a sentence, or nothing."""
        try:
            stored = self.s3.get_object(Bucket=self.thumbnail_bucket, Key=key)
        except ClientError as error:
            if not is_not_found(error):
                raise
            return "is missing"
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
        settings, left = self.source.settings, []
        results = (
            (self.thumbnail_bucket, settings.output_key_prefix(key)),
            (self.thumbnail_bucket, settings.rejection_key(key)),
        )
        for bucket, prefix in ((self.source.bucket, key), *(results if outputs else ())):
            try:
                for _, refused in delete_versions(self.s3, bucket, prefix):
                    left += [f"s3://{bucket}/{one}" for one in refused]
            except ClientError as error:
                left.append(f"s3://{bucket}/{prefix} ({error_code(error)})")
        return ", ".join(left)


def _says_deleted(record: Record | None) -> bool:
    rejection = record.content.get("rejection", {}) if record else {}
    return bool(rejection.get("reason") == "deleted")


def _picture() -> bytes:
    """Return a JPEG of SIZE: a gradient."""
    gradient = Image.linear_gradient("L").resize(SIZE)
    picture = Image.merge(
        "RGB", (gradient, gradient.rotate(180), gradient.point(lambda value: value // 2))
    )
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()
