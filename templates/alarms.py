"""The alarms: what each one compares, and which topic it notifies."""

from dataclasses import dataclass
from typing import Any

from troposphere import GetAtt, If, Ref, Sub, Template
from troposphere.awslambda import Function
from troposphere.cloudwatch import Alarm, Metric, MetricDataQuery, MetricDimension, MetricStat
from troposphere.firehose import DeliveryStream
from troposphere.s3 import Bucket
from troposphere.sqs import Queue

from templates import buckets, naming, prices
from templates.alarm_topics import Topics
from templates.api import UploadApi
from templates.api_document import METHODS, STAGE
from templates.dashboard import NAMESPACE, VISIBLE
from templates.dns_firewall import DnsFirewall
from templates.parameters.builder import Condition
from templates.parameters.capacity import Capacity
from templates.parameters.monitoring import CostLimit
from templates.queues import QueuePair
from templates.specification import ProcessingQueue
from templates.specification_values import DEFAULT

MINUTE = 60  # seconds
DAY = 24 * 60 * MINUTE

# The oldest message has waited for this many visibility timeouts; retries alone explain one.
LATE_VISIBILITY_TIMEOUTS = 3

# An invocation that takes this share of the timeout can exceed it when S3 is a little slower.
NEAR_TIMEOUT_PERCENT = 80

# This share of an hour's pictures is rejected, of at least this many: an uploader sends other
# files, or a format that the worker does not support.
REJECTED_PERCENT = 20
REJECTED_MIN_PICTURES = 20

# Age of the oldest record that is not delivered; Firehose buffers for 300 seconds by default.
LATE_DELIVERY_SECONDS = 3 * 300

# A cold start takes one or two seconds; a call that S3 answers only on repetition, three.
SLOW_API_MILLISECONDS = 5_000

# More uploads per hour than this for each URL that was given, and these, were not asked for.
UPLOADS_PER_URL, UNEXPLAINED_UPLOADS = 2, 20

# Callers retry what is throttled: then most calls still succeed.
REFUSED_PERCENT = 20

# If S3, KMS or the role fails, an alarm reports it this soon, long before a dead letter (R2).
HEARD_WITHIN_MINUTES = 10


def add_queue_alarms(
    template: Template,
    topics: Topics,
    *,
    queues: QueuePair,
    settings: ProcessingQueue,
    function: Function,
    capacity: Capacity,
    cost_limit: CostLimit | None,
) -> None:
    """Add the alarms of a queue, its dead-letter queue and its function."""
    critical = _AlarmGroup(template, topics.critical, queues.name, reports_ok=True)
    warning = _AlarmGroup(template, topics.warning, queues.name)
    _add_backlog_alarms(critical, warning, queues, settings, function)
    _add_function_alarms(critical, warning, settings, function, capacity)
    _add_rejection_alarm(warning, function)
    if cost_limit:
        _add_cost_alarm(warning, function, cost_limit)


