"""Rules about what feeds a queue besides S3 itself: EventBridge's rules and SNS's topics."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.policy_documents import as_list
from darkroom.iam.evaluator import allowed, like
from darkroom.iam.expectations.requests import by_service
from darkroom.lint.rule import Problems, rule
from templates.limits import MAX_EVENT_PATTERN_CHARACTERS

EVENTBRIDGE = "https://docs.aws.amazon.com/eventbridge/latest/userguide"
SNS = "https://docs.aws.amazon.com/sns/latest/dg"


@dataclass(frozen=True)
class Delivery:
    """A way that a service takes to a queue of the template, on behalf of `source`, an ARN.

    `title` is the rule or subscription.
    """

    title: str
    service: str
    source: str
    queue: str


def deliveries(model: TemplateModel) -> Iterator[Delivery]:
    """Yield each way to a work queue, and to where what cannot be delivered is kept."""
    for title, service, source, ends in _producers(model):
        for end in ends:
            if queue := model.logical_id(end, "SQS::Queue"):
                yield Delivery(title, service, source, queue)


def _producers(model: TemplateModel) -> Iterator[tuple[str, str, str, list[Any]]]:
    for title, one in model.resources_of_type("Events::Rule").items():
        for target in one.get("Targets", []):
            ends = [target.get("Arn"), target.get("DeadLetterConfig", {}).get("Arn")]
            yield title, "events.amazonaws.com", model.arn(title), ends
    for title, one in _subscriptions(model):
        topic = str(one.get("TopicArn"))
        ends = [one.get("Endpoint"), _redrive(one).get("deadLetterTargetArn")]
        yield title, "sns.amazonaws.com", topic, ends


def _subscriptions(model: TemplateModel) -> Iterator[tuple[str, dict[str, Any]]]:
    for title, one in model.resources_of_type("SNS::Subscription").items():
        if one.get("Protocol") == "sqs":
            yield title, one


def _redrive(subscription: dict[str, Any]) -> dict[str, Any]:
    policy = subscription.get("RedrivePolicy", {})
    found: dict[str, Any] = json.loads(policy) if isinstance(policy, str) else policy
    return found


def _patterns(model: TemplateModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rules of the stack's queues that look at S3's events, with their pattern."""
    fed = {one.title for one in deliveries(model)}
    for title, one in model.resources_of_type("Events::Rule").items():
        pattern = one.get("EventPattern", {})
        if title in fed and isinstance(pattern, dict) and "aws.s3" in pattern.get("source", []):
            yield title, pattern


@rule(
    "DR-SQS-009",
    "error",
    remediation=(
        "Allow the service sqs:SendMessage on the queue, with aws:SourceArn the rule or topic."
    ),
    source=f"{EVENTBRIDGE}/eb-use-resource-based.html",
    requirements=("T5",),
    pitfalls=(32,),
)
def sqs_policy_event_source(model: TemplateModel) -> Problems:
    """A queue's policy lets exactly its EventBridge rule or SNS topic send.

    EventBridge and SNS drop what a queue rejects; a policy that is too wide lets any rule or
    topic send.
    """
    for one in dict.fromkeys(deliveries(model)):
        for source, may in ((one.source, True), (f"{one.source}-other", False)):
            request = by_service(
                one.service, "sqs:SendMessage", model.arn(one.queue), **{"aws:SourceArn": source}
            )
            if allowed(model.resource_policy_statements(one.queue), request) is not may:
                says = "may not send to" if may else "is not the only one that may send to"
                yield one.title, f"{says} {one.queue}, by its policy for {one.service}"


