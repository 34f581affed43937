"""The figures of a generated template that capacity and cost depend on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from darkroom.cloudformation import parameters
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.errors import UsageError
from templates import naming, pipeline, specification
from templates.specification_sources import Source
from templates.specification_values import DEFAULT
from worker import settings
from worker.keys import HASH_DIGITS


@dataclass(frozen=True, kw_only=True)
class Archive:
    """When uploads move to another storage class, and to which."""

    days: int
    storage_class: str

    @property
    def is_monitored(self) -> bool:
        """Return whether S3 moves objects between tiers, and bills that for each object."""
        return self.storage_class == "INTELLIGENT_TIERING"

    @property
    def price_name(self) -> str:
        """Return the storage class as it is in the names of prices."""
        return self.storage_class.lower()


LOG_DAYS = "LogArchiveRetentionDays"


@dataclass(frozen=True, kw_only=True)
class StackFigures:
    """What costs or limits in a stack; seconds, bytes and counts."""

    memory_megabytes: int
    architecture: str
    timeout: int
    concurrency: int
    """Maximum of concurrent batches; 0 where provisioned pollers decide."""

    pollers: tuple[int, int] | None
    """Minimum and maximum of provisioned pollers."""

    batch_size: int
    window: int
    visibility: int
    retention: int
    max_receive_count: int
    maximum_bytes: int
    max_megapixels: float
    widths: tuple[int, ...]
    """Of the thumbnails, each once for all of its formats."""

    outputs: tuple[tuple[int, str], ...]
    """Width and format of each output."""

    watermarks: int
    """Different ones of all sources of the queue: each is read once in an invocation."""

    prefixes: int
    output_prefixes: int
    """Prefixes that S3 can split the outputs by: 256 with `hash_prefix`, or 1."""

    zones: int
    has_sqs_endpoint: bool
    interface_endpoint_zones: int
    """Interface endpoints, counted once per zone."""

    firewall_domains: int
    """Domain names in the lists of the DNS firewall; 0 without one."""

    queues: int
    """Queues that are polled."""

    minimum_pollers: int
    """Provisioned pollers of all queues, billed whether there are messages or not."""

    keys: int
    alarms: int
    """Metrics of alarms, each of which is billed."""

    request_metrics: int
    """Filters of S3 request metrics."""

    dashboards: int
    data_key_seconds: int
    has_record_topic: bool
    sends_to_eventbridge: bool
    can_archive: bool
    """The uploads are in a bucket of the stack."""

    archive: Archive | None
    archives_logs: bool
    flow_log: Literal["bucket", "log group"] | None
    """Where the flow log of the stack's VPC goes."""

    keeps_access_logs: bool
    log_days: int
    """How long the archive and the access logs are kept; 0 where there are none."""


