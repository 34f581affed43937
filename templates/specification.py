"""The specification: what the stack is made of, read from a TOML file and validated."""

import json
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from templates.limits import (
    MAX_BUCKET_NAME_CHARACTERS,
    MAX_BUCKET_NOTIFICATIONS,
    MAX_EVENT_PATTERN_CHARACTERS,
)
from templates.specification_file import SpecificationError as SpecificationError
from templates.specification_file import read_tables, with_tuples
from templates.specification_messages import messages
from templates.specification_options import Cdn, Events, Logs
from templates.specification_values import (
    MAX_TAGS,
    TABLE_CONFIG,
    Action,
    AspectRatio,
    Color,
    Name,
    Prefix,
    SourcePrefix,
    Suffix,
    TagKey,
    TagValue,
)

MAX_PIXELS_PER_SIDE = 8192
"""Limit of a variant's height."""

DEFAULT = "default"
"""The name of the source, queue or variants whose resources have plain names."""

# How long a message is kept: shorter than in the dead-letter queue, in templates/queues.py
# (pitfall 19).
WORK_RETENTION_SECONDS = 4 * 24 * 3600

MIN_VISIBILITY_SECONDS = 300
"""Seven of these, between eight receives, are more than half an hour."""


class _Table(BaseModel):
    model_config = TABLE_CONFIG


class Network(_Table):
    """The VPC in which the function runs."""

    vpc: Literal["create", "existing"] = "create"
    """Create a VPC, or use an existing one, whose ids are parameters."""

    availability_zones: Annotated[int, Field(ge=2, le=4)] = 2
    """Number of Availability Zones of a created VPC; each has one private subnet."""

    endpoints: Literal["create", "existing"] = "create"
    """Create the endpoints for S3 and SQS, or use an existing VPC's with its owner's policies."""

    dns_firewall: bool = True
    """In a created VPC only the names of S3, SQS and the other interface endpoints resolve."""

    interface_endpoints: dict[
        Annotated[str, Field(pattern="^[a-z][a-z0-9.-]*$")],
        Annotated[tuple[Action, ...], Field(min_length=1)],
    ] = {}
    """Interface endpoints of a created VPC for other workloads: a service, like `kms`, and the
    actions that its endpoint policy allows within this account. The worker cannot reach them."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.vpc == "create" and self.endpoints == "existing":
            raise ValueError('endpoints = "existing" needs vpc = "existing"')
        if self.vpc == "existing" and self.interface_endpoints:
            raise ValueError('interface_endpoints need vpc = "create"')
        if taken := {"s3", "sqs"} & self.interface_endpoints.keys():
            raise ValueError(
                f"interface_endpoints: the worker already has an endpoint for {min(taken)}"
            )
        return self


class Source(_Table):
    """A bucket that pictures come from.

    A picture is processed if its key starts with one of `prefixes` and ends with one of `suffixes`.
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
        ".png",
        ".webp",
        ".gif",
        ".avif",
        ".tif",
        ".tiff",
        ".bmp",
    )
    """Key suffixes in lower case, which match upper case too; an empty one matches any key. The
    worker detects the format from the content."""

    propagate_deletes: bool = False
    """Delete the thumbnails when their upload is deleted."""

    queue: str = DEFAULT
    """Name of the queue that receives the events, and so of the function that processes them."""

    variants: str = DEFAULT
    """Name of the variants to make of each picture."""

    output_prefix: Prefix | None = None
    """Prefix of the outputs below `thumbnails/` and `rejected/`, ending with `/`. Without it, the
    source's name is the prefix; the source `default` has none."""

    published: bool = True
    """Let the distribution of `[cdn]` deliver the source's thumbnails. With `false` they stay in
    their bucket; without `[cdn]` none is delivered."""

    raw_message_delivery: bool = False
    """With `sns`: the topic delivers messages without the SNS envelope."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, values, contains in (
            ("prefixes", self.prefixes, str.startswith),
            ("suffixes", self.suffixes, str.endswith),
        ):
            for index, value in enumerate(values):
                for other in values[:index] + values[index + 1 :]:
                    # S3 refuses overlapping filters when the stack is deployed (pitfall 12).
                    if contains(value, other):
                        raise ValueError(f"{kind} {other!r} and {value!r} overlap; keep one")
        if self.raw_message_delivery and self.type != "sns":
            raise ValueError(f'raw_message_delivery needs type = "sns", not "{self.type}"')
        count = len(self.notifications())
        if self.type == "s3" and count > MAX_BUCKET_NOTIFICATIONS:
            raise ValueError(
                f"{len(self.prefixes)} prefixes with {len(self.suffixes)} suffixes, in lower and"
                f" upper case and for {len(self.events())} types of event, need {count}"
                f" notifications; S3 allows {MAX_BUCKET_NOTIFICATIONS}"
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
        """Return each prefix with each suffix in lower and upper case (pitfall 11)."""
        return tuple(
            (prefix, cased)
            for prefix in self.prefixes
            for suffix in self.suffixes
            # `.001` is the same in both cases, and S3 refuses a filter twice (pitfall 12).
            for cased in dict.fromkeys((suffix, suffix.upper()))
        )


class Variants(_Table):
    """The thumbnails of a picture: one for each width and format."""

    widths: Annotated[
        tuple[Annotated[int, Field(ge=16, le=8192)], ...], Field(min_length=1, max_length=8)
    ] = (1200, 400, 128)
    """At most eight widths in pixels; a narrower picture is not enlarged."""

    formats: Annotated[
        dict[Literal["jpeg", "webp", "avif"], Annotated[int, Field(ge=1, le=100)]],
        Field(min_length=1),
    ] = {"jpeg": 85, "webp": 80}
    """Quality of each format. With `jpeg`, a picture with transparency becomes a PNG."""

    cache_control: Annotated[str, Field(min_length=1, max_length=200)] = (
        "public, max-age=31536000, immutable"
    )
    """The outputs' `Cache-Control`, for browsers and CDNs."""

    fit: Literal["inside", "cover", "contain"] = "inside"
    """`inside`: the whole picture in its own ratio. `cover`: cut to `aspect_ratio`. `contain`: the
    whole picture, centered in a frame of `aspect_ratio`."""

    aspect_ratio: AspectRatio | None = None
    """Width to height, like `4:3`; required with `cover` and `contain`."""

    position: Literal["center", "top", "bottom", "left", "right"] = "center"
    """Part of the picture that `cover` keeps."""

    background: Color | None = None
    """Color, like `#ffffff`, behind transparent parts and around a `contain` picture; without it
    they are transparent."""

    sharpen: Annotated[int, Field(ge=0, le=200)] = 0
    """Strength of the unsharp mask of each thumbnail, in percent; 0 for none."""

    def worker_config(self) -> dict[str, object]:
        """Return the worker's settings of the variants; a default value is left out."""
        config: dict[str, object] = {
            "widths": self.widths,
            "formats": self.formats,
            "cache_control": self.cache_control,
        }
        if self.fit != "inside":
            config["fit"] = self.fit
        if self.aspect_ratio:
            config["aspect_ratio"] = [int(side) for side in self.aspect_ratio.split(":")]
        if self.position != "center":
            config["position"] = self.position
        if self.background:
            config["background"] = list(bytes.fromhex(self.background[1:]))
        if self.sharpen:
            config["sharpen"] = self.sharpen
        return config

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.aspect_ratio is None) is not (self.fit == "inside"):
            raise ValueError(
                f'fit = "{self.fit}" '
                + (
                    'takes no aspect_ratio; use "cover" or "contain"'
                    if self.aspect_ratio
                    else 'needs an aspect_ratio, like "4:3"'
                )
            )
        if self.position != "center" and self.fit != "cover":
            raise ValueError(f'position needs fit = "cover", not "{self.fit}"')
        if self.aspect_ratio:
            across, down = (int(side) for side in self.aspect_ratio.split(":"))
            tallest = max(self.widths) * down / across
            if tallest > MAX_PIXELS_PER_SIDE:
                raise ValueError(
                    f"a width of {max(self.widths)} with aspect_ratio {self.aspect_ratio} is"
                    f" {tallest:.0f} pixels high; at most {MAX_PIXELS_PER_SIDE} are allowed"
                )
        return self

    @field_validator("widths")
    @classmethod
    def _each_once(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(widths)) != len(widths):
            raise ValueError("has a width twice; keep one of each")
        return widths


