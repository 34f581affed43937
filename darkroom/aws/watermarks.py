"""The watermarks of a deployed stack, as the worker would read them now."""

from darkroom.aws.stack import Stack
from darkroom.errors import UserError
from worker.results import WatermarkError
from worker.settings import Source
from worker.watermarks import Watermarks


def with_watermarks(stack: Stack, source: Source) -> Source:
    """Return a source's settings with its watermarks read, which records are compared with.

    Raises:
        UserError: A watermark is missing.
    """
    s3, bucket = stack.client("s3"), stack.output("ThumbnailBucketName")
    try:
        return Watermarks(s3, bucket).of_invocation()(source)
    except WatermarkError as error:
        raise UserError(str(error)) from error
