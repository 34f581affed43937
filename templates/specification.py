"""What the stack is made of: frozen, validated, every error names file, key and what is allowed."""

import json
import re
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

# S3 takes at most 100 notification configurations a bucket.
# https://docs.aws.amazon.com/general/latest/gr/s3.html
MAXIMUM_NOTIFICATIONS = 100

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
LONGEST_EVENT_PATTERN = 2048

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
LONGEST_BUCKET_NAME = 63

TALLEST = 8192
"""Pixels, as the widest variant has at most."""

DEFAULT = "default"
"""The name of the source, queue or variants whose resources have no name in their own."""

# A source's name stands in its bucket's, which may have 63 characters: see templates/naming.py.
LONGEST_NAME = 10

# Roles of buckets, queues and topics that are there whatever a specification says, and what with
# a source's `KmsKeyArn` or `Subscription` would be a logical id of theirs.
TAKEN_NAMES = (
    "access",
    "flow-log",
    "logs",
    "thumbnails",
    "uploads",
    "worker",
    "worker-log",
)

# How long work may wait: less than its dead letters are kept (trap 19), see templates/queues.py.
WORK_RETENTION_SECONDS = 4 * 24 * 3600


class SpecificationError(Exception):
    """The specification cannot be used; the message has a line a fault, each with file and key."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


# The characters that S3 calls safe, but for the asterisk: in S3's filters the others are encoded,
# in EventBridge's patterns they are not, and in IAM's resources some are wildcards.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_SAFE = re.compile(r"[A-Za-z0-9!_.'()/-]*")


def _usable_prefix(prefix: str) -> str:
    if not prefix:
        raise ValueError("may not be empty: it would announce every object; name a prefix")
    if prefix.startswith("/") or not prefix.endswith("/"):
        raise ValueError("must end with '/' and not begin with one, like 'uploads/'")
    if not _SAFE.fullmatch(prefix):
        raise ValueError("may hold letters of ASCII, digits and !_.'()/- only, like 'uploads/'")
    return prefix


def _usable_suffix(suffix: str) -> str:
    if not re.fullmatch(r"\.[A-Za-z0-9!_.'()-]+", suffix):
        raise ValueError("must begin with '.' and name an extension, like '.jpg'")
    if suffix != suffix.lower():
        raise ValueError(f"must be lower-case, like '{suffix.lower()}': its twin is generated")
    return suffix


def _usable_ratio(ratio: str) -> str:
    if not re.fullmatch("[1-9][0-9]{0,2}:[1-9][0-9]{0,2}", ratio):
        raise ValueError("must be width:height in whole numbers up to 999, like '4:3'")
    return ratio


def _usable_colour(colour: str) -> str:
    if not re.fullmatch("#[0-9a-f]{6}", colour):
        raise ValueError("must be red, green and blue in hexadecimal, like '#ffffff'")
    return colour


def _usable_name(name: str) -> str:
    # A hyphen before a digit would be lost in a logical id: `a-1` and `a1` would be one.
    if not re.fullmatch("[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*", name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"must be lower-case letters, digits and hyphens, at most {LONGEST_NAME}, each word"
            " beginning with a letter, like 'scans'"
        )
    if name in TAKEN_NAMES:
        raise ValueError(f"is a name that the stack itself uses; so are {', '.join(TAKEN_NAMES)}")
    return name


Name = Annotated[str, AfterValidator(_usable_name)]


def _usable_action(action: str) -> str:
    if not re.fullmatch("[a-z0-9-]+:[A-Z][A-Za-z0-9]*", action):
        raise ValueError("must be one action, without '*', like 'kms:Decrypt'")
    return action


class Network(_Table):
    """The private network: the stack's own, or subnets of one that is there already."""

    vpc: Literal["create", "existing"] = "create"
    availability_zones: Annotated[int, Field(ge=2, le=4)] = 2
    """Availability Zones of an own VPC, each with a subnet; two survive losing one (R3)."""

    endpoints: Literal["create", "existing"] = "create"
    """Whether an existing VPC gets its doors to S3 and SQS, or has them."""

    interface_endpoints: dict[
        Annotated[str, Field(pattern="^[a-z][a-z0-9.-]*$")],
        Annotated[tuple[Annotated[str, AfterValidator(_usable_action)], ...], Field(min_length=1)],
    ] = {}
    """Further doors, for other workloads in an own VPC: service, e.g. `kms`, to its actions."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.vpc == "create" and self.endpoints == "existing":
            raise ValueError('endpoints may be "existing" only where vpc is')
        if self.vpc == "existing" and self.interface_endpoints:
            raise ValueError("interface_endpoints are for a VPC of the stack's own")
        if taken := {"s3", "sqs"} & self.interface_endpoints.keys():
            raise ValueError(f"interface_endpoints: the worker has its own door to {min(taken)}")
        return self


class Source(_Table):
    """Where pictures come from: each object under one of `prefixes` with one of `suffixes`.

    `type` says who announces it: "s3" is made by the stack, "eventbridge" announces through
    EventBridge, "sns" is an SNS topic, also of another account, that passes a bucket's
    notifications on. Names and ARNs of what is not the stack's own are parameters.
    """

    type: Literal["s3", "eventbridge", "sns"] = "s3"
    prefixes: Annotated[
        tuple[Annotated[str, AfterValidator(_usable_prefix)], ...], Field(min_length=1)
    ] = ("uploads/",)
    suffixes: Annotated[
        tuple[Annotated[str, AfterValidator(_usable_suffix)], ...], Field(min_length=1)
    ] = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff", ".bmp")
    propagate_deletes: bool = False
    """Whether deleting an upload removes its thumbnails."""

    queue: str = DEFAULT
    """Which of the queues its pictures queue in."""

    variants: str = DEFAULT
    """Which of the variants are made of them."""

    output_prefix: Annotated[str, AfterValidator(_usable_prefix)] | None = None
    """Below `thumbnails/` and `rejected/`; otherwise the source's name, and none for the default's.
    """

    raw_message_delivery: bool = False
    """Of a topic: whether its messages come without the topic's envelope."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, values, contains in (
            ("prefixes", self.prefixes, str.startswith),
            ("suffixes", self.suffixes, str.endswith),
        ):
            for index, value in enumerate(values):
                for other in values[:index] + values[index + 1 :]:
                    # S3 refuses at deploy time what it could announce twice (trap 12).
                    if contains(value, other):
                        raise ValueError(f"{kind} {other!r} and {value!r} overlap; keep one")
        if self.raw_message_delivery and self.type != "sns":
            raise ValueError(f'raw_message_delivery is for type "sns", not {self.type!r}')
        count = len(self.notifications())
        if self.type == "s3" and count > MAXIMUM_NOTIFICATIONS:
            raise ValueError(
                f"{len(self.prefixes)} prefixes with {len(self.suffixes)} suffixes, in both cases"
                f" and for {len(self.events())} kinds of event, need {count} notifications;"
                f" S3 takes {MAXIMUM_NOTIFICATIONS}"
            )
        length = len(json.dumps(self.event_pattern(LONGEST_BUCKET_NAME * "b")))
        if self.type == "eventbridge" and length > LONGEST_EVENT_PATTERN:
            raise ValueError(
                f"{len(self.prefixes)} prefixes need an event pattern of {length} characters;"
                f" EventBridge takes {LONGEST_EVENT_PATTERN}"
            )
        return self

    def events(self) -> tuple[str, ...]:
        """Return the kinds of S3 event that are announced."""
        created = ("s3:ObjectCreated:*",)
        removed = ("s3:ObjectRemoved:*", "s3:LifecycleExpiration:*")
        return created + removed if self.propagate_deletes else created

    def notifications(self) -> tuple[tuple[str, str, str], ...]:
        """Return event, prefix and suffix of each notification configuration."""
        return tuple(
            (event, prefix, suffix) for event in self.events() for prefix, suffix in self.filters()
        )

    def event_pattern(self, bucket: object) -> dict[str, Any]:
        """Return EventBridge's pattern for the source's events from `bucket`.

        By prefix alone; the suffix is for the worker to look at. Both in one would be a wildcard
        for each pair, in both cases, and EventBridge refuses a rule whose wildcards are too
        complex, without saying where that begins.
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-wildcard-matching-complexity
        """
        kinds = ["Object Created", *(["Object Deleted"] if self.propagate_deletes else [])]
        return {
            "source": ["aws.s3"],
            "detail-type": kinds,
            "detail": {
                "bucket": {"name": [bucket]},
                "object": {"key": [{"prefix": prefix} for prefix in self.prefixes]},
            },
        }

    def filters(self) -> tuple[tuple[str, str], ...]:
        """Return each prefix with each suffix in lower and in upper case (trap 11)."""
        return tuple(
            (prefix, cased)
            for prefix in self.prefixes
            for suffix in self.suffixes
            # One of each: `.001` is its own twin, and S3 refuses the same filter twice (trap 12).
            for cased in dict.fromkeys((suffix, suffix.upper()))
        )


