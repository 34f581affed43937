"""Rules about alarms, dashboards, logs and where they are delivered."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from darkroom.cloudformation import dashboards
from darkroom.cloudformation.model import Stack, number
from darkroom.iam.evaluator import Request, allowed
from darkroom.lint.rule import Problems, rule

ALARMS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring"
BODY = (
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/"
    "CloudWatch-Dashboard-Body-Structure.html"
)
SQS_METRICS = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
    "sqs-available-cloudwatch-metrics.html"
)
FIREHOSE = "https://docs.aws.amazon.com/firehose/latest/dev"

# The dimension that names the resource, the resource's type, and the metrics that it sends.
# Sources: the services' pages on their CloudWatch metrics.
DIMENSIONS = {
    "AWS/SQS": ("QueueName", "SQS::Queue"),
    "AWS/Lambda": ("FunctionName", "Lambda::Function"),
    "AWS/SNS": ("TopicName", "SNS::Topic"),
    "AWS/Firehose": ("DeliveryStreamName", "KinesisFirehose::DeliveryStream"),
    "AWS/Logs": ("LogGroupName", "Logs::LogGroup"),
    "AWS/S3": ("BucketName", "S3::Bucket"),
    "AWS/Events": ("RuleName", "Events::Rule"),
}
METRICS = {
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfEmptyReceives",
        "NumberOfMessagesDeleted",
        "NumberOfMessagesReceived",
        "NumberOfMessagesSent",
        "SentMessageSize",
    },
    "AWS/Lambda": {
        "AsyncEventAge",
        "AsyncEventsDropped",
        "AsyncEventsReceived",
        "ClaimedAccountConcurrency",
        "ConcurrentExecutions",
        "DeadLetterErrors",
        "DestinationDeliveryFailures",
        "DroppedEventCount",
        "Duration",
        "Errors",
        "FailedInvokeEventCount",
        "FilteredOutEventCount",
        "InvokedEventCount",
        "Invocations",
        "OversizedRecordCount",
        "PolledEventCount",
        "PostRuntimeExtensionsDuration",
        "ProvisionedConcurrencyInvocations",
        "ProvisionedConcurrencySpilloverInvocations",
        "ProvisionedConcurrencyUtilization",
        "ProvisionedConcurrentExecutions",
        "RecursiveInvocationsDropped",
        "Throttles",
        "UnreservedConcurrentExecutions",
    },
}


# Levels, not counts: how much there is at a moment, or how long something took.
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
FEWEST_WORDS = 4  # of a description that says something


def _watched(alarm: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield namespace, metric and dimensions of all that an alarm looks at."""
    for one in [
        alarm,
        *(each.get("MetricStat", {}).get("Metric", {}) for each in alarm.get("Metrics", [])),
    ]:
        if "Namespace" in one:
            dimensions = {each["Name"]: str(each["Value"]) for each in one.get("Dimensions", [])}
            yield str(one["Namespace"]), str(one.get("MetricName")), dimensions


