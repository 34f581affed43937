"""The specification: what the stack is made of, read from a TOML file and validated."""

from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from templates.specification_api import INVOKE, SERVICE, Api
from templates.specification_file import SpecificationError as SpecificationError
from templates.specification_file import read_tables, with_tuples
from templates.specification_messages import messages
from templates.specification_options import Alarms, Cdn, Events, Logs
from templates.specification_sources import HASH_PATTERN, Source
from templates.specification_values import (
    DEFAULT,
    MAX_TAGS,
    TABLE_CONFIG,
    Action,
    Name,
    TagKey,
    TagValue,
)
from templates.specification_variants import Variants

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


class ProcessingQueue(_Table):
    """A work queue with a dead-letter queue and a function of its own.

    Queues do not wait for each other: each has its own concurrency, which is a parameter.
    """

    timeout_seconds: Annotated[int, Field(ge=10, le=900)] = 60
    """Function timeout, for one batch. The queue's visibility timeout is six times this, plus the
    batching window, and at least 300 s."""

    batch_size: Annotated[int, Field(ge=1, le=100)] = 5
    """Maximum messages in a batch; more than 10 need a batching window of at least 1 s."""

    maximum_batching_window_seconds: Annotated[int, Field(ge=0, le=300)] = 5
    """Time that Lambda waits for a full batch, and so the longest that a picture waits for others.
    Fewer invocations cost less; 0 delays no picture."""

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

    alarms: Alarms = Alarms()
    logs: Logs = Logs()
    events: Events = Events()

    tags: Annotated[dict[TagKey, TagValue], Field(max_length=MAX_TAGS)] = {}
    """At most 40 tags of every resource, in addition to `Application` and `Environment`."""

    cdn: Cdn | None = None
    """The distribution of the thumbnails; without it, none."""

    api: Api | None = None
    """The upload API; without it, none."""

    @field_validator("tags")
    @classmethod
    def _each_key_once(cls, tags: dict[str, str]) -> dict[str, str]:
        if len({key.lower() for key in tags}) < len(tags):
            raise ValueError("has a key twice, in upper and lower case, which IAM takes for one")
        return tags

    def interface_endpoints(self) -> dict[str, tuple[str, ...]]:
        """Return the services of interface endpoints for others than the worker, with actions."""
        own = {}
        if self.api and self.api.access == "private" and self.network.endpoints == "create":
            own[SERVICE] = (INVOKE,)
        return {**self.network.interface_endpoints, **own}

    @property
    def archives_flow_logs(self) -> bool:
        """Whether the stack's VPC has a flow log in the archive."""
        return self.network.vpc == "create" and self.logs.archive and self.logs.archive_flow_logs

    def output_prefix(self, name: str) -> str:
        """Return the prefix of a source's outputs below `thumbnails/` and `rejected/`."""
        return self.sources[name].output_prefix or ("" if name == DEFAULT else f"{name}/")

    def output_paths(self, name: str) -> list[str]:
        """Return where a source's outputs are below `thumbnails/`, by prefix; see HASH_PATTERN."""
        hashed = HASH_PATTERN if self.sources[name].hash_prefix else ""
        return [f"{self.output_prefix(name)}{hashed}{one}" for one in self.sources[name].prefixes]

    def rejection_paths(self, name: str) -> list[str]:
        """Return where a source's rejections are below `rejected/`, by prefix."""
        return [self.output_prefix(name) + prefix for prefix in self.sources[name].prefixes]

    def watermark_keys(self) -> list[str]:
        """Return the keys of all watermarks, each once."""
        marks = (one.watermark for one in self.variants.values())
        return sorted({mark.key for mark in marks if mark})

    def published_paths(self) -> list[str]:
        """Return the output paths of all published sources."""
        published = (name for name, source in self.sources.items() if source.published)
        return [path for name in published for path in self.output_paths(name)]

    @model_validator(mode="after")
    def _related(self) -> Self:
        if self.network.vpc == "existing" and self.logs.asks_for_flow_logs:
            raise ValueError(
                "logs.archive_flow_logs: an existing VPC's flow logs belong to its owner"
            )
        self._refuse_unknown_and_unused()
        if self.cdn and not self.published_paths():
            raise ValueError("cdn: no source is published; remove [cdn], or publish a source")
        self._refuse_overlaps()
        if self.api:
            self._check_api(self.api)
        return self

    def _check_api(self, api: Api) -> None:
        source = self.sources.get(api.source)
        if source is None:
            defined = ", ".join(self.sources)
            raise ValueError(f"api.source: {api.source!r} is not defined; defined: {defined}")
        if source.type != "s3":
            raise ValueError(
                f'api.source: {api.source!r} must be of type "s3", not "{source.type}"'
            )
        if not api.prefix.startswith(source.prefixes):
            raise ValueError(
                f"api.prefix: {api.prefix!r} must begin with a prefix of sources.{api.source}:"
                f" {', '.join(source.prefixes)}"
            )
        if SERVICE in self.network.interface_endpoints and SERVICE in self.interface_endpoints():
            raise ValueError(
                f'network.interface_endpoints: access = "private" of [api] has one for {SERVICE}'
            )

    def _refuse_unknown_and_unused(self) -> None:
        """Refuse a queue or variants that are not defined, or that no source uses."""
        used: dict[str, set[str]] = {"queues": set(), "variants": set()}
        for name, source in self.sources.items():
            for kind, table, wanted, given in (
                ("queue", "queues", (source.queue,), self.queues),
                ("variants", "variants", source.variants, self.variants),
            ):
                used[table].update(wanted)
                if unknown := [one for one in wanted if one not in given]:
                    raise ValueError(
                        f"sources.{name}.{kind}: {unknown[0]!r} is not defined; defined:"
                        f" {', '.join(given)}"
                    )
            if len({self.variants[one].cache_control for one in source.variants}) > 1:
                raise ValueError(
                    f"sources.{name}.variants: {' and '.join(source.variants)} have different"
                    " cache_control; a source has one"
                )
        for table, names in used.items():
            for name in getattr(self, table):
                if name not in names:
                    raise ValueError(f"{table}.{name}: no source uses it; remove it")

    def _refuse_overlaps(self) -> None:
        """Refuse two sources that could write the same key, or whose policies could name it."""
        for folder, paths in (
            ("thumbnails", self.output_paths),
            ("rejected", self.rejection_paths),
        ):
            places = [(name, path) for name in self.sources for path in paths(name)]
            for (one, place), (other, elsewhere) in combinations(places, 2):
                if one != other and _overlap(place, elsewhere):
                    raise ValueError(
                        f"sources.{one} and sources.{other} would both write below {folder}/:"
                        f" {place} and {elsewhere} overlap; give one of them another output_prefix"
                    )


def _overlap(one: str, other: str) -> bool:
    """Return whether a key may begin with both paths, where a `?` stands for any character."""
    return all(a == b or "?" in (a, b) for a, b in zip(one, other, strict=False))


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
