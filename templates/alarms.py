"""When to wake someone, and how the message reaches them."""

from dataclasses import dataclass
from typing import Any

import awacs.sns as sns
from troposphere import AWSHelperFn, GetAtt, Ref, Sub, Template
from troposphere.awslambda import Function
from troposphere.cloudwatch import Alarm, Metric, MetricDataQuery, MetricDimension, MetricStat
from troposphere.firehose import DeliveryStream
from troposphere.s3 import Bucket
from troposphere.sns import SubscriptionResource, Topic, TopicPolicy
from troposphere.sqs import Queue

from templates import buckets, naming, policies
from templates.dashboard import NAMESPACE, VISIBLE
from templates.parameters.capacity import Capacity
from templates.policies import Arn
from templates.queues import Queues
from templates.specification import ProcessingQueue

MINUTE = 60  # seconds
DAY = 24 * 60 * MINUTE

# The oldest message has waited for that many visibility timeouts: retries alone explain one.
LATE_VISIBILITIES = 3

# An invocation of that much of the time-out is near it: a slower minute at S3 is all it takes.
NEAR_TIMEOUT_PERCENT = 80

# So many of an hour's pictures are rejected, and there were enough of them to say so: somebody
# sends what is no picture, or sends a kind that the worker does not know.
REJECTED_PERCENT = 20
REJECTED_OF_PICTURES = 20

