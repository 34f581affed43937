"""Check of the watermarks that variants name: without them nothing is published."""

import json
from collections.abc import Iterator

from botocore.exceptions import ClientError

from darkroom.aws.errors import is_not_found
from darkroom.checks.framework import Finding, failed, passed, warned
from darkroom.checks.stack_inputs import StackInputs
from worker.limits import MOST_WATERMARK_BYTES


def check_watermarks(inputs: StackInputs) -> Iterator[Finding]:
    """Each watermark is in the thumbnail bucket, and small enough.

    Whether it can be decoded, a canary shows.
    """
    bucket = inputs.resources.get("ThumbnailBucket")
    for key in _keys(inputs):
        if bucket is None:
            yield warned(
                f"{key} is in no bucket yet: the first pictures of a new stack wait for it",
                f"after the deployment: aws s3 cp FILE s3://BUCKET/{key}, with the bucket in the"
                " output ThumbnailBucketName",
            )
            continue
        place = f"s3://{bucket}/{key}"
        try:
            found = inputs.account.client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if not is_not_found(error):
                raise
            yield failed(
                f"there is no watermark {place}: without it no thumbnail is published",
                f"aws s3 cp FILE {place}",
            )
            continue
        size = found["ContentLength"]
        if size > MOST_WATERMARK_BYTES:
            yield failed(
                f"the watermark {place} has {size:,} bytes; the worker reads at most"
                f" {MOST_WATERMARK_BYTES:,}",
                f"a smaller file: aws s3 cp FILE {place}",
            )
        else:
            yield passed(f"the watermark {place} is there, {size:,} bytes")


def _keys(inputs: StackInputs) -> list[str]:
    """Return the keys that the functions of a template are given, each once."""
    found = set()
    for function in inputs.template.resources_of_type("Lambda::Function").values():
        variables = function.get("Environment", {}).get("Variables", {})
        for variants in json.loads(variables.get("VARIANTS", "{}")).values():
            if mark := variants.get("watermark"):
                found.add(mark["key"])
    return sorted(found)