class Variants(_Table):
    """The thumbnails of each picture: every width in every format."""

    widths: Annotated[
        tuple[Annotated[int, Field(ge=16, le=8192)], ...], Field(min_length=1, max_length=8)
    ] = (1200, 400, 128)
    """Pixels; a narrower picture is not enlarged."""

    formats: Annotated[
        dict[Literal["jpeg", "webp", "avif"], Annotated[int, Field(ge=1, le=100)]],
        Field(min_length=1),
    ] = {"jpeg": 85, "webp": 80}
    """Format to quality; `jpeg` becomes PNG where there is transparency."""

    cache_control: Annotated[str, Field(min_length=1, max_length=200)] = (
        "public, max-age=31536000, immutable"
    )

    fit: Literal["inside", "cover", "contain"] = "inside"
    """The whole picture; or cut to `aspect_ratio`; or the whole of it in the middle of that."""

    aspect_ratio: Annotated[str, AfterValidator(_usable_ratio)] | None = None
    """Width to height, for `cover` and `exact`."""

    position: Literal["center", "top", "bottom", "left", "right"] = "center"
    """What `cover` keeps."""

    background: Annotated[str, AfterValidator(_usable_colour)] | None = None
    """Goes behind what is transparent, or empty in `exact`; otherwise that stays transparent."""

    sharpen: Annotated[int, Field(ge=0, le=200)] = 0
    """Per cent of an unsharp mask."""

    def told(self) -> dict[str, object]:
        """Return what the worker is told: numbers for texts, and nothing that has its default."""
        told: dict[str, object] = {
            "widths": self.widths,
            "formats": self.formats,
            "cache_control": self.cache_control,
        }
        if self.fit != "inside":
            told["fit"] = self.fit
        if self.aspect_ratio:
            told["aspect_ratio"] = [int(side) for side in self.aspect_ratio.split(":")]
        if self.position != "center":
            told["position"] = self.position
        if self.background:
            told["background"] = list(bytes.fromhex(self.background[1:]))
        if self.sharpen:
            told["sharpen"] = self.sharpen
        return told

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.aspect_ratio is None) is not (self.fit == "inside"):
            raise ValueError(
                f"fit {self.fit!r} "
                + ("takes no aspect_ratio" if self.aspect_ratio else 'needs one, like "4:3"')
            )
        if self.position != "center" and self.fit != "cover":
            raise ValueError(f'position is for fit "cover", not {self.fit!r}')
        if self.aspect_ratio:
            across, down = (int(side) for side in self.aspect_ratio.split(":"))
            tallest = max(self.widths) * down / across
            if tallest > TALLEST:
                raise ValueError(
                    f"a width of {max(self.widths)} at {self.aspect_ratio} is {tallest:.0f} high;"
                    f" at most {TALLEST} are allowed"
                )
        return self

    @field_validator("widths")
    @classmethod
    def _each_once(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(widths)) != len(widths):
            raise ValueError("names a width twice; keep one of each")
        return widths