@rule(
    "DR-EVENTS-001",
    "error",
    remediation="Give the rule's target a DeadLetterConfig, the subscription a RedrivePolicy.",
    source=f"{EVENTBRIDGE}/eb-rule-dlq.html",
    requirements=("R2", "T5"),
)
def events_target_dlq(model: TemplateModel) -> Problems:
    """Rule targets and queue subscriptions have a dead-letter queue.

    After 24 hours of retries, or at once where a permission is missing, the event is lost.
    """
    for title, one in model.resources_of_type("Events::Rule").items():
        for target in one.get("Targets", []):
            queue = model.logical_id(target.get("Arn"), "SQS::Queue")
            if queue and not target.get("DeadLetterConfig", {}).get("Arn"):
                yield title, f"drops events that it cannot deliver to {queue}"
    for title, one in _subscriptions(model):
        if not _redrive(one).get("deadLetterTargetArn"):
            yield title, "drops messages that it cannot deliver"


@rule(
    "DR-EVENTS-002",
    "error",
    remediation="Let the rule or subscription depend on the queues' policies (DependsOn).",
    source=f"{SNS}/sns-dead-letter-queues.html",
    requirements=("T5",),
    pitfalls=(1,),
)
def events_target_depends_on_policy(model: TemplateModel) -> Problems:
    """Rules and queue subscriptions depend on the queue's policy.

    A message that comes before the policy is rejected, and neither service retries it.
    """
    for one in dict.fromkeys(deliveries(model)):
        for policy in model.resource_policies(one.queue):
            if policy not in model.dependencies(one.title):
                yield one.title, f"does not depend on {policy}"


@rule(
    "DR-SNS-001",
    "error",
    remediation="Remove the FilterPolicy; let the function decide.",
    source=f"{SNS}/sns-message-filtering.html",
    requirements=("T5",),
    pitfalls=(9,),
)
def sns_subscription_no_filter(model: TemplateModel) -> Problems:
    """A queue's subscription has no filter policy.

    A message that the filter does not match is lost without a trace, and its publisher decides
    its shape.
    """
    for title, one in _subscriptions(model):
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
def events_pattern_scope(model: TemplateModel) -> Problems:
    """A pattern for S3 events names the event, the bucket and the key's prefix.

    A pattern without one of these matches the events of every bucket, or every kind of event,
    in the account.
    """
    for title, pattern in _patterns(model):
        detail = pattern.get("detail", {})
        for what, named in (
            ("kind of event", pattern.get("detail-type")),
            ("bucket", detail.get("bucket", {}).get("name")),
            ("key", detail.get("object", {}).get("key")),
        ):
            if not named:
                yield title, f"matches every {what}"
        if len(text := json.dumps(pattern)) > MAX_EVENT_PATTERN_CHARACTERS:
            yield (
                title,
                f"has a pattern of {len(text)} characters;"
                f" {MAX_EVENT_PATTERN_CHARACTERS} are allowed",
            )


@rule(
    "DR-IAM-002",
    "warning",
    remediation=(
        "Name the prefixes of the rule in the statements of the role and of the endpoint."
    ),
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
    requirements=("S5", "S6", "T5"),
)
def iam_external_bucket_prefix(model: TemplateModel) -> Problems:
    """Objects of an external bucket are read only under the prefixes of its rule.

    The other objects of an external bucket are not for this stack to read.
    """
    for _, pattern in _patterns(model):
        keys = pattern.get("detail", {}).get("object", {}).get("key", [])
        prefixes = [one["prefix"] for one in keys if isinstance(one, dict) and "prefix" in one]
        for name in pattern.get("detail", {}).get("bucket", {}).get("name", []):
            elsewhere = f"arn:{model.pseudo('Partition')}:s3:::{name}/-/elsewhere"
            if not prefixes or any("-/elsewhere".startswith(prefix) for prefix in prefixes):
                continue
            for title, statement in model.all_statements():
                actions = [str(one).lower() for one in as_list(statement.get("Action", []))]
                reads = [one for one in actions if one.startswith("s3:getobject")]
                if statement["Effect"] == "Allow" and any(
                    like(str(one), elsewhere) for one in statement.get("Resource", []) if reads
                ):
                    yield title, f"may read {name} outside of {', '.join(prefixes)}"