def _unreal(stack: Stack, namespace: str, metric: str, dimensions: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with a metric: unknown to its service, or of no resource."""
    if namespace not in DIMENSIONS:
        if namespace.startswith("AWS/") and re.search("sqs|lambda|sns", namespace, re.IGNORECASE):
            yield f"watches the namespace {namespace}, which does not exist"
        for name, kind in DIMENSIONS.values():  # the code's own metrics, by the function's name
            if name in dimensions and dimensions[name] not in _named(stack, kind):
                yield f"watches {metric} of {dimensions[name]}, which no {kind} is called"
        return
    if namespace in METRICS and metric not in METRICS[namespace]:
        yield f"watches {namespace} {metric}, which does not exist"
    name, kind = DIMENSIONS[namespace]
    if name not in dimensions:
        # SQS has no such sum; the others sum over the account, other stacks included.
        yield f"watches {metric} without {name}"
        return
    value = dimensions[name]
    if value not in _named(stack, kind):
        yield f"watches {metric} of {value}, which no {kind} of the stack is called"


def _named(stack: Stack, kind: str) -> set[str]:
    return {stack.name(title) for title in stack.of_type(kind)}


@rule(
    "Name a resource of the stack in the dimension: {Fn::GetAtt: [Queue, QueueName]}, {Ref: …}.",
    source=SQS_METRICS,
    keeps="O2",
)
def alarm_watches_real_resource(stack: Stack) -> Problems:
    """A metric that does not exist has no data, and its alarm never fires."""
    for title, alarm in stack.of_type("CloudWatch::Alarm").items():
        for metric in _watched(alarm):
            for wrong in _unreal(stack, *metric):
                yield title, wrong


@rule(
    "State TreatMissingData: notBreaching for counts of faults.",
    source=f"{ALARMS}/alarms-and-missing-data.html",
    keeps="O2, trap 33",
)
def alarm_states_missing_data(stack: Stack) -> Problems:
    """The default, missing, leaves an alarm of faults in ALARM or INSUFFICIENT_DATA for ever."""
    for title, alarm in stack.of_type("CloudWatch::Alarm").items():
        if "TreatMissingData" not in alarm:
            yield title, "does not say what missing data means"
        elif alarm["TreatMissingData"] in ("missing", "ignore"):
            yield title, f"treats missing data as {alarm['TreatMissingData']}"


@rule(
    "Use Maximum for levels and durations; periods of 10, 20, 30 or a multiple of 60 seconds; an"
    " evaluation of at most a day; no more DatapointsToAlarm than EvaluationPeriods.",
    source=f"{ALARMS}/alarm-evaluation.html",
    keeps="O2",
)
def alarm_can_be_evaluated(stack: Stack) -> Problems:
    """CloudWatch refuses some of it; a sum of levels grows with the period and means nothing."""
    for title, alarm in stack.of_type("CloudWatch::Alarm").items():
        periods = number(alarm.get("EvaluationPeriods"))
        if (number(alarm.get("DatapointsToAlarm")) or 0) > (periods or 0):
            yield title, "needs more breaching data points than it looks at"
        for metric, statistic, given in _statistics(alarm):
            if metric in LEVELS and statistic == "Sum":
                yield title, f"adds up {metric}, which is no count"
            period = number(given) or 0
            if period not in (10, 20, 30) and (period % 60 or not period):
                yield title, f"has a period of {given} seconds"
            elif period < 3600 and period * (periods or 0) > SECONDS_OF_A_DAY:
                yield title, "looks back for more than a day"


def _statistics(alarm: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield metric, statistic and period of all that an alarm looks at."""
    if "MetricName" in alarm:
        yield str(alarm["MetricName"]), str(alarm.get("Statistic")), alarm.get("Period")
    for one in alarm.get("Metrics", []):
        if "MetricStat" in one:
            stat = one["MetricStat"]
            yield str(stat["Metric"].get("MetricName")), str(stat.get("Stat")), stat.get("Period")


@rule(
    "Give the metric that the expression means this id, and return one result.",
    source=f"{ALARMS}/using-metric-math.html",
    keeps="O2",
)
def alarm_computes_from_metrics(stack: Stack) -> Problems:
    """An expression over an id that is not there is refused, or never has a value."""
    for title, alarm in stack.of_type("CloudWatch::Alarm").items():
        queries = alarm.get("Metrics", [])
        ids = {one.get("Id") for one in queries}
        for one in queries:
            for name in re.findall(r"\b[a-z]\w*", str(one.get("Expression", ""))):
                if name not in ids:
                    yield title, f"computes from {name}, which is no metric of the alarm"
        if queries and sum(str(one.get("ReturnData")).lower() != "false" for one in queries) != 1:
            yield title, "does not return one result"


@rule(
    "Set AlarmDescription: what it means, what to do first, where to read on.",
    source=f"{ALARMS}/Best_Practice_Recommended_Alarms_AWS_Services.html",
    keeps="O2",
)
def alarm_says_what_to_do(stack: Stack) -> Problems:
    """The message is all that somebody has at three in the morning."""
    for title, alarm in stack.of_type("CloudWatch::Alarm").items():
        if len(str(alarm.get("AlarmDescription", "")).split()) < FEWEST_WORDS:
            yield title, "does not say what it means and what to do"


@rule(
    "Set AlarmActions to a topic that people subscribe to.",
    source=f"{ALARMS}/Notify_Users_Alarm_Changes.html",
    keeps="O2, O5",
)
def alarm_reaches_somebody(stack: Stack) -> Problems:
    """An alarm without action is a light in an empty room."""
    for title, alarm in stack.of_type("CloudWatch::Alarm").items():
        if not alarm.get("AlarmActions") or str(alarm.get("ActionsEnabled")).lower() == "false":
            yield title, "does nothing when it goes off"


@rule(
    "Allow cloudwatch.amazonaws.com sns:Publish in the topic's policy, for this account's alarms.",
    source=f"{ALARMS}/Notify_Users_Alarm_Changes.html",
    keeps="O5, trap 32",
)
def alarm_may_publish(stack: Stack) -> Problems:
    """A topic policy of one's own replaces the default one, which let the account's alarms in."""
    for title, alarm in stack.of_type("CloudWatch::Alarm").items():
        for action in [*alarm.get("AlarmActions", []), *alarm.get("OKActions", [])]:
            topic = stack.owner(action, "SNS::Topic")
            if not topic or not stack.guards(topic):
                continue
            request = Request(
                action="sns:Publish",
                resource=stack.arn(topic),
                principal="cloudwatch.amazonaws.com",
                context={
                    "aws:SourceArn": stack.arn(title),
                    "aws:SourceAccount": stack.account,
                    "aws:SecureTransport": "true",
                },
            )
            if not allowed(stack.guarding(topic), request):
                yield title, f"may not publish to {topic}"
                break


@rule(
    "Add an alarm on ApproximateNumberOfMessagesVisible of the dead-letter queue, above 0.",
    source=SQS_METRICS,
    keeps="O2, trap 34",
)
def dead_letters_are_noticed(stack: Stack) -> Problems:
    """The queue's age ignores what was received often: dead letters are seen only there."""
    depth = "ApproximateNumberOfMessagesVisible"
    seen = {
        dimensions.get("QueueName")
        for alarm in stack.of_type("CloudWatch::Alarm").values()
        for _, metric, dimensions in _watched(alarm)
        if metric == depth and str(alarm.get("ComparisonOperator")).startswith("Greater")
    }
    for title, queue in stack.of_type("SQS::Queue").items():
        target = stack.owner(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn"))
        if target and stack.name(target) not in seen:
            yield target, f"collects dead letters of {title} and no alarm watches its depth"


@rule(
    "Add alarms on the queue's ApproximateAgeOfOldestMessage and on the function's Errors.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
    keeps="O2",
)
def trouble_is_noticed(stack: Stack) -> Problems:
    """Work that waits or fails is noticed by those who miss its result, days later."""
    seen = {
        (metric, value)
        for alarm in stack.of_type("CloudWatch::Alarm").values()
        for _, metric, dimensions in _watched(alarm)
        for value in dimensions.values()
    }
    for one in stack.mappings():
        for title, metric in (
            (one.queue, "ApproximateAgeOfOldestMessage"),
            (one.function, "Errors"),
        ):
            if title and (metric, stack.name(title)) not in seen:
                yield title, f"has no alarm on {metric}"


def _widgets(stack: Stack) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each dashboard's logical id with each of its widgets, where its body can be read."""
    for title, properties in stack.of_type("CloudWatch::Dashboard").items():
        with suppress(ValueError):
            for widget in json.loads(str(properties.get("DashboardBody"))).get("widgets", []):
                yield title, widget


@rule(
    "Write the body as JSON text that stays JSON with its values in.",
    source=BODY,
    keeps="O4",
)
def dashboard_is_json(stack: Stack) -> Problems:
    """CloudWatch refuses any other body, and the deployment ends there."""
    for title, properties in stack.of_type("CloudWatch::Dashboard").items():
        try:
            body = json.loads(str(properties.get("DashboardBody")))
        except ValueError as error:
            yield title, f"has a body that is not JSON: {error}"
        else:
            if not isinstance(body, dict) or not body.get("widgets"):
                yield title, "has a body without widgets"


@rule(
    "Name resources of the stack in the metrics' dimensions, and its alarms by ${Alarm.Arn}.",
    source=BODY,
    keeps="O4",
)
def dashboard_shows_real_metrics(stack: Stack) -> Problems:
    """A metric or an alarm that does not exist leaves a blank, which looks like calm."""
    for title, widget in _widgets(stack):
        for line in dashboards.lines(widget):
            for wrong in _unreal(stack, line.namespace, line.metric, line.dimensions):
                yield title, wrong.replace("watches", "shows", 1)
        for arn in widget.get("properties", {}).get("alarms", []):
            if not stack.owner(arn, "CloudWatch::Alarm"):
                yield title, f"shows the alarm {arn}, which is not of the stack"


@rule(
    "Set the widget's region to ${AWS::Region}.",
    source=BODY,
    keeps="O4, D2",
)
def dashboard_shows_its_region(stack: Stack) -> Problems:
    """A dashboard belongs to no region: each widget says where its metrics are."""
    for title, widget in _widgets(stack):
        region = widget.get("properties", {}).get("region")
        if widget.get("type") == "metric" and region != stack.pseudo("Region"):
            yield title, f"shows metrics of {region or 'no region'}, not of the stack's"


@rule(
    "Give the metric that the expression means this id.",
    source=f"{ALARMS}/using-metric-math.html",
    keeps="O4",
)
def dashboard_computes_from_metrics(stack: Stack) -> Problems:
    """An expression over an id that no line of the widget has shows an error instead."""
    for title, widget in _widgets(stack):
        found = list(dashboards.lines(widget))
        ids = {line.options.get("id") for line in found}
        for line in found:
            text = re.sub(r"'[^']*'|\"[^\"]*\"", "", str(line.options.get("expression", "")))
            for name in re.findall(r"\b[a-z]\w*", text):  # functions are in capitals
                if name not in ids:
                    yield title, f"computes from {name}, which is no metric of the widget"


@rule(
    "Set RetentionInDays.",
    source=(
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html"
    ),
    keeps="O1",
)
def logs_expire(stack: Stack) -> Problems:
    """By default logs are kept, and paid for, for ever."""
    for title, group in stack.of_type("Logs::LogGroup").items():
        if "RetentionInDays" not in group:
            yield title, "keeps its logs for ever"


def _delivered(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return the delivery streams that log groups feed, with their S3 destination."""
    return {
        stream: stack.properties(stream).get("ExtendedS3DestinationConfiguration", {})
        for one in stack.of_type("Logs::SubscriptionFilter").values()
        if (stream := stack.owner(one.get("DestinationArn"), "KinesisFirehose::DeliveryStream"))
    }


@rule(
    "Add a Decompression processor and CloudWatchLogProcessing with DataMessageExtraction, and"
    " CompressionFormat GZIP after them.",
    source=f"{FIREHOSE}/writing-with-cloudwatch-logs-decompression.html",
    keeps="O6, trap 48",
)
def delivered_logs_are_lines(stack: Stack) -> Problems:
    """Log events arrive compressed, several in a record: unread objects, or compressed twice."""
    for stream, destination in _delivered(stack).items():
        processing = destination.get("ProcessingConfiguration", {})
        kinds = [one.get("Type") for one in processing.get("Processors", [])]
        if "Decompression" not in kinds or str(processing.get("Enabled")).lower() != "true":
            if destination.get("CompressionFormat", "UNCOMPRESSED") != "UNCOMPRESSED":
                yield stream, "compresses what is compressed already"
            else:
                yield stream, "does not decompress the log events it is sent"
        elif "CloudWatchLogProcessing" not in kinds:
            yield stream, "does not take the messages out of the log events"
        elif destination.get("CompressionFormat", "UNCOMPRESSED") == "UNCOMPRESSED":
            yield stream, "stores decompressed log lines as they are, several times their size"


@rule(
    "Let logs.amazonaws.com assume the subscription's role for this account, and allow the role"
    " firehose:PutRecord and PutRecordBatch on the stream.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html",
    keeps="O6, S5",
)
def subscription_may_send(stack: Stack) -> Problems:
    """CloudWatch Logs tries once when the subscription is made, and later drops in silence."""
    for title, properties in stack.of_type("Logs::SubscriptionFilter").items():
        stream = stack.owner(properties.get("DestinationArn"), "KinesisFirehose::DeliveryStream")
        role = stack.owner(properties.get("RoleArn"), "IAM::Role")
        if not stream:
            continue
        if not role:
            yield title, "has no role to send as"
            continue
        group = f"log-group:{properties.get('LogGroupName')}:*"
        here = f"{stack.pseudo('Region')}:{stack.account}"
        context = {
            "aws:SourceArn": f"arn:{stack.pseudo('Partition')}:logs:{here}:{group}",
            "aws:SourceAccount": stack.account,
        }
        regional = f"logs.{stack.pseudo('Region')}.{stack.pseudo('URLSuffix')}"
        if not any(
            allowed(
                stack.trusts(role),
                Request(action="sts:AssumeRole", principal=service, context=context),
            )
            for service in ("logs.amazonaws.com", regional)
        ):
            yield role, f"does not let logs.amazonaws.com assume it for {title}"
        for action in ("firehose:PutRecord", "firehose:PutRecordBatch"):
            if not allowed(stack.granted(role), Request(action=action, resource=stack.arn(stream))):
                yield role, f"lacks {action} on {stream}"


@rule(
    "Set CloudWatchLoggingOptions with a log stream of the template, in a log group that no"
    " subscription reads.",
    source=f"{FIREHOSE}/monitoring-with-cloudwatch-logs.html",
    keeps="O2, O6",
)
def failed_delivery_is_told(stack: Stack) -> Problems:
    """Without it nobody learns why logs do not arrive; told into its own source, it never ends."""
    known = {
        (str(one.get("LogGroupName")), str(one.get("LogStreamName")))
        for one in stack.of_type("Logs::LogStream").values()
    }
    for stream, destination in _delivered(stack).items():
        options = destination.get("CloudWatchLoggingOptions", {})
        group, name = str(options.get("LogGroupName")), str(options.get("LogStreamName"))
        if str(options.get("Enabled")).lower() != "true":
            yield stream, "does not tell why a delivery failed"
            continue
        if (group, name) not in known:
            yield stream, f"tells failures to {group} {name}, which nobody makes"
        for title, one in stack.of_type("Logs::SubscriptionFilter").items():
            if str(one.get("LogGroupName")) == group:
                yield stream, f"tells failures to {group}, which {title} sends to a stream"


@rule(
    "Add an enabled lifecycle rule with ExpirationInDays for the whole bucket.",
    source=(
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configuration-examples.html"
    ),
    keeps="O6, trap 51",
)
def delivered_logs_expire(stack: Stack) -> Problems:
    """Logs hold names of people's files: kept for ever they are a cost and a liability."""
    buckets = {
        stack.owner(one.get("BucketARN"), "S3::Bucket") for one in _delivered(stack).values()
    }
    for bucket in sorted((buckets | stack.access_logs()) - {""}):
        rules = stack.properties(bucket).get("LifecycleConfiguration", {}).get("Rules", [])
        if not any(
            one.get("Status") == "Enabled" and "ExpirationInDays" in one and "Prefix" not in one
            for one in rules
        ):
            yield bucket, "keeps logs for ever"


@rule(
    "Grant the stream's role s3:PutObject under its prefix, and kms:GenerateDataKey on the bucket's"
    " key with the bucket's ARN as encryption context.",
    source=f"{FIREHOSE}/encryption.html",
    keeps="O6, S4",
)
def delivery_may_encrypt(stack: Stack) -> Problems:
    """A stream that may not use its bucket's key delivers nothing."""
    for stream, properties in stack.of_type("KinesisFirehose::DeliveryStream").items():
        destination = properties.get("ExtendedS3DestinationConfiguration", {})
        bucket = stack.owner(destination.get("BucketARN"), "S3::Bucket")
        role = stack.owner(destination.get("RoleARN"), "IAM::Role")
        if not bucket or not role:
            continue
        wants: list[tuple[str, str, dict[str, str]]] = [
            ("s3:PutObject", f"{stack.arn(bucket)}/x", {})
        ]
        if key := stack.key_of(bucket):
            region, partition = stack.pseudo("Region"), stack.pseudo("URLSuffix")
            context = {
                "kms:EncryptionContext:aws:s3:arn": stack.arn(bucket),
                "kms:ViaService": f"s3.{region}.{partition}",
            }
            wants.append(("kms:GenerateDataKey", stack.arn(key), context))
        prefix = str(destination.get("Prefix", "")).partition("!{")[0]
        for action, resource, context in wants:
            if action == "s3:PutObject":
                resource = f"{stack.arn(bucket)}/{prefix}x"
            if not allowed(
                stack.granted(role), Request(action=action, resource=resource, context=context)
            ):
                yield role, f"lacks {action} for what {stream} delivers to {bucket}"