class ProcessingQueue(_Table):
    """A work queue with a dead-letter queue and a function of its own.

    Queues do not wait for each other: each has its own concurrency, which is a parameter.
    """

    timeout_seconds: Annotated[int, Field(ge=10, le=900)] = 60
    """Function timeout, for one batch. The queue's visibility timeout is six times this, plus the
    batching window, and at least 300 s."""

    batch_size: Annotated[int, Field(ge=1, le=100)] = 5
    """Maximum messages in a batch; more than 10 need a batching window of at least 1 s."""

    maximum_batching_window_seconds: Annotated[int, Field(ge=0, le=300)] = 0
    """Time that Lambda waits for a full batch."""

    max_receive_count: Annotated[int, Field(ge=2, le=100)] = 8
    """Times that a message is received before SQS moves it to the dead-letter queue. With 8, all
    receives together outlast an outage of 30 minutes; with fewer they may not."""

    max_file_size_mb: Annotated[int, Field(ge=1, le=1024)] = 50
    """Limit of a file in MB (10^6 bytes); larger files are rejected before the download."""

    max_megapixels: Annotated[int, Field(ge=1, le=1000)] = 100
    """Limit of a picture in megapixels; larger pictures are rejected before they are decoded."""

    provisioned_mode: bool = False
    """Use provisioned event pollers, billed by the hour, instead of `MaximumConcurrency`."""

    @property
    def visibility_seconds(self) -> int:
        """Six timeouts and the batching window, as AWS advises (R4, pitfall 41), or five minutes.

        Without an endpoint for SQS, and after an invocation that failed as a whole, messages wait
        for this. Eight receives must then outlast an outage of 30 minutes (R2).

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        """
        needed = 6 * self.timeout_seconds + self.maximum_batching_window_seconds
        return max(needed, MIN_VISIBILITY_SECONDS)

    @model_validator(mode="after")
    def _related(self) -> Self:
        if self.batch_size > 10 and self.maximum_batching_window_seconds < 1:
            # Otherwise Lambda refuses the event source mapping (pitfall 49).
            raise ValueError("batch_size above 10 needs a maximum_batching_window_seconds above 0")
        most = (WORK_RETENTION_SECONDS - 1) // self.visibility_seconds
        if self.max_receive_count > most:
            # A failing message would expire before its last receive, and be lost (R2).
            raise ValueError(
                f"{self.max_receive_count} receives of {self.visibility_seconds} s each (six"
                " timeouts and the batching window) take longer than messages are kept; set"
                f" max_receive_count to at most {most}, or a shorter timeout_seconds"
            )
        return self


