"""Rules about what feeds a queue besides S3 itself: EventBridge's rules and SNS's topics."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.policy_documents import as_list
from darkroom.iam.evaluator import Request, allowed, like
from darkroom.lint.rule import Problems, rule

EVENTBRIDGE = "https://docs.aws.amazon.com/eventbridge/latest/userguide"
SNS = "https://docs.aws.amazon.com/sns/latest/dg"
LONGEST_PATTERN = 2048


@dataclass(frozen=True)
class Delivery:
    """A way that a service takes to a queue of the stack, on behalf of `source`, an ARN.

    `title` is the rule or subscription.
    """

    title: str
    service: str
    source: str
    queue: str


def deliveries(stack: TemplateModel) -> Iterator[Delivery]:
    """Yield each way to a work queue, and to where what cannot be delivered is kept."""
    for title, service, source, ends in _feeds(stack):
        for end in ends:
            if queue := stack.logical_id(end, "SQS::Queue"):
                yield Delivery(title, service, source, queue)


def _feeds(stack: TemplateModel) -> Iterator[tuple[str, str, str, list[Any]]]:
    for title, one in stack.resources_of_type("Events::Rule").items():
        for target in one.get("Targets", []):
            ends = [target.get("Arn"), target.get("DeadLetterConfig", {}).get("Arn")]
            yield title, "events.amazonaws.com", stack.arn(title), ends
    for title, one in _subscriptions(stack):
        topic = str(one.get("TopicArn"))
        ends = [one.get("Endpoint"), _redrive(one).get("deadLetterTargetArn")]
        yield title, "sns.amazonaws.com", topic, ends


def _subscriptions(stack: TemplateModel) -> Iterator[tuple[str, dict[str, Any]]]:
    for title, one in stack.resources_of_type("SNS::Subscription").items():
        if one.get("Protocol") == "sqs":
            yield title, one


def _redrive(subscription: dict[str, Any]) -> dict[str, Any]:
    policy = subscription.get("RedrivePolicy", {})
    found: dict[str, Any] = json.loads(policy) if isinstance(policy, str) else policy
    return found


def _patterns(stack: TemplateModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rules of the stack's queues that look at S3's events, with their pattern."""
    fed = {one.title for one in deliveries(stack)}
    for title, one in stack.resources_of_type("Events::Rule").items():
        pattern = one.get("EventPattern", {})
        if title in fed and isinstance(pattern, dict) and "aws.s3" in pattern.get("source", []):
            yield title, pattern


@rule(
    "DR-SQS-009",
    "error",
    remediation=(
        "Allow the sender's service sqs:SendMessage on the queue, with aws:SourceArn the rule or"
        " topic."
    ),
    source=f"{EVENTBRIDGE}/eb-use-resource-based.html",
    requirements=("T5",),
    pitfalls=(32,),
)
def sqs_policy_event_source(stack: TemplateModel) -> Problems:
    """A queue's policy lets exactly its EventBridge rule or SNS topic send.

    EventBridge and SNS drop what a queue refuses; one that admits all takes anybody's.
    """
    for one in dict.fromkeys(deliveries(stack)):
        for source, may in ((one.source, True), (f"{one.source}-other", False)):
            request = Request(
                action="sqs:SendMessage",
                resource=stack.arn(one.queue),
                principal=one.service,
                context={
                    "aws:SourceArn": source,
                    "aws:SourceAccount": stack.account,
                    "aws:SecureTransport": "true",
                    "aws:PrincipalIsAWSService": "true",
                },
            )
            if allowed(stack.resource_policy_statements(one.queue), request) is not may:
                says = "may not send to" if may else "is not the only one that may send to"
                yield one.title, f"{says} {one.queue}, by its policy for {one.service}"