def _add_backlog_alarms(
    critical: "_AlarmGroup",
    warning: "_AlarmGroup",
    queues: QueuePair,
    settings: ProcessingQueue,
    function: Function,
) -> None:
    waiting = _queue_metric(queues.work, VISIBLE)
    critical.add(
        "DeadLetterAlarm",
        "dead-letters",
        "Messages are in the dead-letter queue",
        "Check the logs, fix the cause, and redrive",
        **_statistic(_queue_metric(queues.dead_letters, VISIBLE), "Maximum", 1 * MINUTE),
        # `darkroom dlq` hides the messages that it reads for up to five minutes. That is not an OK,
        # after which they would raise the alarm again.
        EvaluationPeriods=10,
        DatapointsToAlarm=1,
        Threshold=0,
    )
    critical.add(
        "QueueAgeAlarm",
        "queue-age",
        "Messages wait too long",
        "Check the consumer",
        **_statistic(
            _queue_metric(queues.work, "ApproximateAgeOfOldestMessage"), "Maximum", 1 * MINUTE
        ),
        EvaluationPeriods=5,
        Threshold=LATE_VISIBILITY_TIMEOUTS * settings.visibility_seconds,
    )
    critical.add(
        "QueueNotConsumedAlarm",
        "queue-not-consumed",
        "Messages wait and no invocation starts",
        "Check the mapping and the key",
        Metrics=_expression(
            # Without an invocation Lambda sends no data point.
            "IF(waiting>0 AND FILL(started,0)==0,1,0)",
            period=1 * MINUTE,
            waiting=(waiting, "Maximum"),
            started=(_function_metric(function, "Invocations"), "Sum"),
        ),
        # While all invocations run until the timeout, none starts either.
        EvaluationPeriods=max(HEARD_WITHIN_MINUTES - 1, 2 * -(-settings.timeout_seconds // MINUTE)),
        Threshold=0,
    )
    # What one concurrent invocation processes per day if every batch takes the whole timeout.
    warning.add(
        "QueueDepthAlarm",
        "queue-depth",
        "Thousands of messages wait",
        "Check the trend",
        **_statistic(waiting, "Minimum", 5 * MINUTE),
        EvaluationPeriods=3,
        Threshold=DAY // settings.timeout_seconds * settings.batch_size,
    )


def _add_function_alarms(
    critical: "_AlarmGroup",
    warning: "_AlarmGroup",
    settings: ProcessingQueue,
    function: Function,
    capacity: Capacity,
) -> None:
    critical.add(
        "RetryAlarm",
        "retries",
        "Most batches give no result and are retried",
        "Check the logs",
        # The worker sends this for each batch. A picture that fails alone is tried in at most five
        # of ten minutes, and a disturbance of four minutes is in five.
        **_statistic(_worker_metric(function, "ImagesProcessed"), "Average", 1 * MINUTE),
        EvaluationPeriods=HEARD_WITHIN_MINUTES - 2,
        DatapointsToAlarm=6,
        ComparisonOperator="LessThanThreshold",
        Threshold=0.5,
    )
    # Three periods in a row, so that a short disturbance, such as a deployment, raises no alarm.
    critical.add(
        "WorkerErrorAlarm",
        "worker-errors",
        "Invocations keep failing",
        "Check the logs",
        **_statistic(_function_metric(function, "Errors"), "Sum", 5 * MINUTE),
        EvaluationPeriods=3,
        Threshold=0,
    )
    warning.add(
        "WorkerThrottleAlarm",
        "worker-throttles",
        "Lambda keeps throttling the function",
        "Check the account's concurrency",
        **_statistic(_function_metric(function, "Throttles"), "Sum", 5 * MINUTE),
        EvaluationPeriods=3,
        Threshold=0,
    )
    warning.add(
        "WorkerDurationAlarm",
        "duration-near-timeout",
        "Invocations run close to the timeout",
        "Find the pictures",
        **_statistic(_function_metric(function, "Duration"), "Maximum", 5 * MINUTE),
        EvaluationPeriods=12,
        DatapointsToAlarm=3,
        Threshold=settings.timeout_seconds * 1000 * NEAR_TIMEOUT_PERCENT // 100,
    )
    used = _function_metric(function, "ConcurrentExecutions")
    warning.add(
        "ConcurrencyLimitAlarm",
        "concurrency-limit-reached",
        "The function is constantly at its maximum concurrency",
        "Check the queue depth",
        **_statistic(used, "Maximum", 1 * MINUTE)
        if capacity.batches_per_unit == 1
        # Only metric math can divide.
        else {
            "Metrics": _expression(
                f"used/{capacity.batches_per_unit}", period=1 * MINUTE, used=(used, "Maximum")
            )
        },
        EvaluationPeriods=30,
        DatapointsToAlarm=27,  # not every minute has a moment at the maximum
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        Threshold=capacity.maximum,
    )


def _add_rejection_alarm(warning: "_AlarmGroup", function: Function) -> None:
    pictures, rejected = (
        _worker_metric(function, name) for name in ("ImagesProcessed", "Rejected")
    )
    warning.add(
        "RejectionAlarm",
        "rejections",
        f"Over {REJECTED_PERCENT}% of the pictures are rejected",
        "Check the reasons",
        Metrics=_expression(
            f"IF(pictures>={REJECTED_MIN_PICTURES},100*rejected/pictures,0)",
            period=60 * MINUTE,
            pictures=(pictures, "Sum"),
            rejected=(rejected, "Sum"),
        ),
        EvaluationPeriods=1,
        Threshold=REJECTED_PERCENT,
    )


def _add_cost_alarm(warning: "_AlarmGroup", function: Function, limit: CostLimit) -> None:
    """Add the alarm for what the dashboard estimates as the cost of an hour.

    It is for each queue, because an alarm takes ten metrics at most.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-limits.html
    """
    thumbnails, pictures = (
        _worker_metric(function, name) for name in ("ThumbnailsWritten", "ImagesProcessed")
    )
    memory = f"${{{function.MemorySize.data['Ref']}}}"
    # An invocation that fails or times out costs as well, and sends no metric of the worker.
    requests = prices.requests_cost("FILL(thumbnails,0)", "FILL(pictures,0)")
    warning.add(
        "CostAlarm",
        "hourly-cost",
        "The hour costs more than the maximum",
        "Find out who uploads",
        Condition=limit.is_given,
        Metrics=_expression(
            Sub(f"{prices.function_cost('duration', memory)}+{requests}"),
            period=60 * MINUTE,
            duration=(_function_metric(function, "Duration"), "Sum"),
            thumbnails=(thumbnails, "Sum"),
            pictures=(pictures, "Sum"),
        ),
        EvaluationPeriods=1,
        Threshold=limit.maximum,
    )


def add_upload_alarm(
    template: Template,
    topics: Topics,
    *,
    source: str,
    uploads: Bucket,
    queues: QueuePair,
    uploads_monitored: Condition | None,
) -> None:
    """Add the alarm for uploads to a source's bucket without messages on its queue.

    It needs S3's request metrics, which are billed monthly: hence the condition.
    """
    puts, refused = (
        _metric("AWS/S3", name, BucketName=Ref(uploads), FilterId=buckets.REQUEST_METRICS)
        for name in ("PutRequests", "4xxErrors")
    )
    _AlarmGroup(template, topics.warning, source).add(
        "MissingNotificationAlarm",
        "missing-notifications",
        "Uploads cause no notifications",
        "Check the bucket's configuration",
        Condition=uploads_monitored,
        # Two periods in a row: the second includes a late notification of the first, and the end of
        # a multipart upload, whose parts are counted as well, if it takes no more than an hour.
        Metrics=_expression(
            "IF(FILL(puts,0)>FILL(refused,0) AND FILL(sent,0)==0,1,0)",
            period=60 * MINUTE,
            puts=(puts, "Sum"),
            refused=(refused, "Sum"),
            sent=(_queue_metric(queues.work, "NumberOfMessagesSent"), "Sum"),
        ),
        EvaluationPeriods=2,
        Threshold=0,
    )


def add_dns_firewall_alarm(template: Template, topics: Topics, firewall: DnsFirewall) -> None:
    """Add the alarm for a name that the VPC's resolver blocked.

    The worker resolves no such name, so a picture may have run code in it.
    """
    _AlarmGroup(template, topics.warning, DEFAULT).add(
        "BlockedDnsQueryAlarm",
        "blocked-dns-queries",
        "The VPC's resolver blocked names",
        "Find out who asked for them",
        **_statistic(
            _metric(
                "AWS/Route53Resolver",
                "FirewallRuleQueryVolume",
                FirewallRuleGroupId=Ref(firewall.rule_group),
                FirewallDomainListId=Ref(firewall.blocked),
            ),
            "Sum",
            5 * MINUTE,
        ),
        EvaluationPeriods=1,
        Threshold=0,
    )


def add_api_alarms(
    template: Template,
    topics: Topics,
    api: UploadApi,
    uploads_monitored: Condition | None,
) -> None:
    """Add the alarms of the upload API: its faults, refused calls, slow answers, and a bypass.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    """
    group = _AlarmGroup(template, topics.warning, DEFAULT)

    def metric(metric_name: str, **of: str) -> dict[str, Any]:
        return _metric("AWS/ApiGateway", metric_name, ApiName=api.name, Stage=STAGE, **of)

    group.add(
        "UploadApiFaultAlarm",
        "upload-api-faults",
        "The upload API keeps failing",
        "Check its function's log",
        **_statistic(metric("5XXError"), "Sum", 5 * MINUTE),
        EvaluationPeriods=3,
        Threshold=0,
    )
    group.add(
        "UploadApiRefusalAlarm",
        "upload-api-refusals",
        f"The upload API refuses over {REFUSED_PERCENT}% of the calls",
        "Read the access log",
        # No metric has 429 alone; the average is the share of the calls.
        **_statistic(metric("4XXError"), "Average", 5 * MINUTE),
        EvaluationPeriods=3,
        Threshold=REFUSED_PERCENT / 100,
    )
    group.add(
        "UploadApiLatencyAlarm",
        "upload-api-latency",
        "The upload API answers slowly",
        "Check its function's log",
        **metric("Latency"),
        ExtendedStatistic="p99",
        Period=5 * MINUTE,
        EvaluationPeriods=3,
        Threshold=SLOW_API_MILLISECONDS,
    )
    puts, refused = (
        _metric("AWS/S3", each, BucketName=Ref(api.uploads), FilterId=buckets.API_REQUEST_METRICS)
        for each in ("PutRequests", "4xxErrors")
    )
    group.add(
        "UploadApiBypassAlarm",
        "upload-api-bypass",
        "Uploads that the upload API did not give URLs for",
        "Find out who uploads",
        Condition=uploads_monitored,
        # A URL may be used in the next hour, and a PUT be repeated: hence the two periods, and
        # more than is explained by that.
        Metrics=_expression(
            f"FILL(puts,0)-FILL(refused,0)-{UPLOADS_PER_URL}*FILL(given,0)",
            period=60 * MINUTE,
            puts=(puts, "Sum"),
            refused=(refused, "Sum"),
            given=(metric("Count", Method="POST", Resource=METHODS["POST"]), "Sum"),
        ),
        EvaluationPeriods=2,
        Threshold=UNEXPLAINED_UPLOADS,
    )


def add_log_delivery_alarm(
    template: Template, topics: Topics, *, kind: str, stream: DeliveryStream
) -> None:
    """Add the alarm for a kind of log that does not reach the log archive."""
    _AlarmGroup(template, topics.warning, kind).add(
        "LogDeliveryAlarm",
        "log-delivery",
        "Logs do not reach their bucket",
        "Check the delivery log",
        # The age is sent while something is delivered: not if S3 refuses everything (pitfall 75).
        Metrics=_expression(
            f"IF(FILL(age,0)>{LATE_DELIVERY_SECONDS}"
            " OR (FILL(taken,0)>0 AND FILL(given,0)==0),1,0)",
            period=LATE_DELIVERY_SECONDS,
            age=(_stream_metric(stream, "DeliveryToS3.DataFreshness"), "Minimum"),
            taken=(_stream_metric(stream, "IncomingRecords"), "Sum"),
            given=(_stream_metric(stream, "DeliveryToS3.Records"), "Sum"),
        ),
        EvaluationPeriods=3,
        Threshold=0,
    )


@dataclass(frozen=True)
class _AlarmGroup:
    """The alarms of a queue, source or kind of log, `owner`, that go to one topic."""

    template: Template
    topic: Ref | If
    owner: str
    reports_ok: bool = False
    """Whether the return to OK is reported; a new alarm's first change is one."""

    def add(
        self, logical_id: str, suffix: str, meaning: str, first_step: str, **settings: Any
    ) -> None:
        """Add an alarm; `suffix` ends its name and is its section of the runbook."""
        defaults: dict[str, Any] = {
            "ComparisonOperator": "GreaterThanThreshold",
            # No data is no fault, for counts of errors and of messages (pitfall 33).
            "TreatMissingData": "notBreaching",
        }
        if self.reports_ok:
            defaults["OKActions"] = [self.topic]
        self.template.add_resource(
            Alarm(
                naming.logical_id(self.owner, logical_id),
                AlarmName=naming.name(naming.name_suffix(self.owner, suffix)),
                AlarmDescription=f"{meaning}. {first_step}: docs/runbook.md#{suffix}",
                AlarmActions=[self.topic],
                **{**defaults, **settings},
            )
        )


def _metric(namespace: str, name: str, **dimensions: Any) -> dict[str, Any]:
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [MetricDimension(Name=key, Value=value) for key, value in dimensions.items()],
    }


def _statistic(metric: dict[str, Any], statistic: str, period: int) -> dict[str, Any]:
    return {**metric, "Statistic": statistic, "Period": period}


def _queue_metric(queue: Queue, name: str) -> dict[str, Any]:
    return _metric("AWS/SQS", name, QueueName=GetAtt(queue, "QueueName"))


def _function_metric(function: Function, name: str) -> dict[str, Any]:
    return _metric("AWS/Lambda", name, FunctionName=Ref(function))


def _stream_metric(stream: DeliveryStream, name: str) -> dict[str, Any]:
    return _metric("AWS/Firehose", name, DeliveryStreamName=Ref(stream))


def _worker_metric(function: Function, name: str) -> dict[str, Any]:
    return _metric(NAMESPACE, name, FunctionName=Ref(function))


def _expression(
    expression: str | Sub, *, period: int, **metrics: tuple[dict[str, Any], str]
) -> list[MetricDataQuery]:
    """Return an expression and the metrics that it uses, each by its name and with a statistic."""
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
