"""Parameters of retention, alarms and traces."""

from dataclasses import dataclass

from troposphere import And, AWSHelperFn, Equals, If, Not, Or, Ref, Template
from troposphere import Condition as ConditionReference

from templates.parameters.builder import (
    OPTIONAL_KMS_KEY,
    TOPIC,
    YES_NO,
    Condition,
    Group,
    condition,
    is_given,
    is_true,
)
from templates.specification_options import Alarms

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653]


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How many days objects and logs are kept."""

    noncurrent_version_days: Ref
    log_days: Ref
    log_archive_days: Ref | None
    """None for a stack without a bucket for logs."""


@dataclass(frozen=True, kw_only=True)
class ExistingTopic:
    """A topic outside the stack that may take the place of one of the stack's."""

    arn: Ref
    creates_own: Condition
    """Condition: no topic is given, so the stack creates one."""


@dataclass(frozen=True, kw_only=True)
class AlarmRecipient:
    """Who receives the alarms of one severity."""

    email: Ref | If
    subscribes_email: Condition
    """Condition: the stack creates the topic, and it has an address to notify."""

    existing_topic: ExistingTopic | None
    """None for a template that always creates the topic."""


@dataclass(frozen=True, kw_only=True)
class CostLimit:
    """The estimated US dollars per hour of a queue, above which a warning is sent."""

    maximum: Ref
    is_given: Condition


@dataclass(frozen=True, kw_only=True)
class AlarmParameters:
    """Who receives the alarms, and the key of the stack's topics."""

    critical: AlarmRecipient
    warning: AlarmRecipient
    topic_kms_key: Ref
    has_topic_kms_key: Condition
    """Condition: the topics have a separate key, which still works when the stack's is disabled."""

    uses_stack_key: Condition
    """Condition: a topic is encrypted with the stack's key."""

    cost_limit: CostLimit | None
    """None for a template without alarms on cost."""


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """How the stack is observed."""

    uploads_monitored: Condition | None
    """Condition: S3 counts uploads, to detect missing notifications; None without a bucket."""

    alarms: AlarmParameters
    tracing_mode: Ref
    tracing_enabled: Condition
    """Condition: Lambda sends traces of sampled invocations to X-Ray."""


def add_retention(template: Template, *, stores_logs: bool, is_compliance: bool) -> Retention:
    """Add the retention parameters.

    Args:
        template: The stack's template.
        stores_logs: The stack has a bucket for logs.
        is_compliance: Nobody can shorten the retention of a log, nor delete it before.
    """
    group = Group(template, "Retention")
    return Retention(
        noncurrent_version_days=group.add(
            "NoncurrentVersionRetentionDays",
            "Days to keep overwritten and deleted object versions",
            Type="Number",
            Default=30,
            MinValue=1,
            MaxValue=3650,
        ),
        log_days=group.add(
            "LogRetentionDays",
            "Days to keep log lines in CloudWatch Logs",
            Type="Number",
            Default=30,
            AllowedValues=RETENTION_DAYS,
        ),
        log_archive_days=group.add(
            "LogArchiveRetentionDays",
            "Days to keep the log archive's objects and access logs",
            Type="Number",
            Default=365,
            MinValue=1,
            MaxValue=3653 if is_compliance else 36500,
        )
        if stores_logs
        else None,
    )


def add_monitoring(
    template: Template, *, has_upload_buckets: bool, alarm_settings: Alarms
) -> Monitoring:
    """Add the parameters of metrics, alarms and traces."""
    group = Group(template, "Monitoring")
    uploads_monitored = None
    if has_upload_buckets:
        enable = group.add(
            "EnableUploadMetrics",
            "Count uploads by S3 request metrics (up to 5 USD per month), to detect missing"
            " notifications",
            Default="true",
            **YES_NO,
        )
        uploads_monitored = is_true(template, "UploadMetricsEnabled", enable)
    alarms = _add_alarms(template, group, alarm_settings)
    tracing = group.add(
        "Tracing",
        "Active sends X-Ray traces of sampled invocations, at a charge",
        Default="PassThrough",
        AllowedValues=["PassThrough", "Active"],
    )
    return Monitoring(
        uploads_monitored=uploads_monitored,
        alarms=alarms,
        tracing_mode=tracing,
        tracing_enabled=condition(template, "TracingActive", Equals(tracing, "Active")),
    )


