"""Rules about alarms."""

import re
from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.model import TemplateModel, number
from darkroom.cloudformation.policy_documents import as_list
from darkroom.iam.evaluator import allowed
from darkroom.iam.expectations.requests import by_service
from darkroom.lint.metrics import metric_problems
from darkroom.lint.rule import Problems, rule

ALARMS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring"
SQS_METRICS = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
    "sqs-available-cloudwatch-metrics.html"
)


# Metrics that are levels, not counts: a quantity at a moment, or a duration.
LEVELS = {
    "ApproximateAgeOfOldestMessage",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesVisible",
    "ClaimedAccountConcurrency",
    "ConcurrentExecutions",
    "Duration",
    "UnreservedConcurrentExecutions",
}
SECONDS_OF_A_DAY = 24 * 3600
MAX_METRICS = 10  # of an alarm on an expression
FEWEST_WORDS = 4  # a description with fewer is not an instruction


def _watched(alarm: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield namespace, metric and dimensions of all that an alarm looks at."""
    for one in [
        alarm,
        *(each.get("MetricStat", {}).get("Metric", {}) for each in alarm.get("Metrics", [])),
    ]:
        if "Namespace" in one:
            dimensions = {each["Name"]: str(each["Value"]) for each in one.get("Dimensions", [])}
            yield str(one["Namespace"]), str(one.get("MetricName")), dimensions


@rule(
    "DR-CLOUDWATCH-001",
    "error",
    remediation=(
        "Name a resource of the stack in the dimension: {Fn::GetAtt: [Queue, QueueName]}, {Ref: …}."
    ),
    source=SQS_METRICS,
    requirements=("O2",),
)
def cloudwatch_alarm_metric(model: TemplateModel) -> Problems:
    """An alarm's metrics exist and belong to resources of the template.

    A metric that does not exist has no data, and its alarm never fires.
    """
    for title, alarm in model.resources_of_type("CloudWatch::Alarm").items():
        for metric in _watched(alarm):
            for wrong in metric_problems(model, *metric):
                yield title, wrong


@rule(
    "DR-CLOUDWATCH-002",
    "warning",
    remediation="State TreatMissingData: notBreaching for counts of faults.",
    source=f"{ALARMS}/alarms-and-missing-data.html",
    requirements=("O2",),
    pitfalls=(33,),
)
def cloudwatch_alarm_missing_data(model: TemplateModel) -> Problems:
    """An alarm states how it treats missing data.

    The default, missing, keeps an alarm on faults in ALARM or in INSUFFICIENT_DATA.
    """
    for title, alarm in model.resources_of_type("CloudWatch::Alarm").items():
        if "TreatMissingData" not in alarm:
            yield title, "does not state TreatMissingData"
        elif alarm["TreatMissingData"] in ("missing", "ignore"):
            yield title, f"treats missing data as {alarm['TreatMissingData']}"


@rule(
    "DR-CLOUDWATCH-003",
    "error",
    remediation=(
        "Use Maximum for levels and durations; periods of 10, 20, 30 or a multiple of 60 seconds;"
        " an evaluation of at most a day; no more DatapointsToAlarm than EvaluationPeriods."
    ),
    source=f"{ALARMS}/alarm-evaluation.html",
    requirements=("O2",),
)
def cloudwatch_alarm_evaluation(model: TemplateModel) -> Problems:
    """An alarm's statistic, period and evaluation window fit its metric and CloudWatch's limits.

    CloudWatch rejects some of these; a sum of levels grows with the period and means nothing.
    """
    for title, alarm in model.resources_of_type("CloudWatch::Alarm").items():
        periods = number(alarm.get("EvaluationPeriods"))
        if (number(alarm.get("DatapointsToAlarm")) or 0) > (periods or 0):
            yield title, "needs more breaching data points than it evaluates"
        for metric, statistic, given in _statistics(alarm):
            # In an expression the sum of durations is the time that is paid for.
            is_paid = metric == "Duration" and "Metrics" in alarm
            if metric in LEVELS and statistic == "Sum" and not is_paid:
                yield title, f"adds up {metric}, which is not a count"
            period = number(given) or 0
            if period not in (10, 20, 30) and (period % 60 or not period):
                yield title, f"has a period of {given} seconds"
            elif period < 3600 and period * (periods or 0) > SECONDS_OF_A_DAY:
                yield title, "evaluates more than a day"


def _statistics(alarm: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield metric, statistic and period of all that an alarm looks at."""
    if "MetricName" in alarm:
        yield str(alarm["MetricName"]), str(alarm.get("Statistic")), alarm.get("Period")
    for one in alarm.get("Metrics", []):
        if "MetricStat" in one:
            stat = one["MetricStat"]
            yield str(stat["Metric"].get("MetricName")), str(stat.get("Stat")), stat.get("Period")


@rule(
    "DR-CLOUDWATCH-004",
    "error",
    remediation=(
        "Give a metric of the alarm the id that the expression uses, and return one result."
    ),
    source=f"{ALARMS}/using-metric-math.html",
    requirements=("O2",),
)
def cloudwatch_alarm_expression(model: TemplateModel) -> Problems:
    """An alarm's expressions use its own metrics and return one result.

    An expression over an id that does not exist is rejected, or never has a value.
    """
    for title, alarm in model.resources_of_type("CloudWatch::Alarm").items():
        queries = alarm.get("Metrics", [])
        ids = {one.get("Id") for one in queries}
        for one in queries:
            for name in re.findall(r"\b[a-z]\w*", str(one.get("Expression", ""))):
                if name not in ids:
                    yield title, f"computes from {name}, which is not a metric of the alarm"
        if queries and sum(str(one.get("ReturnData")).lower() != "false" for one in queries) != 1:
            yield title, "does not return one result"


@rule(
    "DR-CLOUDWATCH-014",
    "error",
    remediation="Split the alarm, or send one metric in the place of several.",
    source=f"{ALARMS}/alarm-limits.html",
    requirements=("O2",),
    pitfalls=(85,),
)
def cloudwatch_alarm_metric_count(model: TemplateModel) -> Problems:
    """An alarm on an expression has at most ten metrics.

    CloudWatch refuses more, in the middle of a deployment; the limit cannot be raised.
    """
    for title, alarm in model.resources_of_type("CloudWatch::Alarm").items():
        count = sum("MetricStat" in one for one in alarm.get("Metrics", []))
        if count > MAX_METRICS:
            yield title, f"computes from {count} metrics"


@rule(
    "DR-CLOUDWATCH-005",
    "info",
    remediation="Set AlarmDescription: what it means, what to do first, where to read more.",
    source=f"{ALARMS}/Best_Practice_Recommended_Alarms_AWS_Services.html",
    requirements=("O2",),
)
def cloudwatch_alarm_description(model: TemplateModel) -> Problems:
    """An alarm's description says what it means and what to do.

    The description is all that the person on call has at three in the morning.
    """
    for title, alarm in model.resources_of_type("CloudWatch::Alarm").items():
        if len(str(alarm.get("AlarmDescription", "")).split()) < FEWEST_WORDS:
            yield title, "has no description that says what it means and what to do"


@rule(
    "DR-CLOUDWATCH-006",
    "warning",
    remediation="Set AlarmActions to a topic that people subscribe to.",
    source=f"{ALARMS}/Notify_Users_Alarm_Changes.html",
    requirements=("O2", "O5"),
)
def cloudwatch_alarm_action(model: TemplateModel) -> Problems:
    """An alarm has an action.

    An alarm without an action notifies nobody.
    """
    for title, alarm in model.resources_of_type("CloudWatch::Alarm").items():
        if not alarm.get("AlarmActions") or str(alarm.get("ActionsEnabled")).lower() == "false":
            yield title, "has no action"


@rule(
    "DR-SNS-002",
    "error",
    remediation=(
        "Allow cloudwatch.amazonaws.com sns:Publish in the topic's policy, for this account's"
        " alarms."
    ),
    source=f"{ALARMS}/Notify_Users_Alarm_Changes.html",
    requirements=("O5",),
    pitfalls=(32,),
)
def sns_policy_alarms(model: TemplateModel) -> Problems:
    """A topic's policy lets its alarms publish.

    A topic policy of your own replaces the default one, which lets the account's alarms
    publish.
    """
    for title, alarm in model.resources_of_type("CloudWatch::Alarm").items():
        for action in [*alarm.get("AlarmActions", []), *alarm.get("OKActions", [])]:
            topic = model.logical_id(action, "SNS::Topic")
            if not topic or not model.resource_policies(topic):
                continue
            request = by_service(
                "cloudwatch.amazonaws.com",
                "sns:Publish",
                model.arn(topic),
                **{"aws:SourceArn": model.arn(title)},
            )
            if not allowed(model.resource_policy_statements(topic), request):
                yield title, f"may not publish to {topic}"
                break


@rule(
    "DR-SNS-003",
    "warning",
    remediation=(
        "Write one AWS::SNS::TopicPolicy for each topic, and name this topic in each statement."
    ),
    source="https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html",
    requirements=("O5",),
    pitfalls=(66,),
)
def sns_policy_one_topic(model: TemplateModel) -> Problems:
    """A topic policy covers one topic.

    A statement may have one resource, the ARN of the policy's topic.
    """
    for title, properties in model.resources_of_type("SNS::TopicPolicy").items():
        topics = properties.get("Topics", [])
        for statement in as_list(properties.get("PolicyDocument", {}).get("Statement")):
            named = as_list(statement.get("Resource"))
            if len(topics) > 1 or len(named) > 1 or (named != ["*"] and named != topics):
                yield title, f"covers {len(topics)} topics and names {named}"
                break


@rule(
    "DR-CLOUDWATCH-007",
    "warning",
    remediation=(
        "Add an alarm on ApproximateNumberOfMessagesVisible of the dead-letter queue, above 0."
    ),
    source=SQS_METRICS,
    requirements=("O2",),
    pitfalls=(34,),
)
def cloudwatch_dlq_alarm(model: TemplateModel) -> Problems:
    """Each dead-letter queue has an alarm on its depth.

    The queue's age metric ignores messages that were received often: only the depth of the
    dead-letter queue shows them.
    """
    depth = "ApproximateNumberOfMessagesVisible"
    seen = {
        dimensions.get("QueueName")
        for alarm in model.resources_of_type("CloudWatch::Alarm").values()
        for _, metric, dimensions in _watched(alarm)
        if metric == depth and str(alarm.get("ComparisonOperator")).startswith("Greater")
    }
    for title, queue in model.resources_of_type("SQS::Queue").items():
        target = model.logical_id(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn"))
        if target and model.name(target) not in seen:
            yield target, f"is the dead-letter queue of {title}, and no alarm watches its depth"


@rule(
    "DR-CLOUDWATCH-008",
    "warning",
    remediation=(
        "Add alarms on the queue's ApproximateAgeOfOldestMessage and on the function's Errors."
    ),
    source="https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
    requirements=("O2",),
)
def cloudwatch_required_alarms(model: TemplateModel) -> Problems:
    """The queue's age and the function's errors have alarms.

    Otherwise a backlog or errors are noticed days later, by those who miss the result.
    """
    seen = {
        (metric, value)
        for alarm in model.resources_of_type("CloudWatch::Alarm").values()
        for _, metric, dimensions in _watched(alarm)
        for value in dimensions.values()
    }
    for one in model.event_source_mappings():
        for title, metric in (
            (one.queue, "ApproximateAgeOfOldestMessage"),
            (one.function, "Errors"),
        ):
            if title and (metric, model.name(title)) not in seen:
                yield title, f"has no alarm on {metric}"


@rule(
    "DR-CLOUDWATCH-013",
    "warning",
    remediation=(
        "Compare IncomingRecords with DeliveryToS3.Records in the alarm, or in another one of the"
        " stream."
    ),
    source="https://docs.aws.amazon.com/firehose/latest/dev/data-freshness-metric-not-emitted.html",
    requirements=("O2",),
    pitfalls=(75,),
)
def cloudwatch_delivery_alarm(model: TemplateModel) -> Problems:
    """A delivery stream with an alarm on DataFreshness has one that notices a blocked delivery.

    Firehose does not send DataFreshness while the delivery is completely blocked: the alarm has no
    data, and stays silent.
    """
    seen: dict[str, set[str]] = {}
    for alarm in model.resources_of_type("CloudWatch::Alarm").values():
        for _, metric, dimensions in _watched(alarm):
            seen.setdefault(dimensions.get("DeliveryStreamName", ""), set()).add(metric)
    for title in model.resources_of_type("KinesisFirehose::DeliveryStream"):
        metrics = seen.get(model.name(title), set())
        if "DeliveryToS3.DataFreshness" in metrics and "IncomingRecords" not in metrics:
            yield (
                title,
                "has an alarm on DataFreshness only, which a blocked delivery does not send",
            )