# Of the oldest record not yet delivered: Firehose collects for 300 by default.
LATE_DELIVERY_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Where alarms go: `page` is for what stops the work, `ticket` for what can wait a day."""

    page: Topic
    ticket: Topic


def add_topics(
    template: Template,
    *,
    key_arn: Arn,
    page_email: Ref,
    has_page_email: str,
    ticket_email: AWSHelperFn,
    has_ticket_email: str,
) -> Topics:
    """Add both topics, who may publish, and the subscriptions where there is an address."""
    page, ticket = (
        template.add_resource(Topic(title, TopicName=naming.name(role), KmsMasterKeyId=key_arn))
        for title, role in (
            ("CriticalAlarmTopic", "critical-alarms"),
            ("WarningAlarmTopic", "warning-alarms"),
        )
    )
    arns = [Ref(page), Ref(ticket)]
    template.add_resource(
        TopicPolicy(
            "AlarmTopicPolicy",
            Topics=arns,
            PolicyDocument=policies.document(
                policies.allow(
                    "PublishAlarms",
                    [sns.Publish],
                    arns,
                    policies.from_this_account(),
                    policies.on_behalf_of(
                        Sub(
                            "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}"
                            f":alarm:${{{naming.NAME_PREFIX}}}-*"
                        )
                    ),
                    principal=policies.service("cloudwatch.amazonaws.com"),
                ),
                policies.deny_plaintext([sns.Publish], arns),
            ),
        )
    )
    for title, topic, email, condition in (
        ("CriticalAlarmSubscription", page, page_email, has_page_email),
        ("WarningAlarmSubscription", ticket, ticket_email, has_ticket_email),
    ):
        template.add_resource(
            SubscriptionResource(
                title, Condition=condition, TopicArn=Ref(topic), Protocol="email", Endpoint=email
            )
        )
    return Topics(page=page, ticket=ticket)


def watch_queue(
    template: Template,
    topics: Topics,
    *,
    queue: str,
    settings: ProcessingQueue,
    queues: Queues,
    function: Function,
    capacity: Capacity,
) -> None:
    """Add the alarms on a queue's queues and on the function that empties them."""
    page = _Adding(template, topics.page, queue)
    ticket = _Adding(template, topics.ticket, queue)
    waiting = _of_queue(queues.work, VISIBLE)

    page.alarm(
        "DeadLetterAlarm",
        "dead-letters",
        "Messages failed every try",
        "Read the log, mend, redrive",
        **_plain(_of_queue(queues.dead_letters, VISIBLE), "Maximum", 1 * MINUTE),
        EvaluationPeriods=1,
        Threshold=0,
    )
    page.alarm(
        "QueueAgeAlarm",
        "queue-age",
        "Work waits too long",
        "Look whether any is taken",
        **_plain(_of_queue(queues.work, "ApproximateAgeOfOldestMessage"), "Maximum", 1 * MINUTE),
        EvaluationPeriods=5,
        Threshold=LATE_VISIBILITIES * settings.visibility_seconds,
    )
    # Three periods in a row, here and below: what ends by itself, like a deployment, wakes nobody.
    page.alarm(
        "WorkerErrorAlarm",
        "worker-errors",
        "Whole invocations keep failing",
        "Read the log",
        **_plain(_of_function(function, "Errors"), "Sum", 5 * MINUTE),
        EvaluationPeriods=3,
        Threshold=0,
    )
    page.alarm(
        "QueueNotConsumedAlarm",
        "queue-not-consumed",
        "Work waits and none is begun",
        "See mapping and key",
        Metrics=_expression(
            # Without an invocation Lambda sends no datum.
            "IF(waiting>0 AND FILL(begun,0)==0,1,0)",
            # While all slots run to the time-out, none is begun either.
            period=max(5, -(-settings.timeout_seconds // MINUTE)) * MINUTE,
            waiting=(waiting, "Maximum"),
            begun=(_of_function(function, "Invocations"), "Sum"),
        ),
        EvaluationPeriods=3,
        Threshold=0,
    )
    ticket.alarm(
        "WorkerThrottleAlarm",
        "worker-throttles",
        "Lambda keeps refusing invocations",
        "See the account's use",
        **_plain(_of_function(function, "Throttles"), "Sum", 5 * MINUTE),
        EvaluationPeriods=3,
        Threshold=0,
    )
    ticket.alarm(
        "WorkerDurationAlarm",
        "duration-near-timeout",
        "Invocations end close to the time-out",
        "Find the pictures",
        **_plain(_of_function(function, "Duration"), "Maximum", 5 * MINUTE),
        EvaluationPeriods=12,
        DatapointsToAlarm=3,
        Threshold=settings.timeout_seconds * 1000 * NEAR_TIMEOUT_PERCENT // 100,
    )
    used = _of_function(function, "ConcurrentExecutions")
    ticket.alarm(
        "ConcurrencyLimitAlarm",
        "concurrency-limit-reached",
        "All slots are in use all the time",
        "Look whether work waits",
        **_plain(used, "Maximum", 1 * MINUTE)
        if capacity.batches_each == 1
        # Only metric math has arithmetic.
        else {
            "Metrics": _expression(
                f"used/{capacity.batches_each}", period=1 * MINUTE, used=(used, "Maximum")
            )
        },
        EvaluationPeriods=30,
        DatapointsToAlarm=27,  # not always is there a batch for each slot at one moment
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        Threshold=capacity.maximum,
    )
    # What one slot does in a day, if every batch takes all the time there is.
    ticket.alarm(
        "QueueDepthAlarm",
        "queue-depth",
        "Thousands of messages wait",
        "Look whether it grows",
        **_plain(waiting, "Minimum", 5 * MINUTE),
        EvaluationPeriods=3,
        Threshold=DAY // settings.timeout_seconds * settings.batch_size,
    )
    pictures, rejected = (
        _metric(NAMESPACE, name, FunctionName=Ref(function)) for name in ("ImagesProcessed", "Rejected")
    )
    ticket.alarm(
        "RejectionAlarm",
        "rejections",
        f"Over {REJECTED_PERCENT}% of the pictures are rejected",
        "Read the reasons",
        Metrics=_expression(
            f"IF(pictures>={REJECTED_OF_PICTURES},100*rejected/pictures,0)",
            period=60 * MINUTE,
            pictures=(pictures, "Sum"),
            rejected=(rejected, "Sum"),
        ),
        EvaluationPeriods=1,
        Threshold=REJECTED_PERCENT,
    )


def watch_uploads(
    template: Template,
    topics: Topics,
    *,
    source: str,
    uploads: Bucket,
    queues: Queues,
    watches_uploads: str,
) -> None:
    """Add the alarm on uploads to a source's bucket that no message on its queue's queue follows.

    It needs S3's request metrics, which cost by the month: hence the condition `watches_uploads`.
    """
    puts = _metric(
        "AWS/S3", "PutRequests", BucketName=Ref(uploads), FilterId=buckets.REQUEST_METRICS
    )
    _Adding(template, topics.page, source).alarm(
        "MissingNotificationAlarm",
        "missing-notifications",
        "Uploads arrive and none is announced",
        "See the notifications",
        Condition=watches_uploads,
        # Two periods in a row, none of them missing: what is announced late is in the second.
        Metrics=_expression(
            "IF(FILL(puts,0)>0 AND FILL(sent,0)==0,1,0)",
            period=15 * MINUTE,
            puts=(puts, "Sum"),
            sent=(_of_queue(queues.work, "NumberOfMessagesSent"), "Sum"),
        ),
        EvaluationPeriods=2,
        Threshold=0,
    )


def watch_delivery(
    template: Template, topics: Topics, *, kind: str, stream: DeliveryStream
) -> None:
    """Add the alarm on a kind of log that does not reach its bucket."""
    _Adding(template, topics.ticket, kind).alarm(
        "LogDeliveryAlarm",
        "log-delivery",
        "Logs do not reach their bucket",
        "Read the delivery log",
        **_plain(
            _metric("AWS/Firehose", "DeliveryToS3.DataFreshness", DeliveryStreamName=Ref(stream)),
            "Maximum",
            5 * MINUTE,
        ),
        EvaluationPeriods=3,
        Threshold=LATE_DELIVERY_SECONDS,
    )


@dataclass(frozen=True)
class _Adding:
    """Adds alarms on what belongs to a queue or source, `owner`; they go to one topic."""

    template: Template
    topic: Topic
    owner: str

    def alarm(self, title: str, role: str, meaning: str, first: str, **settings: Any) -> None:
        """Add an alarm: what it means, what to do first, and the runbook's section, its role."""
        defaults = {
            "ComparisonOperator": "GreaterThanThreshold",
            # Nothing measured is nothing wrong, for counts of faults and of waiting (trap 33).
            "TreatMissingData": "notBreaching",
        }
        self.template.add_resource(
            Alarm(
                naming.logical_id(self.owner, title),
                AlarmName=naming.name(naming.name_suffix(self.owner, role)),
                AlarmDescription=f"{meaning}. {first}: docs/runbook.md#{role}",
                AlarmActions=[Ref(self.topic)],
                OKActions=[Ref(self.topic)],
                **{**defaults, **settings},
            )
        )


def _metric(namespace: str, name: str, **dimensions: Any) -> dict[str, Any]:
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [MetricDimension(Name=key, Value=value) for key, value in dimensions.items()],
    }


def _plain(metric: dict[str, Any], statistic: str, period: int) -> dict[str, Any]:
    return {**metric, "Statistic": statistic, "Period": period}


def _of_queue(queue: Queue, name: str) -> dict[str, Any]:
    return _metric("AWS/SQS", name, QueueName=GetAtt(queue, "QueueName"))


def _of_function(function: Function, name: str) -> dict[str, Any]:
    return _metric("AWS/Lambda", name, FunctionName=Ref(function))


def _expression(
    expression: str, *, period: int, **metrics: tuple[dict[str, Any], str]
) -> list[MetricDataQuery]:
    """Return the expression and, by the names it uses, the metrics with their statistics."""
    return [
        MetricDataQuery(Id="r", Expression=expression),
        *(
            MetricDataQuery(
                Id=name,
                MetricStat=MetricStat(Metric=Metric(**metric), Period=period, Stat=statistic),
                ReturnData=False,
            )
            for name, (metric, statistic) in metrics.items()
        ),
    ]
