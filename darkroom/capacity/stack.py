"""The numbers that the generated template itself gives to capacity and cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darkroom.cloudformation import parameters
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.errors import UsageError
from templates import naming, pipeline, specification
from templates.specification import DEFAULT


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What is deployed, as far as it costs or limits; seconds, bytes and plain counts."""

    memory_megabytes: int
    architecture: str
    timeout: int
    concurrency: int
    """Batches at once at most; 0 where provisioned pollers decide."""

    pollers: tuple[int, int] | None
    """Provisioned pollers, the fewest and the most."""

    batch_size: int
    window: int
    visibility: int
    retention: int
    max_receive_count: int
    maximum_bytes: int
    max_megapixels: float
    widths: tuple[int, ...]
    formats: tuple[str, ...]
    prefixes: int
    zones: int
    has_sqs_endpoint: bool
    interface_endpoint_zones: int
    """Interface endpoints, counted once for each zone they are in."""

    queues: int
    """Polled ones, of all queues."""

    keys: int
    alarms: int
    """Metrics that alarms watch."""

    request_metrics: int
    """Filters for which S3 counts requests."""

    dashboards: int
    data_key_seconds: int


def read(
    pipeline_file: Path,
    parameter_files: list[Path],
    overrides: dict[str, int | str],
    *,
    source: str = DEFAULT,
) -> Stack:
    """Return the stack of a specification with parameter files, the later ones winning.

    Of several queues and variants, those of `source` are meant; what costs at rest is of the whole
    stack. `overrides` are parameters by name, of the queue where it has some of its own; they may go
    beyond what the template takes: on paper, 10,000 executions at once are a question one may ask.
    Raises UsageError for files that are wrong.
    """
    try:
        described = specification.load(pipeline_file)
    except specification.SpecificationError as error:
        raise UsageError(str(error)) from None
    if source not in described.sources:
        raise UsageError(
            f"{pipeline_file}: there is no source {source!r}; allowed: "
            + ", ".join(described.sources)
        )
    origin = described.sources[source]
    template = json.loads(pipeline.render(pipeline.build(described)))
    values: dict[str, Any] = {}
    for path in parameter_files:
        pairs = parameters.read(path)
        if problems := list(parameters.wrong(template["Parameters"], pairs)):
            raise UsageError("\n".join(f"{path}: {problem}" for problem in problems))
        values |= dict(pairs)
    for name, value in overrides.items():
        own = naming.logical_id(origin.queue, name)
        values[own if own in template["Parameters"] else name] = value
    reading = ResolvedTemplate(template).with_parameters(**values)
    function = reading.properties(naming.logical_id(origin.queue, "Worker"))
    mapping = reading.properties(naming.logical_id(origin.queue, "WorkerEventSourceMapping"))
    queue = reading.properties(naming.logical_id(origin.queue, "WorkQueue"))
    variables = function["Environment"]["Variables"]
    variants = json.loads(variables["VARIANTS"])[origin.variants]
    doors = [
        endpoint
        for endpoint in reading.resources_of_type("EC2::VPCEndpoint").values()
        if endpoint["VpcEndpointType"] == "Interface"
    ]
    pollers = mapping.get("ProvisionedPollerConfig")
    return Stack(
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
        widths=tuple(variants["widths"]),
        formats=tuple(variants["formats"]),
        prefixes=len(origin.prefixes),
        zones=described.network.availability_zones,
        has_sqs_endpoint=bool(variables["WORK_QUEUE_URL"]),
        interface_endpoint_zones=sum(len(door["SubnetIds"]) for door in doors),
        queues=len(reading.resources_of_type("Lambda::EventSourceMapping")),
        keys=len(reading.resources_of_type("KMS::Key")),
        alarms=sum(
            # One over an expression is billed for each metric in it.
            sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1
            for alarm in reading.resources_of_type("CloudWatch::Alarm").values()
        ),
        request_metrics=sum(
            len(bucket.get("MetricsConfigurations", ()))
            for bucket in reading.resources_of_type("S3::Bucket").values()
        ),
        dashboards=len(reading.resources_of_type("CloudWatch::Dashboard")),
        data_key_seconds=queue["KmsDataKeyReusePeriodSeconds"],
    )
