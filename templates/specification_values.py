"""Types of the specification: tables, and their names, prefixes, ratios, colors and actions."""

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict

DEFAULT = "default"
"""The name of the source, queue or variants whose resources have plain names."""

ANY_SUFFIX = "*"
"""What the specification and the output `UploadSuffixes` have for keys of any suffix, or none."""

TABLE_CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)
"""How pydantic reads each table of the specification."""

# A source's name is part of its bucket's name, whose 63 characters templates/naming.py divides.
MAX_NAME_CHARACTERS = 10

# Names of the stack's own buckets and log groups, and names that would make one of its logical ids,
# such as `WorkerLogSubscription`.
RESERVED_NAMES = (
    "access",
    "flow-log",
    "logs",
    "thumbnails",
    "uploads",
    "worker",
    "worker-log",
)


# The folder of the thumbnail bucket for what operators put there: the worker writes elsewhere.
WATERMARKS = "watermarks"

STACK_TAGS = ("Application", "Environment")
"""Tags that the stack sets itself."""

# A resource takes 50, of which CloudFormation and the stack set some.
# https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html
MAX_TAGS = 40
_TAG = r"A-Za-z0-9 .:/=+@_-"

# The characters that S3 calls safe, except the asterisk. S3's filters encode the others,
# EventBridge's patterns do not, and some are wildcards in IAM's resources.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_SAFE = re.compile(r"[A-Za-z0-9!_.'()/-]*")


def _valid_source_prefix(prefix: str) -> str:
    return prefix and _valid_prefix(prefix)


def _valid_prefix(prefix: str) -> str:
    if prefix.startswith("/") or not prefix.endswith("/"):
        raise ValueError("must end with '/' and not start with one, like 'uploads/'")
    if not _SAFE.fullmatch(prefix):
        raise ValueError("must contain only ASCII letters, digits and !_.'()/-, like 'uploads/'")
    return prefix


def _valid_metadata_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,63}", name):
        raise ValueError("must have a-z, 0-9 and _.- only, like 'author' for x-amz-meta-author")
    return name


def _valid_watermark_key(key: str) -> str:
    folder, *parts = key.split("/")
    if folder != WATERMARKS or not all(parts) or not parts:
        raise ValueError(
            f"must be the key of an object below {WATERMARKS}/ in the thumbnail bucket,"
            f" like '{WATERMARKS}/logo.png'"
        )
    if not _SAFE.fullmatch(key) or any(not part.strip(".") for part in parts):
        raise ValueError(
            "must contain only ASCII letters, digits and !_.'()/-, and no part of dots alone, like"
            f" '{WATERMARKS}/logo.png'"
        )
    return key


def _valid_suffix(suffix: str) -> str:
    if suffix == ANY_SUFFIX:
        return suffix
    if not re.fullmatch(r"\.[A-Za-z0-9!_.'()-]+", suffix):
        raise ValueError("must be an extension that starts with '.', like '.jpg', or '*' for any")
    if suffix != suffix.lower():
        raise ValueError(
            f"must be lower-case, like '{suffix.lower()}'; upper case is added automatically"
        )
    return suffix


def _valid_ratio(ratio: str) -> str:
    if not re.fullmatch("[1-9][0-9]{0,2}:[1-9][0-9]{0,2}", ratio):
        raise ValueError("must be width:height, in whole numbers up to 999, like '4:3'")
    return ratio


def _valid_color(color: str) -> str:
    if not re.fullmatch("#[0-9a-f]{6}", color):
        raise ValueError("must be a lower-case hexadecimal color, like '#ffffff'")
    return color


def _valid_name(name: str) -> str:
    # In a logical id a hyphen before a digit is lost: `a-1` and `a1` would be the same.
    if (
        not re.fullmatch("[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*", name)
        or len(name) > MAX_NAME_CHARACTERS
    ):
        raise ValueError(
            "must be lower-case letters, digits and hyphens, each word starting with a letter,"
            f" at most {MAX_NAME_CHARACTERS} characters in all, like 'scans'"
        )
    if name in RESERVED_NAMES:
        raise ValueError(f"is reserved for the stack itself, as are {', '.join(RESERVED_NAMES)}")
    return name


def _valid_action(action: str) -> str:
    if not re.fullmatch("[a-z0-9-]+:[A-Z][A-Za-z0-9]*", action):
        raise ValueError("must be one action, without '*', like 'kms:Decrypt'")
    return action


def _valid_tag_key(key: str) -> str:
    if not re.fullmatch(f"[{_TAG}]{{1,128}}", key) or key.lower().startswith("aws:"):
        raise ValueError(
            "must be 1 to 128 ASCII letters, digits, spaces and .:/=+@_-, without the prefix aws:"
        )
    # IAM ignores the case of keys.
    if key.lower() in map(str.lower, STACK_TAGS):
        raise ValueError(f"is set by the stack itself, as are {', '.join(STACK_TAGS)}")
    return key


def _valid_tag_value(value: str) -> str:
    if not re.fullmatch(f"[{_TAG}]{{0,256}}", value):
        raise ValueError("must be at most 256 ASCII letters, digits, spaces and .:/=+@_-")
    return value


TagKey = Annotated[str, AfterValidator(_valid_tag_key)]
TagValue = Annotated[str, AfterValidator(_valid_tag_value)]
Name = Annotated[str, AfterValidator(_valid_name)]
Prefix = Annotated[str, AfterValidator(_valid_prefix)]
SourcePrefix = Annotated[str, AfterValidator(_valid_source_prefix)]
"""A prefix, or an empty one for the whole bucket."""
MetadataName = Annotated[str, AfterValidator(_valid_metadata_name)]
Suffix = Annotated[str, AfterValidator(_valid_suffix)]
"""An extension, or ANY_SUFFIX."""
WatermarkKey = Annotated[str, AfterValidator(_valid_watermark_key)]
AspectRatio = Annotated[str, AfterValidator(_valid_ratio)]
Color = Annotated[str, AfterValidator(_valid_color)]
Action = Annotated[str, AfterValidator(_valid_action)]
