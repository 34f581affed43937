"""How much of each queue's work is done at once."""

from dataclasses import dataclass
from typing import Any

from troposphere import AWSHelperFn, If, NoValue, Ref
from troposphere.awslambda import ProvisionedPollerConfig, ScalingConfig

from templates import naming
from templates.parameters.builder import Group
from templates.specification import ProcessingQueue


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """How much of one queue's work is done at once, and with what memory each."""

    memory_megabytes: Ref
    scaling: dict[str, Any]
    """What the event source mapping is told: a maximum, or pollers that stand ready."""

    reserved_concurrency: AWSHelperFn
    maximum: Ref
    """Of batches worked on at once, in multiples of `batches_each`."""

    batches_each: int


def add_capacity(group: Group, queue: str, settings: ProcessingQueue, reserves: str) -> Capacity:
    """Add a queue's parameters; `reserves` is the condition that its maximum is reserved as well."""
    memory = group.add(
        naming.logical_id(queue, "MemorySize"),
        "Megabytes for the function; 1769 are one processor core",
        Type="Number",
        Default=1792,
        MinValue=512,
        MaxValue=10240,
    )
    if settings.provisioned_mode:
        # Lambda takes either a maximum or pollers (trap 17). What these may call for at once is
        # not a number to reserve.
        return Capacity(
            memory_megabytes=memory,
            scaling={
                "ProvisionedPollerConfig": ProvisionedPollerConfig(
                    MinimumPollers=group.add(
                        naming.logical_id(queue, "MinimumPollers"),
                        "Pollers that stand ready, 2 to 200; each is paid for by the hour",
                        Type="Number",
                        Default=2,
                        MinValue=2,
                        MaxValue=200,
                    ),
                    MaximumPollers=group.add(
                        naming.logical_id(queue, "MaximumPollers"),
                        "Pollers at most, 2 to 2000; each takes up to 10 batches at once",
                        Type="Number",
                        Default=10,
                        MinValue=2,
                        MaxValue=2000,
                    ),
                )
            },
            reserved_concurrency=NoValue,
            maximum=Ref(naming.logical_id(queue, "MaximumPollers")),
            batches_each=10,
        )
    concurrency = group.add(
        naming.logical_id(queue, "MaximumConcurrency"),
        "Batches worked on at once, 2 to 1000",
        Type="Number",
        Default=10,
        MinValue=2,
        MaxValue=1000,
    )
    return Capacity(
        memory_megabytes=memory,
        scaling={"ScalingConfig": ScalingConfig(MaximumConcurrency=concurrency)},
        # The same number, so that it is never below what the pollers ask for (trap 17); unset
        # unless asked for, because it fails in new accounts (trap 18).
        reserved_concurrency=If(reserves, concurrency, NoValue),
        maximum=concurrency,
        batches_each=1,
    )