class ProcessingQueue(_Table):
    """A queue with its own function: how work is cut, how long it may take, how often it is tried.

    Queues do not wait for each other: each has its own concurrency, which is a parameter.
    """

    timeout_seconds: Annotated[int, Field(ge=10, le=900)] = 60
    """Of one invocation, that is of one batch."""

    batch_size: Annotated[int, Field(ge=1, le=100)] = 5
    maximum_batching_window_seconds: Annotated[int, Field(ge=0, le=300)] = 0
    max_receive_count: Annotated[int, Field(ge=2, le=100)] = 5
    """Tries before a message is a dead letter."""

    max_file_size_mb: Annotated[int, Field(ge=1, le=1024)] = 50
    """Of a file, checked before it is downloaded (trap 43); 10^6 bytes each."""

    max_megapixels: Annotated[int, Field(ge=1, le=1000)] = 100
    """Of a picture, checked before it is decoded (trap 43)."""

    provisioned_mode: bool = False
    """Whether pollers stand ready, for a charge, in place of a maximum of concurrency (trap 17)."""

    @property
    def visibility_seconds(self) -> int:
        """Six timeouts and the batching window, as AWS advises (R4, trap 41).

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        """
        return 6 * self.timeout_seconds + self.maximum_batching_window_seconds

    @model_validator(mode="after")
    def _related(self) -> Self:
        if self.batch_size > 10 and self.maximum_batching_window_seconds < 1:
            # Lambda refuses the mapping otherwise (trap 49).
            raise ValueError(
                "a batch_size above 10 needs a maximum_batching_window_seconds of at least 1"
            )
        most = (WORK_RETENTION_SECONDS - 1) // self.visibility_seconds
        if self.max_receive_count > most:
            # What fails would expire before its last try, and never be a dead letter (R2).
            raise ValueError(
                f"{self.max_receive_count} tries, each {self.visibility_seconds} s (six timeouts and"
                f" the batching window), take longer than messages are kept; give"
                f" max_receive_count at most {most}, or a shorter timeout_seconds"
            )
        return self