class Specification(_Table):
    """The structure of the stack; what differs by environment is a CloudFormation parameter."""

    network: Network = Network()
    sources: Annotated[dict[Name, Source], Field(min_length=1)] = {DEFAULT: Source()}
    queues: Annotated[dict[Name, ProcessingQueue], Field(min_length=1)] = {
        DEFAULT: ProcessingQueue()
    }
    variants: Annotated[dict[Name, Variants], Field(min_length=1)] = {DEFAULT: Variants()}
    dashboard: bool = True
    """Add a CloudWatch dashboard: 3 US dollars a month; an account's first three are free."""

    logs: Logs = Logs()
    events: Events = Events()

    tags: Annotated[dict[TagKey, TagValue], Field(max_length=MAX_TAGS)] = {}
    """At most 40 tags of every resource, in addition to `Application` and `Environment`."""

    cdn: Cdn | None = None
    """The distribution of the thumbnails; without it, none."""

    @field_validator("tags")
    @classmethod
    def _each_key_once(cls, tags: dict[str, str]) -> dict[str, str]:
        if len({key.lower() for key in tags}) < len(tags):
            raise ValueError("has a key twice, in upper and lower case, which IAM takes for one")
        return tags

    def output_prefix(self, name: str) -> str:
        """Return the prefix of a source's outputs below `thumbnails/` and `rejected/`."""
        return self.sources[name].output_prefix or ("" if name == DEFAULT else f"{name}/")

    def output_paths(self, name: str) -> list[str]:
        """Return where a source's outputs are below `thumbnails/` and `rejected/`, by prefix."""
        return [self.output_prefix(name) + prefix for prefix in self.sources[name].prefixes]

    def published_paths(self) -> list[str]:
        """Return the output paths of all published sources."""
        published = (name for name, source in self.sources.items() if source.published)
        return [path for name in published for path in self.output_paths(name)]

    @model_validator(mode="after")
    def _related(self) -> Self:
        if self.logs.archive_flow_logs and self.network.vpc == "existing":
            raise ValueError(
                "logs.archive_flow_logs: an existing VPC's flow logs belong to its owner"
            )
        for name, source in self.sources.items():
            for kind, wanted, given in (
                ("queue", source.queue, self.queues),
                ("variants", source.variants, self.variants),
            ):
                if wanted not in given:
                    raise ValueError(
                        f"sources.{name}.{kind}: {wanted!r} is not defined; defined:"
                        f" {', '.join(given)}"
                    )
        for kind, given in (("queue", self.queues), ("variants", self.variants)):
            used = {getattr(source, kind) for source in self.sources.values()}
            for name in given:
                if name not in used:
                    table = "queues" if kind == "queue" else kind
                    raise ValueError(f"{table}.{name}: no source uses it; remove it")
        if self.cdn and not self.published_paths():
            raise ValueError("cdn: no source is published; remove [cdn], or publish a source")
        self._refuse_overlaps()
        return self

    def _refuse_overlaps(self) -> None:
        """Refuse two sources that could write the same output key."""
        places = [(name, path) for name in self.sources for path in self.output_paths(name)]
        for (one, place), (other, elsewhere) in combinations(places, 2):
            if one != other and (place.startswith(elsewhere) or elsewhere.startswith(place)):
                raise ValueError(
                    f"sources.{one} and sources.{other} would both write below"
                    f" thumbnails/{max(place, elsewhere, key=len)}; give one of them another"
                    " output_prefix"
                )


def load(path: Path) -> Specification:
    """Return the specification in the TOML file `path`; `-` is standard input.

    Raises:
        SpecificationError: the file cannot be read, is not TOML, or has invalid settings.
    """
    origin = "standard input" if str(path) == "-" else str(path)
    return parse(read_tables(path, origin), origin=origin)


def parse(content: dict[str, Any], *, origin: str) -> Specification:
    """Return the specification in `content`, the tables of a TOML file named `origin`.

    Raises:
        SpecificationError: a setting is invalid; the message has a line for each error, with
            `origin`, the key, the value and what is allowed.
    """
    try:
        return Specification.model_validate(with_tuples(content))
    except ValidationError as error:
        lines = (f"{origin}: {one}" for one in messages(error, Specification))
        raise SpecificationError("\n".join(lines)) from None
