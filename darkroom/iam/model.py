"""A stack with what its specification says of it: the sources and queues that claims are about."""

import json
from dataclasses import dataclass, field
from typing import Any

from darkroom.cloudformation.resolver import PSEUDO, ResolvedTemplate
from darkroom.iam.evaluator import PolicyCheck
from templates import naming, pipeline
from templates.specification import Specification

ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
OTHER_ACCOUNT = "999999999999"
OFFICE = "198.51.100.0/24"
"""A documentation address: where uploads come from, in the reading that the proof is over."""


@dataclass(frozen=True, kw_only=True)
class Queue:
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
    """A bucket that uploads lie in, who announces them, and in which queue.

    `policy` is empty for a bucket that is not the stack's own, `key` for one that is.
    """

    bucket: str
    policy: str
    key: str
    prefixes: tuple[str, ...]
    output_prefix: str
    reads_current: bool
    queue: Queue
    service: str
    announcer: str
    account: str
    """That the announcer acts for; a topic may be another account's."""

    @property
    def guards(self) -> tuple[PolicyCheck, ...]:
        """The policy of an own bucket; what somebody's own says is theirs."""
        return (PolicyCheck(self.policy, "guard"),) if self.policy else ()


@dataclass(frozen=True)
class StackModel(ResolvedTemplate):
    """A reading of a template together with its sources and queues."""

    plan: Specification = field(default_factory=Specification)
    sources: tuple[Source, ...] = ()
    queues: tuple[Queue, ...] = ()

    @property
    def elsewhere(self) -> frozenset[str]:
        """Logical ids of what an existing network has in the stack's place."""
        network = self.plan.network
        doors = {"S3Endpoint", "SqsEndpoint"} if network.endpoints == "existing" else ()
        return frozenset({*doors, *(["FlowLogRole"] if network.vpc == "existing" else [])})

    @property
    def endpoint(self) -> str:
        """The id of the door to S3, as policies name it."""
        own = "S3Endpoint" not in self.elsewhere
        return "<S3Endpoint>" if own else str(self.parameter("S3EndpointId"))

    @property
    def own(self) -> tuple[Source, ...]:
        """The sources whose bucket is the stack's own."""
        return tuple(source for source in self.sources if source.policy)


def model_of(plan: Specification) -> StackModel:
    """Return the stack of `plan`, read so that every optional right and refusal is there."""
    return model_of_template(json.loads(pipeline.render(pipeline.build(plan))), plan)


def model_of_template(template: dict[str, Any], plan: Specification) -> StackModel:
    """Return `template`, which is that of `plan` or a variation of it, as `described` does."""
    values: dict[str, Any] = {"AllowedUploadCidrs": [OFFICE], "Tracing": "Active"}
    for name, source in plan.sources.items():
        if source.type != "s3":
            values[naming.logical_id(name, "KmsKeyArn")] = _somebodys_key(name)
        if source.type == "sns":
            values[naming.logical_id(name, "TopicArn")] = _somebodys_topic(name)
    stack = ResolvedTemplate(template, values)
    queues = {name: _queue(stack, name) for name in plan.queues}
    sources = tuple(
        _source(stack, plan, name, queues[source.queue]) for name, source in plan.sources.items()
    )
    return StackModel(template, values, plan=plan, sources=sources, queues=tuple(queues.values()))


def _queue(stack: ResolvedTemplate, name: str) -> Queue:
    work, dead = (naming.logical_id(name, noun) for noun in ("WorkQueue", "DeadLetterQueue"))
    return Queue(
        work=f"<{work}.Arn>",
        work_named=_arn("sqs", stack.properties(work)["QueueName"]),
        work_policy=f"{work}Policy",
        dead_letters=f"<{dead}.Arn>",
        dead_letters_named=_arn("sqs", stack.properties(dead)["QueueName"]),
        dead_letter_policy=f"{dead}Policy",
        function=_arn(
            "lambda",
            f"function:{stack.properties(naming.logical_id(name, 'Worker'))['FunctionName']}",
        ),
    )


def _source(stack: ResolvedTemplate, plan: Specification, name: str, queue: Queue) -> Source:
    settings = plan.sources[name]
    common: dict[str, Any] = {
        "prefixes": settings.prefixes,
        "output_prefix": plan.output_prefix(name),
        "queue": queue,
    }
    if settings.type == "s3":
        title = naming.logical_id(name, "UploadBucket")
        return Source(
            bucket=f"<{title}.Arn>",
            policy=f"{title}Policy",
            key="",
            reads_current=settings.propagate_deletes,
            service="s3.amazonaws.com",
            announcer=f"arn:aws:s3:::{stack.properties(title)['BucketName']}",
            account=ACCOUNT,
            **common,
        )
    common |= {
        "bucket": f"arn:aws:s3:::{stack.parameter(naming.logical_id(name, 'BucketName'))}",
        "policy": "",
        "key": _somebodys_key(name),
        "reads_current": True,  # it may keep no versions
    }
    if settings.type == "sns":
        return Source(
            service="sns.amazonaws.com",
            announcer=_somebodys_topic(name),
            account=OTHER_ACCOUNT,
            **common,
        )
    rule = stack.properties(naming.logical_id(name, "NotificationRule"))["Name"]
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