class Cdn(_Table):
    """A CloudFront distribution over the thumbnails; for pictures that anybody may see."""

    custom_domain: bool = False
    """Whether it has a name and a certificate of its own, and so TLS 1.2 at least."""

    web_acl: bool = False
    """Whether it stands behind a web ACL."""


class Logs(_Table):
    """What outlives the log groups."""

    archive: bool = False
    """Whether the worker's log also goes to a bucket of its own (O6).

    Off by default: with the 8 KB that it takes, the template is deployed through S3 (D7).
    """

    archive_flow_logs: bool = False
    """Whether the record of the network's traffic goes there too."""

    object_lock: Literal["off", "governance", "compliance"] = "off"
    """Whether nobody can delete from the archive before its time; it cannot be switched off."""

    s3_access_logs: bool = False
    """Whether S3 notes each request to the buckets, in another bucket."""

    @model_validator(mode="after")
    def _of_an_archive(self) -> Self:
        if self.object_lock != "off" and not self.archive:
            raise ValueError(f"object_lock {self.object_lock!r} needs archive = true")
        if self.archive_flow_logs and not self.archive:
            raise ValueError("archive_flow_logs needs archive = true")
        return self


class Specification(_Table):
    """What shapes the stack; what differs by environment is a CloudFormation parameter.

    Of sources, queues and variants there may be several, each with a name; the one named "default"
    gives its resources the plain names.
    """

    network: Network = Network()
    sources: Annotated[dict[Name, Source], Field(min_length=1)] = {DEFAULT: Source()}
    queues: Annotated[dict[Name, ProcessingQueue], Field(min_length=1)] = {
        DEFAULT: ProcessingQueue()
    }
    variants: Annotated[dict[Name, Variants], Field(min_length=1)] = {DEFAULT: Variants()}
    logs: Logs = Logs()

    cdn: Cdn | None = None
    """None: thumbnails stay in their bucket."""

    def output_prefix(self, name: str) -> str:
        """Return where below `thumbnails/` and `rejected/` the outputs of a source lie."""
        return self.sources[name].output_prefix or ("" if name == DEFAULT else f"{name}/")

    @model_validator(mode="after")
    def _related(self) -> Self:
        if self.logs.archive_flow_logs and self.network.vpc == "existing":
            raise ValueError(
                "logs.archive_flow_logs: whoever owns an existing VPC records its traffic"
            )
        for name, source in self.sources.items():
            for kind, wanted, given in (
                ("queue", source.queue, self.queues),
                ("variants", source.variants, self.variants),
            ):
                if wanted not in given:
                    raise ValueError(
                        f"sources.{name}.{kind}: there is no {wanted!r};"
                        f" there is: {', '.join(given)}"
                    )
        for kind, given in (("queue", self.queues), ("variants", self.variants)):
            used = {getattr(source, kind) for source in self.sources.values()}
            for name in given:
                if name not in used:
                    table = "queues" if kind == "queue" else kind
                    raise ValueError(f"{table}.{name}: no source names it; leave it out")
        self._refuse_clashes()
        return self

    def _refuse_clashes(self) -> None:
        """Two sources must never write one key: outputs lie at folder and key of the upload."""
        places = [
            (name, self.output_prefix(name) + prefix)
            for name, source in self.sources.items()
            for prefix in source.prefixes
        ]
        for (one, place), (other, elsewhere) in combinations(places, 2):
            if one != other and (place.startswith(elsewhere) or elsewhere.startswith(place)):
                raise ValueError(
                    f"sources.{one} and sources.{other} would both write below"
                    f" thumbnails/{max(place, elsewhere, key=len)}; give one another output_prefix"
                )


