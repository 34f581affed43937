"""Alarms, dashboards, logs and their delivery."""

import json
from typing import Any

from tests.mutation import additions
from tests.mutation.additions import Template, sub
from tests.mutation.defects.seed import defect, drop, named, of


@defect("cloudwatch-alarm-metric")
def alarm_of_the_url(t: Template) -> None:
    of(t, "QueueAgeAlarm")["Dimensions"][0]["Value"] = {"Ref": "WorkQueue"}


@defect("cloudwatch-alarm-metric")
def alarm_of_an_unknown_metric(t: Template) -> None:
    of(t, "WorkerErrorAlarm")["MetricName"] = "Error"


@defect("cloudwatch-alarm-metric")
def alarm_of_another_name(t: Template) -> None:
    of(t, "WorkerThrottleAlarm")["Dimensions"][0]["Value"] = sub("${NamePrefix}-workers")


@defect("cloudwatch-alarm-metric")
def alarm_without_dimension(t: Template) -> None:
    del of(t, "QueueAgeAlarm")["Dimensions"]


@defect("cloudwatch-alarm-missing-data")
def missing_data_not_stated(t: Template) -> None:
    del of(t, "WorkerErrorAlarm")["TreatMissingData"]


@defect("cloudwatch-alarm-evaluation")
def sum_of_a_level(t: Template) -> None:
    of(t, "QueueAgeAlarm")["Statistic"] = "Sum"


@defect("cloudwatch-alarm-evaluation")
def sum_of_a_level_in_metric_math(t: Template) -> None:
    of(t, "QueueNotConsumedAlarm")["Metrics"][1]["MetricStat"]["Stat"] = "Sum"


@defect("cloudwatch-alarm-evaluation")
def period_of_ninety_seconds(t: Template) -> None:
    of(t, "WorkerErrorAlarm")["Period"] = 90


@defect("cloudwatch-alarm-evaluation")
def evaluation_of_two_days(t: Template) -> None:
    of(t, "WorkerDurationAlarm")["EvaluationPeriods"] = 576


@defect("cloudwatch-alarm-evaluation")
def more_points_to_alarm_than_periods(t: Template) -> None:
    of(t, "WorkerDurationAlarm")["DatapointsToAlarm"] = 13


@defect("cloudwatch-alarm-expression")
def alarm_computes_from_nothing(t: Template) -> None:
    of(t, "RejectionAlarm")["Metrics"][1]["Id"] = "images"


@defect("cloudwatch-alarm-expression")
def alarm_returns_two_results(t: Template) -> None:
    del of(t, "RejectionAlarm")["Metrics"][1]["ReturnData"]


@defect("cloudwatch-alarm-metric")
def alarm_of_another_queue_in_metric_math(t: Template) -> None:
    metric = of(t, "MissingNotificationAlarm")["Metrics"][2]["MetricStat"]["Metric"]
    metric["Dimensions"][0]["Value"] = sub("${NamePrefix}-works")


@defect("cloudwatch-alarm-description")
def alarm_without_description(t: Template) -> None:
    del of(t, "QueueNotConsumedAlarm")["AlarmDescription"]


@defect("cloudwatch-alarm-description")
def alarm_described_by_its_name(t: Template) -> None:
    of(t, "QueueNotConsumedAlarm")["AlarmDescription"] = "Stalled"


@defect("cloudwatch-alarm-action")
def alarm_without_action(t: Template) -> None:
    of(t, "DeadLetterAlarm")["AlarmActions"] = []


@defect("sns-policy-alarms")
def topic_refuses_alarms(t: Template) -> None:
    drop(t, "CriticalAlarmTopicPolicy", "PublishAlarms")


@defect("sns-policy-alarms")
def topic_admits_other_alarms(t: Template) -> None:
    condition = named(t, "CriticalAlarmTopicPolicy", "PublishAlarms")["Condition"]["ArnLike"]
    condition["aws:SourceArn"]["Fn::Sub"] = (
        "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:other-*"
    )


@defect("sns-policy-one-topic")
def one_policy_for_both_topics(t: Template) -> None:
    topics = [{"Ref": "CriticalAlarmTopic"}, {"Ref": "WarningAlarmTopic"}]
    del t["Resources"]["WarningAlarmTopicPolicy"]
    policy = of(t, "CriticalAlarmTopicPolicy")
    policy["Topics"] = topics
    for statement in policy["PolicyDocument"]["Statement"]:
        statement["Resource"] = topics


@defect("cloudwatch-dlq-alarm")
def no_alarm_of_dead_letters(t: Template) -> None:
    del t["Resources"]["DeadLetterAlarm"]


@defect("cloudwatch-dlq-alarm")
def alarm_of_the_wrong_queue(t: Template) -> None:
    of(t, "DeadLetterAlarm")["Dimensions"][0]["Value"] = {"Fn::GetAtt": ["WorkQueue", "QueueName"]}