def _add_alarms(template: Template, group: Group, settings: Alarms) -> AlarmParameters:
    address = {"Default": "", "AllowedPattern": r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$"}
    critical_email = group.add(
        "CriticalAlarmEmail",
        "Email address that receives critical alarms; empty for none",
        **address,
    )
    warning_email = group.add(
        "WarningAlarmEmail",
        "Email address that receives warnings; empty for CriticalAlarmEmail",
        **address,
    )
    has_critical = is_given(template, "HasCriticalAlarmEmail", critical_email)
    has_warning = is_given(template, "HasWarningAlarmEmail", warning_email)
    sends_warnings: AWSHelperFn = Or(
        ConditionReference(has_critical), ConditionReference(has_warning)
    )
    topics = {
        severity: _add_existing_topic(template, group, severity, alarms)
        for severity, alarms in (("Critical", "critical alarms"), ("Warning", "warnings"))
        if settings.topic_parameters
    }
    key = group.add(
        "AlarmTopicKmsKeyArn",
        "ARN of another key for the alarm topics, so that they report a disabled stack key; empty"
        " for the stack's key",
        Default="",
        AllowedPattern=OPTIONAL_KMS_KEY,
    )
    has_key = is_given(template, "HasAlarmTopicKey", key)
    uses_stack_key: AWSHelperFn = Not(ConditionReference(has_key))
    if topics:
        creates_one = Or(*(ConditionReference(one.creates_own) for one in topics.values()))
        uses_stack_key = And(uses_stack_key, creates_one)
        has_critical = condition(
            template,
            "SendsCriticalAlarms",
            And(
                ConditionReference(topics["Critical"].creates_own), ConditionReference(has_critical)
            ),
        )
        sends_warnings = And(ConditionReference(topics["Warning"].creates_own), sends_warnings)
    return AlarmParameters(
        critical=AlarmRecipient(
            email=critical_email,
            subscribes_email=has_critical,
            existing_topic=topics.get("Critical"),
        ),
        warning=AlarmRecipient(
            email=If(has_warning, warning_email, critical_email),
            subscribes_email=condition(template, "SendsWarnings", sends_warnings),
            existing_topic=topics.get("Warning"),
        ),
        topic_kms_key=key,
        has_topic_kms_key=has_key,
        uses_stack_key=condition(template, "AlarmsUseStackKey", uses_stack_key),
        cost_limit=_add_cost_limit(template, group) if settings.hourly_cost else None,
    )


def _add_cost_limit(template: Template, group: Group) -> CostLimit:
    maximum = group.add(
        "MaximumHourlyCost",
        "Estimated US dollars per hour of a queue above which a warning is sent; 0 for no limit",
        Type="Number",
        Default=0,
        MinValue=0,
        MaxValue=100_000,
    )
    given = condition(template, "HasMaximumHourlyCost", Not(Equals(maximum, 0)))
    return CostLimit(maximum=maximum, is_given=given)


def _add_existing_topic(
    template: Template, group: Group, severity: str, alarms: str
) -> ExistingTopic:
    """Add the parameter of a topic; the outputs of the topics in use have other names.

    The name of an output must be unique within the template.
    """
    topic = group.add(
        f"Existing{severity}TopicArn",
        f"ARN of an existing topic for {alarms}, in this Region; empty to create one",
        Default="",
        AllowedPattern=f"^$|{TOPIC}",
    )
    creates_own = condition(template, f"Creates{severity}Topic", Equals(topic, ""))
    return ExistingTopic(arn=topic, creates_own=creates_own)