def load(path: Path) -> Specification:
    """Return the specification in the TOML file `path`.

    Raises:
        SpecificationError: the file cannot be read, is not TOML, or says what is not allowed.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecificationError(f"{path}: there is no such file") from None
    except OSError as error:
        raise SpecificationError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecificationError(f"{path}: not TOML: {error}") from None
    return parse(content, origin=str(path))


def parse(content: dict[str, Any], *, origin: str) -> Specification:
    """Return the specification in `content`, the tables of a TOML file named `origin`.

    Raises:
        SpecificationError: naming `origin`, the key and what is allowed, for every fault at once.
    """
    try:
        # TOML has arrays where the specification has tuples: only that is converted.
        return Specification.model_validate(_frozen(content))
    except ValidationError as error:
        faults = error.errors()
        # Items that are wrong leave their list too short as well: that is not a second fault.
        within = {fault["loc"][:-1] for fault in faults}
        raise SpecificationError(
            "\n".join(
                f"{origin}: {_fault(fault)}"
                for fault in faults
                if not (fault["type"] == "too_short" and fault["loc"] in within)
            )
        ) from None


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return value


def _fault(fault: Any) -> str:
    where = ""
    for part in fault["loc"]:
        if part != "[key]":  # pydantic's word for "the key itself is wrong"; it is in `where`
            where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    if fault["type"] == "extra_forbidden":
        table: Any = Specification
        for part in fault["loc"][:-1]:
            # A table of named tables: the name stands for itself.
            table = (
                table.model_fields[part].annotation
                if hasattr(table, "model_fields")
                else (get_args(table)[1])
            )
        return f"{where}: is not a setting; allowed: {', '.join(table.model_fields)}"
    if fault["type"] == "model_type":
        return f"{where}: should be a table"
    if fault["type"] == "tuple_type":
        return f"{where}: should be a list"
    says = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    says = says.replace("Tuple", "the list").replace("Dictionary", "the table")
    given = fault["input"]
    lead = f"{where}: " if where else ""  # what concerns several tables names them itself
    return f"{lead}{says}" + (f" (given: {given!r})" if isinstance(given, str | int) else "")
