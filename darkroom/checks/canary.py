"""A picture sent through the front door: uploaded, made into thumbnails, looked at, removed."""

import io
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from PIL import Image

from darkroom.aws.errors import error_code, is_not_found
from darkroom.aws.objects import delete_versions
from darkroom.aws.outputs import variant_names
from darkroom.aws.queues import DeployedSource
from darkroom.checks.framework import Finding, fails, ok, warning
from darkroom.console.progress import Progress
from worker import keys
from worker.imaging import geometry

SIZE = (2000, 1250)
PAUSE_SECONDS = 0.5


@dataclass
class Canary:
    """One picture's way through a source; `timeout` is in seconds."""

    s3: Any
    source: DeployedSource
    thumbnail_bucket: str
    timeout: float
    progress: Progress

    def sing(self) -> Iterator[Finding]:
        """Tell what became of it; whatever happens, also Ctrl-C, it is removed afterwards."""
        suffixes = [one for one in self.source.suffixes if one in (".jpg", ".jpeg")]
        suffix = (suffixes or list(self.source.suffixes) or [".jpg"])[0]
        key = f"{self.source.prefixes[0]}canary-{uuid.uuid4()}{suffix}"
        try:
            yield self._watched(key)
        finally:
            left = self._removed(key)
        if left:
            yield warning(
                f"the canary {key} is left in part: {left}",
                "grant s3:ListBucketVersions and s3:DeleteObjectVersion, or delete it by hand",
            )

    def _watched(self, key: str) -> Finding:
        version = self.s3.put_object(
            Bucket=self.source.bucket, Key=key, Body=_picture(), ContentType="image/jpeg"
        ).get("VersionId")
        began = time.monotonic()
        settings = self.source.settings
        wanted = {
            keys.output_key(key, name, settings.output_prefix): width
            for name, width in variant_names(settings.variants).items()
        }
        missing = set(wanted)
        rejection = keys.rejection_key(key, settings.output_prefix)
        while missing:
            missing = {one for one in missing if not self._is_there(one, version)}
            seconds = time.monotonic() - began
            if missing and self._is_there(rejection, version):
                record = self.s3.get_object(Bucket=self.thumbnail_bucket, Key=rejection)
                return fails(
                    f"the canary was rejected: {record['Body'].read().decode()}",
                    "docs/runbook.md, rejections",
                )
            if missing and seconds > self.timeout:
                return fails(
                    f"after {seconds:.0f} s {len(missing)} of the canary's {len(wanted)} thumbnails"
                    f" are missing in {self.thumbnail_bucket}",
                    "the worker's log tells what it is about: darkroom logs",
                )
            self.progress.update(
                f"The canary in {self.source.bucket}: {len(wanted) - len(missing)} of {len(wanted)}"
                f" thumbnails after {seconds:.0f} s"
            )
            if missing:
                time.sleep(PAUSE_SECONDS)
        plan = geometry.plan(SIZE, settings.variants)
        frames = zip(settings.variants.widths, plan.frames, strict=True)
        sizes = {width: frame.canvas for width, frame in frames}
        for name, width in wanted.items():
            if problem := self._wrong(name, sizes[width]):
                return fails(f"the canary's thumbnail {name} {problem}", "docs/runbook.md")
        return ok(
            f"a picture in {self.source.bucket} became {len(wanted)} right thumbnails in"
            f" {seconds:.1f} s"
        )

    def _is_there(self, key: str, version: str | None) -> bool:
        try:
            head = self.s3.head_object(Bucket=self.thumbnail_bucket, Key=key)
        except ClientError as error:
            if is_not_found(error):
                return False
            raise
        return version is None or head["Metadata"].get("source-version") in (version, None)

    def _wrong(self, key: str, size: tuple[int, int]) -> str:
        """Return what is wrong with a thumbnail, or nothing."""
        stored = self.s3.get_object(Bucket=self.thumbnail_bucket, Key=key)
        try:
            picture = Image.open(io.BytesIO(stored["Body"].read()))
            picture.load()
        except OSError as error:
            return f"cannot be decoded: {error}"
        if picture.size != size:
            return f"is {picture.width} × {picture.height}, not {size[0]} × {size[1]}"
        if (kind := Image.MIME.get(picture.format or "")) != stored["ContentType"]:
            return f"says it is {stored['ContentType']}, but is {kind}"
        if "SSEKMSKeyId" not in stored:
            return "is not under a customer managed key"
        return ""

    def _removed(self, key: str) -> str:
        """Remove every version of the upload and of what was made of it; return what is left."""
        folder = self.source.settings.output_prefix
        left = []
        for bucket, prefix in (
            (self.source.bucket, key),
            (self.thumbnail_bucket, keys.output_key_prefix(key, folder)),
            (self.thumbnail_bucket, keys.rejection_key(key, folder)),
        ):
            try:
                for _, refused in delete_versions(self.s3, bucket, prefix):
                    left += [f"s3://{bucket}/{one}" for one in refused]
            except ClientError as error:
                left.append(f"s3://{bucket}/{prefix} ({error_code(error)})")
        return ", ".join(left)


def _picture() -> bytes:
    """Return a JPEG of SIZE with something to see in it."""
    gradient = Image.linear_gradient("L").resize(SIZE)
    picture = Image.merge("RGB", (gradient, gradient.rotate(180), gradient.point(lambda v: v // 2)))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()