def redraw(template: Template, old: str, new: str) -> None:
    """Write something else into the dashboard's body, in whichever function it stands."""
    properties = of(template, "Dashboard")
    text = json.dumps(properties["DashboardBody"])
    assert old in text
    properties["DashboardBody"] = json.loads(text.replace(old, new))


@defect("cloudwatch-dashboard-json")
def dashboard_is_no_json(t: Template) -> None:
    redraw(t, "'title':'Queue'", "'title':Queue")


@defect("cloudwatch-dashboard-json")
def dashboard_of_an_unquoted_name(t: Template) -> None:
    redraw(t, "'${Worker}'", "${Worker}")


@defect("cloudwatch-dashboard-json")
def dashboard_is_empty(t: Template) -> None:
    of(t, "Dashboard")["DashboardBody"] = '{"widgets": []}'


@defect("cloudwatch-dashboard-metric")
def dashboard_of_another_queue(t: Template) -> None:
    redraw(t, "${WorkQueue.QueueName}", "${NamePrefix}-jobs")


@defect("cloudwatch-dashboard-metric")
def dashboard_of_another_function(t: Template) -> None:
    redraw(
        t,
        "['Darkroom','EndToEndLatency','FunctionName','${Worker}'",
        "['Darkroom','EndToEndLatency','FunctionName','Worker'",
    )


@defect("cloudwatch-dashboard-metric")
def dashboard_of_a_metric_that_is_not(t: Template) -> None:
    redraw(t, "ApproximateAgeOfOldestMessage", "OldestMessageAge")


@defect("cloudwatch-dashboard-metric")
def dashboard_of_another_stacks_alarm(t: Template) -> None:
    redraw(t, "${QueueAgeAlarm.Arn}", "${DeadLetterAlarm.Arn}-old")


@defect("cloudwatch-dashboard-region")
def dashboard_without_region(t: Template) -> None:
    redraw(t, "'region':", "'accountId':")


@defect("cloudwatch-dashboard-region")
def dashboard_of_one_region(t: Template) -> None:
    redraw(t, "'region':'${AWS::Region}'", "'region':'eu-west-1'")


@defect("cfn-hardcoded-account-or-region")
def dashboard_with_a_region_typed_in(t: Template) -> None:
    redraw(t, "'region':'${AWS::Region}'", "'region':'eu-west-1'")


@defect("cloudwatch-dashboard-expression")
def dashboard_computes_from_nothing(t: Template) -> None:
    redraw(t, "'id':'p0',", "")


@defect("cfn-global-names")
def dashboard_named_as_in_another_region(t: Template) -> None:
    of(t, "Dashboard")["DashboardName"] = sub("${NamePrefix}")


@defect("cfn-unique-names")
def dashboard_named_as_another_stacks(t: Template) -> None:
    of(t, "Dashboard")["DashboardName"] = sub("pictures-${AWS::Region}")


@defect("lambda-tracing-permissions")
def traces_without_rights(t: Template) -> None:
    drop(t, "WorkerRole", "SendTraces")


@defect("lambda-tracing-permissions")
def traces_without_telemetry(t: Template) -> None:
    named(t, "WorkerRole", "SendTraces")["Action"] = ["xray:PutTraceSegments"]


@defect("cloudwatch-alarm-metric-count")
def alarm_with_too_many_metrics(t: Template) -> None:
    queries = of(t, "RejectionAlarm")["Metrics"]
    queries += [{**queries[1], "Id": f"more{number}"} for number in range(9)]


@defect("cloudwatch-alarm-evaluation")
def alarm_on_the_sum_of_durations(t: Template) -> None:
    of(t, "WorkerDurationAlarm")["Statistic"] = "Sum"


@defect("cloudwatch-required-alarms")
def no_alarm_of_waiting_work(t: Template) -> None:
    del t["Resources"]["QueueAgeAlarm"]


@defect("cloudwatch-required-alarms")
def no_alarm_of_errors(t: Template) -> None:
    del t["Resources"]["WorkerErrorAlarm"]


@defect("cloudwatch-alarm-metric")
def alarm_of_every_function(t: Template) -> None:
    del of(t, "WorkerErrorAlarm")["Dimensions"]


@defect("logs-retention")
def logs_for_ever(t: Template) -> None:
    del of(t, "WorkerLogGroup")["RetentionInDays"]


def delivered(template: Template) -> dict[str, Any]:
    found: dict[str, Any] = of(template, "WorkerLogDelivery")["ExtendedS3DestinationConfiguration"]
    return found


@defect("firehose-decompression", on=additions.archive)
def logs_compressed_twice(t: Template) -> None:
    del delivered(t)["ProcessingConfiguration"]


@defect("firehose-decompression", on=additions.archive)
def logs_left_in_their_envelope(t: Template) -> None:
    del delivered(t)["ProcessingConfiguration"]["Processors"][1]


@defect("firehose-decompression", on=additions.archive)
def logs_stored_uncompressed(t: Template) -> None:
    del delivered(t)["CompressionFormat"]


