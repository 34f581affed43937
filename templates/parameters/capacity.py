"""Parameters of each queue's function: memory and concurrency."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from troposphere import AWSHelperFn, If, NoValue, Ref, Template
from troposphere.awslambda import ProvisionedPollerConfig, ScalingConfig

from templates import naming
from templates.parameters.builder import YES_NO, Condition, Group, is_true
from templates.specification import ProcessingQueue

# Each poller in provisioned mode runs up to 10 batches at once.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
BATCHES_PER_POLLER = 10


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """Memory and concurrency of one queue's function."""

    memory_megabytes: Ref
    scaling: dict[str, Any]
    """The scaling property of the event source mapping: a maximum, or provisioned pollers."""

    reserved_concurrency: AWSHelperFn
    maximum: Ref
    """Maximum concurrent batches, in multiples of `batches_per_unit`."""

    batches_per_unit: int


def add_capacity(
    template: Template, queues: Mapping[str, ProcessingQueue]
) -> Mapping[str, Capacity]:
    """Add the parameters of each queue's function; return them by queue."""
    group = Group(template, "Capacity")
    reserved = None
    if not all(queue.provisioned_mode for queue in queues.values()):
        reserve = group.add(
            "ReserveConcurrency",
            "Reserve MaximumConcurrency for the function; fails in accounts with a quota of 10",
            Default="false",
            **YES_NO,
        )
        reserved = is_true(template, "ReservesConcurrency", reserve)
    return {
        name: _provisioned(group, name)
        if reserved is None or queue.provisioned_mode
        else _on_demand(group, name, reserved)
        for name, queue in queues.items()
    }


def _memory(group: Group, queue: str) -> Ref:
    return group.add(
        naming.logical_id(queue, "MemorySize"),
        "Memory of the function in MB; with 1769 MB it has one vCPU",
        Type="Number",
        Default=1280,
        MinValue=512,
        MaxValue=10240,
    )


def _provisioned(group: Group, queue: str) -> Capacity:
    """Add pollers; Lambda takes either these or a maximum concurrency (pitfall 17).

    What pollers may start at once is not a number to reserve.
    """
    memory = _memory(group, queue)
    minimum = group.add(
        naming.logical_id(queue, "MinimumPollers"),
        "Minimum event pollers, 2 to 200, billed by the hour",
        Type="Number",
        Default=2,
        MinValue=2,
        MaxValue=200,
    )
    maximum = group.add(
        naming.logical_id(queue, "MaximumPollers"),
        f"Maximum event pollers, 2 to 2000; each runs up to {BATCHES_PER_POLLER} batches at once",
        Type="Number",
        Default=10,
        MinValue=2,
        MaxValue=2000,
    )
    pollers = ProvisionedPollerConfig(MinimumPollers=minimum, MaximumPollers=maximum)
    return Capacity(
        memory_megabytes=memory,
        scaling={"ProvisionedPollerConfig": pollers},
        reserved_concurrency=NoValue,
        maximum=maximum,
        batches_per_unit=BATCHES_PER_POLLER,
    )


def _on_demand(group: Group, queue: str, reserved: Condition) -> Capacity:
    memory = _memory(group, queue)
    maximum = group.add(
        naming.logical_id(queue, "MaximumConcurrency"),
        "Maximum concurrent batches, 2 to 1000",
        Type="Number",
        Default=10,
        MinValue=2,
        MaxValue=1000,
    )
    return Capacity(
        memory_megabytes=memory,
        scaling={"ScalingConfig": ScalingConfig(MaximumConcurrency=maximum)},
        # The same number, so that it is never below what the pollers start (pitfall 17); not
        # reserved by default, because that fails in new accounts (pitfall 18).
        reserved_concurrency=If(reserved, maximum, NoValue),
        maximum=maximum,
        batches_per_unit=1,
    )
