"""A stack with what its specification says of it: the sources and lanes that claims are about."""

import json
from dataclasses import dataclass, field
from typing import Any

from ops.privilege.evaluation import Gate
from ops.reading import PSEUDO, Reading
from templates import naming, pipeline
from templates.specification import Specification

ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
OTHER_ACCOUNT = "999999999999"
OFFICE = "198.51.100.0/24"
"""A documentation address: where uploads come from, in the reading that the proof is over."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A work queue with its dead-letter queue and its function.

    The queues are named as policies refer to them, and `…_named` as services send their ARN.
    """

    work: str
    work_named: str
    work_policy: str
    dead_letters: str
    dead_letters_named: str
    dead_letter_policy: str
    function: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A bucket that uploads lie in, who announces them, and in which lane.

    `policy` is empty for a bucket that is not the stack's own, `key` for one that is.
    """

    bucket: str
    policy: str
    key: str
    prefixes: tuple[str, ...]
    folder: str
    reads_current: bool
    lane: Lane
    service: str
    announcer: str
    account: str
    """That the announcer acts for; a topic may be another account's."""

    @property
    def guards(self) -> tuple[Gate, ...]:
        """The policy of an own bucket; what somebody's own says is theirs."""
        return (Gate(self.policy, "guard"),) if self.policy else ()


@dataclass(frozen=True)
class Described(Reading):
    """A reading of a template together with its sources and lanes."""

    plan: Specification = field(default_factory=Specification)
    sources: tuple[Source, ...] = ()
    lanes: tuple[Lane, ...] = ()

    @property
    def elsewhere(self) -> frozenset[str]:
        """Logical ids of what an existing network has in the stack's place."""
        network = self.plan.network
        doors = {"StorageEndpoint", "WorkQueueEndpoint"} if network.endpoints == "existing" else ()
        return frozenset({*doors, *(["FlowLogRole"] if network.vpc == "existing" else [])})

    @property
    def endpoint(self) -> str:
        """The id of the door to S3, as policies name it."""
        own = "StorageEndpoint" not in self.elsewhere
        return "<StorageEndpoint>" if own else str(self.parameter("StorageEndpointId"))

    @property
    def own(self) -> tuple[Source, ...]:
        """The sources whose bucket is the stack's own."""
        return tuple(source for source in self.sources if source.policy)


def described(plan: Specification) -> Described:
    """Return the stack of `plan`, read so that every optional right and refusal is there."""
    return describe(json.loads(pipeline.render(pipeline.build(plan))), plan)


def describe(template: dict[str, Any], plan: Specification) -> Described:
    """Return `template`, which is that of `plan` or a variation of it, as `described` does."""
    values: dict[str, Any] = {"UploadRanges": [OFFICE], "Tracing": "Active"}
    for name, source in plan.sources.items():
        if source.type != "bucket":
            values[naming.title(name, "KeyArn")] = _somebodys_key(name)
        if source.type == "topic":
            values[naming.title(name, "TopicArn")] = _somebodys_topic(name)
    stack = Reading(template, values)
    lanes = {name: _lane(stack, name) for name in plan.lanes}
    sources = tuple(
        _source(stack, plan, name, lanes[source.lane]) for name, source in plan.sources.items()
    )
    return Described(template, values, plan, sources, tuple(lanes.values()))


def _lane(stack: Reading, name: str) -> Lane:
    work, dead = (naming.title(name, noun) for noun in ("WorkQueue", "DeadLetterQueue"))
    return Lane(
        work=f"<{work}.Arn>",
        work_named=_arn("sqs", stack.properties(work)["QueueName"]),
        work_policy=f"{work}Policy",
        dead_letters=f"<{dead}.Arn>",
        dead_letters_named=_arn("sqs", stack.properties(dead)["QueueName"]),
        dead_letter_policy=f"{dead}Policy",
        function=_arn(
            "lambda",
            f"function:{stack.properties(naming.title(name, 'Worker'))['FunctionName']}",
        ),
    )


def _source(stack: Reading, plan: Specification, name: str, lane: Lane) -> Source:
    settings = plan.sources[name]
    common: dict[str, Any] = {
        "prefixes": settings.prefixes,
        "folder": plan.folder(name),
        "lane": lane,
    }
    if settings.type == "bucket":
        title = naming.title(name, "UploadBucket")
        return Source(
            bucket=f"<{title}.Arn>",
            policy=f"{title}Policy",
            key="",
            reads_current=settings.follow_deletes,
            service="s3.amazonaws.com",
            announcer=f"arn:aws:s3:::{stack.properties(title)['BucketName']}",
            account=ACCOUNT,
            **common,
        )
    common |= {
        "bucket": f"arn:aws:s3:::{stack.parameter(naming.title(name, 'BucketName'))}",
        "policy": "",
        "key": _somebodys_key(name),
        "reads_current": True,  # it may keep no versions
    }
    if settings.type == "topic":
        return Source(
            service="sns.amazonaws.com",
            announcer=_somebodys_topic(name),
            account=OTHER_ACCOUNT,
            **common,
        )
    rule = stack.properties(naming.title(name, "AnnounceRule"))["Name"]
    return Source(
        service="events.amazonaws.com",
        announcer=_arn("events", f"rule/{rule}"),
        account=ACCOUNT,
        **common,
    )


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def _somebodys_key(source: str) -> str:
    return f"arn:aws:kms:{REGION}:{OTHER_ACCOUNT}:key/{source}"


def _somebodys_topic(source: str) -> str:
    return f"arn:aws:sns:{REGION}:{OTHER_ACCOUNT}:{source}"
