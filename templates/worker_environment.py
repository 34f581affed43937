"""The environment variables of a queue's function, which worker/settings.py reads."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from troposphere import AWSHelperFn, Ref, Sub

from templates.encryption import Encryption
from templates.limits import MAX_BUCKET_NAME_CHARACTERS, MAX_ENVIRONMENT_BYTES
from templates.sources import ResolvedSource
from templates.specification import ProcessingQueue, SpecificationError
from templates.specification_variants import Variants

# No ARN and no URL of the stack has more characters.
MAX_REFERENCE_CHARACTERS = 128


def worker_environment(
    *,
    queue: str,
    settings: ProcessingQueue,
    sources: Sequence[ResolvedSource],
    variants: Mapping[str, Variants],
    thumbnail_bucket: Ref,
    encryption: Encryption,
    work_queue_url: AWSHelperFn,
) -> dict[str, Any]:
    """Return the environment variables of the function of `queue`.

    Args:
        queue: Name of the queue in the specification.
        settings: The queue's settings.
        sources: The queue's sources.
        variants: All variants, by name.
        thumbnail_bucket: Name of the thumbnail bucket.
        encryption: The stack's key.
        work_queue_url: URL of the work queue; empty where the VPC has no SQS endpoint.

    Raises:
        SpecificationError: the sources and variants take more bytes than Lambda allows.
    """
    used = dict.fromkeys(name for source in sources for name in source.settings.variants)
    environment = {
        "SOURCES": Sub(
            _compact(
                {f"${{{source.bucket.data['Ref']}}}": source.worker_config() for source in sources}
            )
        ),
        "THUMBNAIL_BUCKET": thumbnail_bucket,
        "ENCRYPTION_KEY_ARN": encryption.arn,
        "WORK_QUEUE_URL": work_queue_url,
        "VISIBILITY_TIMEOUT": str(settings.visibility_seconds),
        "VARIANTS": _compact({name: variants[name].worker_config() for name in used}),
        "MAX_OBJECT_BYTES": str(settings.max_file_size_mb * 10**6),
        "MAX_PIXELS": str(settings.max_megapixels * 10**6),
        "LOG_LEVEL": "INFO",
    }
    size = sum(len(name) + _max_bytes(value) for name, value in environment.items())
    if size > MAX_ENVIRONMENT_BYTES:
        raise SpecificationError(
            f"queues.{queue}: the environment of its function, with {len(sources)} sources and"
            f" their variants, takes up to {size} bytes; Lambda allows {MAX_ENVIRONMENT_BYTES}:"
            " move some sources to another queue, or use fewer prefixes"
        )
    return environment


def _max_bytes(value: object) -> int:
    """Return how many bytes the value of a variable can have at most."""
    if isinstance(value, Sub):
        longest = MAX_BUCKET_NAME_CHARACTERS * "b"
        return len(re.sub(r"\$\{\w+\}", longest, value.data["Fn::Sub"]))
    return len(value.encode()) if isinstance(value, str) else MAX_REFERENCE_CHARACTERS


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