def read(
    specification_file: Path,
    parameter_files: Sequence[Path],
    overrides: Mapping[str, int | str],
    *,
    source: str = DEFAULT,
) -> StackFigures:
    """Return the figures of a specification with parameter files, later ones overriding.

    Where there are several queues and variants, they are those of `source`; fixed costs are of the
    whole stack. `overrides` are parameters by name, the queue's own where it has them; they may
    exceed what the template allows, to estimate what a raised quota would give.

    Raises:
        SpecificationError: The specification is wrong.
        UsageError: A parameter file is wrong, or there is no such source.
    """
    described = specification.load(specification_file)
    if source not in described.sources:
        raise UsageError(
            f"{specification_file}: there is no source {source!r}; allowed: "
            + ", ".join(described.sources)
        )
    source_settings = described.sources[source]
    template = json.loads(pipeline.render(pipeline.build(described)))
    allowed = template["Parameters"]
    values = _values(allowed, parameter_files)
    for name, value in overrides.items():
        own = naming.logical_id(source_settings.queue, name)
        values[own if own in allowed else name] = value
    resolved = ResolvedTemplate(template).with_parameters(**values)
    function = resolved.properties(naming.logical_id(source_settings.queue, "Worker"))
    mapping = resolved.properties(
        naming.logical_id(source_settings.queue, "WorkerEventSourceMapping")
    )
    queue = resolved.properties(naming.logical_id(source_settings.queue, "WorkQueue"))
    variables = function["Environment"]["Variables"]
    known = settings.variants(variables)
    made = [known[name][0] for name in source_settings.variants]
    endpoints = [
        endpoint
        for endpoint in resolved.resources_of_type("EC2::VPCEndpoint").values()
        if endpoint["VpcEndpointType"] == "Interface"
    ]
    pollers = mapping.get("ProvisionedPollerConfig")
    mappings = resolved.resources_of_type("Lambda::EventSourceMapping").values()
    return StackFigures(
        memory_megabytes=int(function["MemorySize"]),
        architecture=function["Architectures"][0],
        timeout=function["Timeout"],
        concurrency=int(mapping["ScalingConfig"]["MaximumConcurrency"]) if not pollers else 0,
        pollers=(int(pollers["MinimumPollers"]), int(pollers["MaximumPollers"]))
        if pollers
        else None,
        batch_size=mapping["BatchSize"],
        window=mapping["MaximumBatchingWindowInSeconds"],
        visibility=queue["VisibilityTimeout"],
        retention=queue["MessageRetentionPeriod"],
        max_receive_count=queue["RedrivePolicy"]["maxReceiveCount"],
        maximum_bytes=int(variables["MAX_OBJECT_BYTES"]),
        max_megapixels=int(variables["MAX_PIXELS"]) / 1e6,
        widths=tuple(width for each in made for width in each.widths),
        outputs=_outputs(made),
        watermarks=_watermarks([each for each, _ in known.values()]),
        prefixes=len(source_settings.prefixes),
        output_prefixes=16**HASH_DIGITS if source_settings.hash_prefix else 1,
        zones=described.network.availability_zones,
        has_sqs_endpoint=bool(variables["WORK_QUEUE_URL"]),
        interface_endpoint_zones=sum(len(endpoint["SubnetIds"]) for endpoint in endpoints),
        firewall_domains=sum(
            len(one["Domains"])
            for one in resolved.resources_of_type("Route53Resolver::FirewallDomainList").values()
        ),
        queues=len(mappings),
        minimum_pollers=sum(
            int(one["ProvisionedPollerConfig"]["MinimumPollers"])
            for one in mappings
            if "ProvisionedPollerConfig" in one
        ),
        keys=len(resolved.resources_of_type("KMS::Key")),
        alarms=sum(
            # An alarm on an expression is billed per metric in it.
            sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1
            for alarm in resolved.resources_of_type("CloudWatch::Alarm").values()
        ),
        request_metrics=sum(
            len(bucket.get("MetricsConfigurations", ()))
            for bucket in resolved.resources_of_type("S3::Bucket").values()
        ),
        dashboards=len(resolved.resources_of_type("CloudWatch::Dashboard")),
        data_key_seconds=queue["KmsDataKeyReusePeriodSeconds"],
        has_record_topic=described.events.topic,
        sends_to_eventbridge=described.events.eventbridge,
        can_archive=source_settings.type == "s3",
        archive=_archive(source_settings),
        archives_logs=described.logs.archive,
        flow_log=_flow_log(described),
        keeps_access_logs=described.logs.s3_access_logs,
        log_days=int(values.get(LOG_DAYS, allowed.get(LOG_DAYS, {}).get("Default", 0))),
    )


def _flow_log(described: specification.Specification) -> Literal["bucket", "log group"] | None:
    if described.network.vpc != "create":
        return None
    return "bucket" if described.archives_flow_logs else "log group"


def _outputs(made: Sequence[settings.Variants]) -> tuple[tuple[int, str], ...]:
    return tuple(
        (width, format_name)
        for each in made
        for width in each.widths
        for format_name in each.formats_at(width)
    )


def _watermarks(made: Sequence[settings.Variants]) -> int:
    return len({each.watermark.key for each in made if each.watermark})


def _archive(source: Source) -> Archive | None:
    days = source.archive_after_days
    return None if days is None else Archive(days=days, storage_class=source.archive_storage_class)


def _values(allowed: dict[str, Any], files: Sequence[Path]) -> dict[str, Any]:
    """Return the parameters in these files, later ones overriding."""
    values: dict[str, Any] = {}
    for path in files:
        pairs = parameters.read_file(path)
        if problems := list(parameters.problems(allowed, pairs)):
            raise UsageError("\n".join(f"{path}: {problem}" for problem in problems))
        values |= dict(pairs)
    return values