@defect("firehose-permissions", on=additions.archive)
def delivery_cannot_use_the_key(t: Template) -> None:
    drop(t, "LogDeliveryRole", "EncryptLogs")


@defect("firehose-permissions", on=additions.archive)
def delivery_writes_elsewhere(t: Template) -> None:
    delivered(t)["Prefix"] = "logs/"


@defect("logs-subscription-permissions", on=additions.archive)
def logs_sent_without_the_right(t: Template) -> None:
    named(t, "LogSubscriptionRole", "SendLogs")["Action"].pop()


@defect("logs-subscription-permissions", on=additions.archive)
def logs_sent_by_another_service(t: Template) -> None:
    trust = named(t, "LogSubscriptionRole", "Assume")
    trust["Principal"] = {"Service": ["vpc-flow-logs.amazonaws.com"]}


@defect("iam-confused-deputy", on=additions.archive)
def anybodys_logs_are_sent(t: Template) -> None:
    del named(t, "LogSubscriptionRole", "Assume")["Condition"]


@defect("iam-confused-deputy", on=additions.archive)
def anybodys_stream_writes_the_archive(t: Template) -> None:
    del named(t, "LogDeliveryRole", "Assume")["Condition"]


@defect("firehose-error-logging", on=additions.archive)
def failed_delivery_is_silent(t: Template) -> None:
    del delivered(t)["CloudWatchLoggingOptions"]


@defect("firehose-error-logging", on=additions.archive)
def failed_delivery_is_told_to_nobody(t: Template) -> None:
    del t["Resources"]["LogDeliveryLogStream"]


@defect("firehose-error-logging", on=additions.archive)
def failed_delivery_feeds_itself(t: Template) -> None:
    group = {"Ref": "WorkerLogGroup"}
    of(t, "LogDeliveryLogStream")["LogGroupName"] = group
    delivered(t)["CloudWatchLoggingOptions"]["LogGroupName"] = group


@defect("s3-lifecycle-logs", on=additions.archive)
def archive_for_ever(t: Template) -> None:
    (lifecycle,) = of(t, "LogArchiveBucket")["LifecycleConfiguration"]["Rules"]
    del lifecycle["ExpirationInDays"]


@defect("s3-versioning", on=additions.archive)
def archive_not_versioned(t: Template) -> None:
    del of(t, "LogArchiveBucket")["VersioningConfiguration"]


@defect("s3-access-log-delivery", on=additions.access_logs)
def access_log_under_a_key(t: Template) -> None:
    encryption = of(t, "UploadBucket")["BucketEncryption"]
    of(t, "AccessLogBucket")["BucketEncryption"] = encryption


@defect("s3-access-log-delivery", on=additions.access_logs)
def access_log_locked(t: Template) -> None:
    of(t, "AccessLogBucket")["ObjectLockEnabled"] = True


@defect("s3-access-log-delivery", on=additions.access_logs)
def access_log_not_admitted(t: Template) -> None:
    drop(t, "AccessLogBucketPolicy", "WriteAccessLogs")


@defect("cloudwatch-delivery-alarm", on=additions.archive)
def alarm_on_the_freshness_only(t: Template) -> None:
    alarm = of(t, "WorkerLogDeliveryAlarm")
    alarm["Metrics"] = [
        {"Id": "r", "Expression": "IF(age>900,1,0)"},
        *(one for one in alarm["Metrics"] if one["Id"] == "age"),
    ]


@defect("logs-delivery-depends-on-policy", on=additions.archived_distribution)
def log_delivery_before_bucket_policy(t: Template) -> None:
    del t["Resources"]["DistributionLogDelivery"]["DependsOn"]


@defect("logs-delivery-depends-on-policy", on=additions.archived_distribution)
def log_delivery_without_its_statement(t: Template) -> None:
    drop(t, "LogArchiveBucketPolicy", "AWSLogDeliveryWrite")


@defect("logs-delivery-depends-on-policy", on=additions.archived_distribution)
def log_delivery_from_another_region(t: Template) -> None:
    source = sub("arn:${AWS::Partition}:logs:eu-west-1:${AWS::AccountId}:delivery-source:*")
    condition = named(t, "LogArchiveBucketPolicy", "AWSLogDeliveryWrite")["Condition"]
    condition["ArnLike"]["aws:SourceArn"] = source


@defect("logs-delivery-depends-on-policy")
def flow_log_before_bucket_policy(t: Template) -> None:
    del t["Resources"]["FlowLog"]["DependsOn"]


@defect("logs-delivery-depends-on-policy")
def flow_log_without_its_statement(t: Template) -> None:
    drop(t, "LogArchiveBucketPolicy", "AWSLogDeliveryWrite")


@defect("logs-delivery-depends-on-policy")
def flow_log_without_the_key(t: Template) -> None:
    drop(t, "EncryptionKey", "DeliverLogs")
