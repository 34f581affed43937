"""Parameters of retention, alarms and traces."""

from dataclasses import dataclass

from troposphere import Condition as ConditionReference
from troposphere import Equals, If, Or, Ref, Template

from templates.parameters.builder import (
    OPTIONAL_KMS_KEY,
    YES_NO,
    Condition,
    Group,
    condition,
    if_given,
    is_given,
    is_true,
)

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
class AlarmParameters:
    """Who receives the alarms, and the key of their topics."""

    critical_email: Ref
    has_critical_email: Condition
    warning_email: If
    has_warning_email: Condition
    """Condition: warnings have an address, their own or that of critical alarms."""

    topic_kms_key: Ref
    has_topic_kms_key: Condition
    """Condition: the topics have a separate key, which still works when the stack's is disabled."""


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
            "Days to keep logs in CloudWatch",
            Type="Number",
            Default=30,
            AllowedValues=RETENTION_DAYS,
        ),
        log_archive_days=group.add(
            "LogArchiveRetentionDays",
            "Days to keep logs in S3",
            Type="Number",
            Default=365,
            MinValue=1,
            MaxValue=3653 if is_compliance else 36500,
        )
        if stores_logs
        else None,
    )


def add_monitoring(template: Template, *, has_upload_buckets: bool) -> Monitoring:
    """Add the parameters of metrics, alarms and traces."""
    group = Group(template, "Monitoring")
    uploads_monitored = None
    if has_upload_buckets:
        enable = group.add(
            "EnableUploadMetrics",
            "S3 request metrics (up to 5 USD per month) to detect missing notifications",
            Default="true",
            **YES_NO,
        )
        uploads_monitored = is_true(template, "UploadMetricsEnabled", enable)
    alarms = _add_alarms(template, group)
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


def _add_alarms(template: Template, group: Group) -> AlarmParameters:
    address = {"Default": "", "AllowedPattern": r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$"}
    critical = group.add(
        "CriticalAlarmEmail", "Email address of critical alarms; empty for none", **address
    )
    warning = group.add(
        "WarningAlarmEmail", "Email address of warnings; empty for CriticalAlarmEmail", **address
    )
    key = group.add(
        "AlarmTopicKmsKeyArn",
        "Own key of the alarm topics, to report a disabled stack key; empty for the stack's",
        Default="",
        AllowedPattern=OPTIONAL_KMS_KEY,
    )
    has_critical = is_given(template, "HasCriticalAlarmEmail", critical)
    warning_email = if_given(template, "HasWarningAlarmEmail", warning, otherwise=critical)
    return AlarmParameters(
        critical_email=critical,
        has_critical_email=has_critical,
        warning_email=warning_email,
        has_warning_email=condition(
            template,
            "SendsWarnings",
            Or(ConditionReference(has_critical), ConditionReference("HasWarningAlarmEmail")),
        ),
        topic_kms_key=key,
        has_topic_kms_key=is_given(template, "HasAlarmTopicKey", key),
    )
