"""The specification's table of a source: where pictures come from and what is made of them."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from templates.limits import (
    MAX_BUCKET_NAME_CHARACTERS,
    MAX_BUCKET_NOTIFICATIONS,
    MAX_EVENT_PATTERN_CHARACTERS,
)
from templates.specification_values import (
    ANY_SUFFIX,
    DEFAULT,
    TABLE_CONFIG,
    MetadataName,
    Prefix,
    SourcePrefix,
    Suffix,
)

MAX_ARCHIVE_DAYS = 36_500
"""A hundred years. For both storage classes S3 takes 0 and any positive number.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Transition.html
"""

HASH_PATTERN = "??/"
"""What `hash_prefix` puts before a key, as a policy's resource has it: each `?` is a character."""


class _Table(BaseModel):
    model_config = TABLE_CONFIG


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Source(_Table):
    """A bucket that pictures come from.

    A file is processed if its key starts with one of `prefixes` and ends with one of `suffixes`.
    """

    type: Literal["s3", "eventbridge", "sns"] = "s3"
    """`s3`: a bucket that the stack creates. `eventbridge`: an existing bucket that sends events to
    EventBridge. `sns`: an existing bucket, also of another account, that notifies an SNS topic.
    The names and ARNs of existing resources are parameters."""

    prefixes: Annotated[tuple[SourcePrefix, ...], Field(min_length=1)] = ("uploads/",)
    """Key prefixes, each ending with `/`; an empty one selects the whole bucket."""

    suffixes: Annotated[tuple[Suffix, ...], Field(min_length=1)] = (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".heic",
        ".heif",
        ".hif",
        ".png",
        ".webp",
        ".gif",
        ".avif",
        ".tif",
        ".tiff",
        ".bmp",
    )
    """Key suffixes in lower case, which match upper case too, but no mixture; or `["*"]` for any
    key. Keys with another suffix are announced to nobody. The worker detects the format from the
    content."""

    propagate_deletes: bool = False
    """Delete the thumbnails when their upload is deleted."""

    keep_metadata: tuple[Literal["taken", "copyright"], ...] = ()
    """What the record keeps of a file's own metadata, from EXIF: when the picture was `taken`, and
    its `copyright`."""

    copy_metadata: Annotated[tuple[MetadataName, ...], Field(max_length=8)] = ()
    """Names of the upload's user-defined metadata, `x-amz-meta-NAME`, that the record repeats, in
    lower case."""

    queue: str = DEFAULT
    """Name of the queue that receives the events, and so of the function that processes them."""

    variants: Annotated[
        tuple[str, ...],
        BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...]),
        Field(min_length=1, max_length=8),
    ] = (DEFAULT,)
    """Name of the variants to make of each picture, or a list of names: all are made of a picture
    that is decoded once."""

    choose_variants: bool = False
    """Let an upload's metadata choose among several variants: `x-amz-meta-variants: square`, or
    names with commas. All are made of an upload that names none of them."""

    output_prefix: Prefix | None = None
    """Prefix of the outputs below `thumbnails/` and `rejected/`, ending with `/`. Without it, the
    source's name is the prefix; the source `default` has none."""

    hash_prefix: bool = False
    """Put two hexadecimal digits of the SHA-256 of the upload's key, and `/`, before it below
    `thumbnails/`, for more than 3,500 writes per second: S3 can split these 256 prefixes. A change
    leaves the existing outputs where they are, as a change of `output_prefix` does."""

    published: bool = True
    """Let the distribution of `[cdn]` deliver the source's thumbnails. With `false` they stay in
    their bucket; without `[cdn]` none is delivered."""

    raw_message_delivery: bool = False
    """With `sns`: the topic delivers messages without the SNS envelope."""

    archive_after_days: Annotated[int, Field(ge=0, le=MAX_ARCHIVE_DAYS)] | None = None
    """With `s3`: days after which S3 moves uploads of 128 KB and more to `archive_storage_class`;
    without it, never."""

    archive_storage_class: Literal["GLACIER_IR", "INTELLIGENT_TIERING"] = "GLACIER_IR"
    """S3 Glacier Instant Retrieval or S3 Intelligent-Tiering; both can be read at once. Needs
    `archive_after_days`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if ANY_SUFFIX in self.suffixes and len(self.suffixes) > 1:
            raise ValueError(f'suffixes has "{ANY_SUFFIX}" and others, which it overlaps; keep one')
        for kind, values, contains in (
            ("prefixes", self.prefixes, str.startswith),
            ("suffixes", self.suffixes, str.endswith),
        ):
            for index, value in enumerate(values):
                for other in values[:index] + values[index + 1 :]:
                    # S3 refuses overlapping filters when the stack is deployed (pitfall 12).
                    if contains(value, other):
                        raise ValueError(f"{kind} {other!r} and {value!r} overlap; keep one")
        for index, name in enumerate(self.variants):
            if name in self.variants[:index]:
                raise ValueError(f"variants has {name!r} twice; keep one")
        if self.choose_variants and len(self.variants) == 1:
            raise ValueError('choose_variants needs several variants, like ["default", "square"]')
        if self.raw_message_delivery and self.type != "sns":
            raise ValueError(f'raw_message_delivery needs type = "sns", not "{self.type}"')
        if self.archive_after_days is not None and self.type != "s3":
            raise ValueError(
                f'archive_after_days needs type = "s3", not "{self.type}": the lifecycle of an'
                " existing bucket is its owner's"
            )
        if "archive_storage_class" in self.model_fields_set and self.archive_after_days is None:
            raise ValueError("archive_storage_class needs archive_after_days, like 30")
        count = len(self.notifications())
        if self.type == "s3" and count > MAX_BUCKET_NOTIFICATIONS:
            raise ValueError(
                f"{len(self.prefixes)} prefixes with {len(self.suffixes)} suffixes, in lower and"
                f" upper case and for {len(self.events())} types of event, need {count}"
                f" notifications; S3 allows {MAX_BUCKET_NOTIFICATIONS}. Name fewer suffixes, or"
                f' suffixes = ["{ANY_SUFFIX}"]'
            )
        length = len(json.dumps(self.event_pattern(MAX_BUCKET_NAME_CHARACTERS * "b")))
        if self.type == "eventbridge" and length > MAX_EVENT_PATTERN_CHARACTERS:
            raise ValueError(
                f"{len(self.prefixes)} prefixes need an event pattern of {length} characters;"
                f" EventBridge allows {MAX_EVENT_PATTERN_CHARACTERS}"
            )
        return self

    @property
    def takes_whole_bucket(self) -> bool:
        """Whether the source has no prefix."""
        return "" in self.prefixes

    def events(self) -> tuple[str, ...]:
        """Return the types of S3 event that are notified."""
        created = ("s3:ObjectCreated:*",)
        removed = ("s3:ObjectRemoved:*", "s3:LifecycleExpiration:*")
        return created + removed if self.propagate_deletes else created

    def notifications(self) -> tuple[tuple[str, str, str], ...]:
        """Return the event, prefix and suffix of each notification configuration."""
        return tuple(
            (event, prefix, suffix) for event in self.events() for prefix, suffix in self.filters()
        )

    def event_pattern(self, bucket: object) -> dict[str, Any]:
        """Return EventBridge's event pattern for the source's events in `bucket`.

        It filters by prefix only; the worker filters by suffix. Both together would be a wildcard
        for each pair in both cases, and EventBridge refuses a rule whose wildcards are too complex,
        without documenting the limit.
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-wildcard-matching-complexity
        """
        keys = [{"prefix": prefix} for prefix in self.prefixes]
        kinds = ["Object Created", *(["Object Deleted"] if self.propagate_deletes else [])]
        return {
            "source": ["aws.s3"],
            "detail-type": kinds,
            "detail": {
                "bucket": {"name": [bucket]},
                **({} if self.takes_whole_bucket else {"object": {"key": keys}}),
            },
        }

    def filters(self) -> tuple[tuple[str, str], ...]:
        """Return each prefix with each suffix in lower and upper case (pitfall 11).

        An empty text matches any key.
        """
        return tuple(
            (prefix, cased)
            for prefix in self.prefixes
            for suffix in self.filtered_suffixes() or ("",)
            # `.001` is the same in both cases, and S3 refuses a filter twice (pitfall 12).
            for cased in dict.fromkeys((suffix, suffix.upper()))
        )

    def filtered_suffixes(self) -> tuple[str, ...]:
        """Return the suffixes in lower case; none where any key matches."""
        return () if ANY_SUFFIX in self.suffixes else self.suffixes