@rule(
    "DR-EVENTS-001",
    "error",
    remediation="Give the rule's target a DeadLetterConfig, the subscription a RedrivePolicy.",
    source=f"{EVENTBRIDGE}/eb-rule-dlq.html",
    requirements=("R2", "T5"),
)
def events_target_dlq(stack: TemplateModel) -> Problems:
    """Rule targets and queue subscriptions have a dead-letter queue.

    After a day of tries, and at once where a right is missing, the event is gone for ever.
    """
    for title, one in stack.resources_of_type("Events::Rule").items():
        for target in one.get("Targets", []):
            queue = stack.logical_id(target.get("Arn"), "SQS::Queue")
            if queue and not target.get("DeadLetterConfig", {}).get("Arn"):
                yield title, f"drops what it cannot deliver to {queue}"
    for title, one in _subscriptions(stack):
        if not _redrive(one).get("deadLetterTargetArn"):
            yield title, "drops what it cannot deliver"


@rule(
    "DR-EVENTS-002",
    "error",
    remediation="Let the rule or subscription depend on the queues' policies (DependsOn).",
    source=f"{SNS}/sns-dead-letter-queues.html",
    requirements=("T5",),
    pitfalls=(1,),
)
def events_target_depends_on_policy(stack: TemplateModel) -> Problems:
    """Rules and queue subscriptions depend on the queue's policy.

    What comes before the policy is refused, which neither service tries again.
    """
    for one in dict.fromkeys(deliveries(stack)):
        for policy in stack.resource_policies(one.queue):
            if policy not in stack.dependencies(one.title):
                yield one.title, f"does not wait for {policy}"


@rule(
    "DR-SNS-001",
    "error",
    remediation="Remove the FilterPolicy; let the function decide.",
    source=f"{SNS}/sns-message-filtering.html",
    requirements=("T5",),
    pitfalls=(9,),
)
def sns_subscription_no_filter(stack: TemplateModel) -> Problems:
    """A queue's subscription has no filter policy.

    What a filter does not match is lost without a trace, and the shape is somebody else's.
    """
    for title, one in _subscriptions(stack):
        if one.get("FilterPolicy"):
            yield title, "has a FilterPolicy"


@rule(
    "DR-EVENTS-003",
    "warning",
    remediation=(
        "Name detail-type, detail.bucket.name and the prefixes in detail.object.key of the pattern."
    ),
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events-list.html",
    requirements=("T2", "T5"),
)
def events_pattern_scope(stack: TemplateModel) -> Problems:
    """A pattern for S3 events names the event, the bucket and the key's prefix.

    A pattern that leaves one out brings every bucket's events, or every kind, of an account.
    """
    for title, pattern in _patterns(stack):
        detail = pattern.get("detail", {})
        for what, named in (
            ("kind of event", pattern.get("detail-type")),
            ("bucket", detail.get("bucket", {}).get("name")),
            ("key", detail.get("object", {}).get("key")),
        ):
            if not named:
                yield title, f"takes every {what}"
        if len(text := json.dumps(pattern)) > LONGEST_PATTERN:
            yield title, f"has a pattern of {len(text)} characters; {LONGEST_PATTERN} are allowed"


@rule(
    "DR-IAM-002",
    "warning",
    remediation=(
        "Name in the role's and the endpoint's statements the prefixes that the rule names."
    ),
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
    requirements=("S5", "S6", "T5"),
)
def iam_external_bucket_prefix(stack: TemplateModel) -> Problems:
    """Objects of an external bucket are read only under the prefixes of its rule.

    What lies beside them in somebody's bucket is not this stack's to read.
    """
    for _, pattern in _patterns(stack):
        keys = pattern.get("detail", {}).get("object", {}).get("key", [])
        prefixes = [one["prefix"] for one in keys if isinstance(one, dict) and "prefix" in one]
        for name in pattern.get("detail", {}).get("bucket", {}).get("name", []):
            elsewhere = f"arn:{stack.pseudo('Partition')}:s3:::{name}/-/elsewhere"
            if not prefixes or any("-/elsewhere".startswith(prefix) for prefix in prefixes):
                continue
            for title, statement in stack.all_statements():
                actions = [str(one).lower() for one in as_list(statement.get("Action", []))]
                reads = [one for one in actions if one.startswith("s3:getobject")]
                if statement["Effect"] == "Allow" and any(
                    like(str(one), elsewhere) for one in statement.get("Resource", []) if reads
                ):
                    yield title, f"reads {name} beside {', '.join(prefixes)}"
