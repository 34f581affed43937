"""The log archive and the access log bucket, which keep logs longer than their log groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awacs.firehose as firehose
import awacs.logs as logs
import awacs.s3 as s3
from awacs.aws import Statement, StringEquals
from troposphere import AWSHelperFn, GetAtt, Output, Ref, Sub, Template
from troposphere.firehose import (
    CloudWatchLoggingOptions,
    DeliveryStream,
    DeliveryStreamEncryptionConfigurationInput,
    ExtendedS3DestinationConfiguration,
    ProcessingConfiguration,
    Processor,
    ProcessorParameter,
)
from troposphere.iam import Policy, Role
from troposphere.logs import LogGroup, LogStream, SubscriptionFilter
from troposphere.s3 import Bucket, DefaultRetention, ObjectLockConfiguration, ObjectLockRule

from templates import naming, policies
from templates.bucket import AccessLogs, add_bucket, add_bucket_policy
from templates.encryption import Encryption
from templates.log_group import add_log_group
from templates.parameters.monitoring import Retention

LOGS = "logs"
ACCESS_LOGS = "access"

# By hour in UTC, which `darkroom logs` lists by and Athena can project as a partition.
HOUR = "!{timestamp:yyyy/MM/dd/HH}/"

# Prefix of records that Firehose could not process, followed by the kinds of log and error.
FAILED = "failed/"

FLOW_LOGS = "flow-logs"
"""The name of their source, whose delivery also looks at the bucket."""

# Prefix of the logs that AWS services deliver directly.
DELIVERED = "AWSLogs/"

# The permissions that Firehose needs on a bucket, by the resource that they apply to.
# https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3
DELIVER_OBJECTS = [s3.AbortMultipartUpload, s3.GetObject, s3.PutObject]
DELIVER_TO_BUCKET = [s3.GetBucketLocation, s3.ListBucket, s3.ListBucketMultipartUploads]


class _LogProcessor(Processor):
    """A processor of log events, whose types troposphere 4.11.0 does not know."""

    props = {**Processor.props, "Type": (str, True)}  # noqa: RUF012 - troposphere's own way


@dataclass(frozen=True, kw_only=True)
class LogArchive:
    """The archive's bucket, and the delivery stream of each kind of log."""

    bucket: Bucket
    streams: Mapping[str, DeliveryStream]

    def outputs(self) -> list[Output]:
        """Return the stack's output about the archive."""
        name = Ref(self.bucket)
        return [
            Output(
                "LogArchiveBucketName",
                Description="Bucket that the logs are archived in",
                Value=name,
            )
        ]


def add_log_archive(
    template: Template,
    *,
    encryption: Encryption,
    log_groups: Mapping[str, LogGroup],
    object_lock: str,
    access_logs: AccessLogs | None,
    log_sources: Mapping[str, Sub],
    retention: Retention,
    permissions_boundary: AWSHelperFn,
) -> LogArchive:
    """Add the archive's bucket and a delivery stream for each kind of log.

    One stream for all logs would need dynamic partitioning, which costs more per gigabyte and needs
    larger buffers.

    Args:
        template: The stack's template.
        encryption: The stack's key.
        log_groups: The log groups to archive, by kind of log.
        object_lock: Mode of the object lock, or "off".
        access_logs: The bucket that S3 writes access logs to, if any.
        log_sources: For which sources AWS delivers logs to the bucket directly, by name.
        retention: How long objects and logs are kept.
        permissions_boundary: Boundary of the roles.
    """
    bucket = _add_archive_bucket(
        template, encryption, object_lock, access_logs, retention, log_sources
    )
    errors = add_log_group(
        template,
        "LogDeliveryLogGroup",
        "delivery",
        encryption=encryption,
        retention_days=retention.log_days,
    )
    # Firehose writes delivery errors here, and creates no log stream itself.
    stream: dict[str, Any] = {
        "LogGroupName": Ref(errors),
        "LogStreamName": Ref(naming.NAME_PREFIX),
    }
    template.add_resource(LogStream("LogDeliveryLogStream", **stream))
    # By name, so that the roles exist long before the streams: IAM takes some seconds.
    streams_arn = naming.stream_arn("*")
    delivery_role = _add_role(
        template,
        "LogDeliveryRole",
        permissions_boundary,
        policies.allow_assume(
            "firehose.amazonaws.com",
            policies.from_this_account(),
            policies.on_behalf_of(streams_arn),
        ),
        policies.allow(
            "WriteLogs",
            DELIVER_OBJECTS,
            [
                policies.within(GetAtt(bucket, "Arn"), f"{prefix}*")
                for prefix in (*(f"{kind}/" for kind in log_groups), FAILED)
            ],
        ),
        policies.allow("ListBucket", DELIVER_TO_BUCKET, [GetAtt(bucket, "Arn")]),
        encryption.encrypt_and_decrypt("EncryptLogs", "aws:s3:arn", GetAtt(bucket, "Arn")),
        policies.allow("LogDeliveryErrors", [logs.PutLogEvents], [GetAtt(errors, "Arn")]),
    )
    subscription_role = _add_role(
        template,
        "LogSubscriptionRole",
        permissions_boundary,
        policies.allow_assume(
            # CloudWatch Logs sends no source account (pitfall 47).
            "logs.amazonaws.com",
            policies.on_behalf_of(naming.log_source_arns()),
        ),
        policies.allow("SendLogs", [firehose.PutRecord, firehose.PutRecordBatch], [streams_arn]),
    )
    destination = {
        # The bucket's own encryption; objects of 5 MB or 300 seconds: all defaults.
        "BucketARN": GetAtt(bucket, "Arn"),
        "RoleARN": GetAtt(delivery_role, "Arn"),
        "CloudWatchLoggingOptions": CloudWatchLoggingOptions(Enabled=True, **stream),
    }
    return LogArchive(
        bucket=bucket,
        streams={
            kind: _add_stream(template, kind, group, encryption, destination, subscription_role)
            for kind, group in log_groups.items()
        },
    )


def _add_stream(
    template: Template,
    kind: str,
    log_group: LogGroup,
    encryption: Encryption,
    destination: dict[str, Any],
    subscription_role: Role,
) -> DeliveryStream:
    """Add the delivery stream of a kind of log, and the subscription that feeds it."""
    stream = template.add_resource(
        DeliveryStream(
            naming.logical_id(kind, "LogDelivery"),
            DeliveryStreamName=naming.stream_name(kind),
            # Firehose uses the key through a grant that the deployer creates.
            DeliveryStreamEncryptionConfigurationInput=DeliveryStreamEncryptionConfigurationInput(
                KeyType="CUSTOMER_MANAGED_CMK", KeyARN=encryption.arn
            ),
            ExtendedS3DestinationConfiguration=ExtendedS3DestinationConfiguration(
                **destination,
                Prefix=f"{kind}/{HOUR}",
                ErrorOutputPrefix=f"{FAILED}{kind}/!{{firehose:error-output-type}}/",
                ProcessingConfiguration=_log_lines(),
                CompressionFormat="GZIP",
            ),
        )
    )
    template.add_resource(
        SubscriptionFilter(
            naming.logical_id(kind, "LogSubscription"),
            LogGroupName=Ref(log_group),
            FilterPattern="",  # everything
            DestinationArn=GetAtt(stream, "Arn"),
            RoleArn=GetAtt(subscription_role, "Arn"),
        )
    )
    return stream


def add_access_logs(template: Template, *, retention: Retention) -> AccessLogs:
    """Add the bucket that S3 writes the access logs of the other buckets to.

    S3 cannot write access logs to a bucket with a customer managed key or an object lock.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
    """
    bucket = add_bucket(
        template,
        "AccessLogBucket",
        ACCESS_LOGS,
        encryption=None,
        noncurrent_days=retention.noncurrent_version_days,
        days=retention.log_archive_days,
        suppressions={"CKV_AWS_18": "Its own access logs would log their own delivery"},
    )
    policy = add_bucket_policy(
        template,
        bucket,
        None,
        policies.allow(
            "WriteAccessLogs",
            [s3.PutObject],
            [policies.within(GetAtt(bucket, "Arn"), "*")],
            policies.from_this_account(),
            # By name: a reference would be a cycle with the buckets' logging.
            policies.on_behalf_of(naming.bucket_arn("*")),
            principal=policies.service("logging.s3.amazonaws.com"),
        ),
    )
    return AccessLogs(bucket=bucket, policy=policy)


def _add_archive_bucket(
    template: Template,
    encryption: Encryption,
    object_lock: str,
    access_logs: AccessLogs | None,
    retention: Retention,
    log_sources: Mapping[str, Sub],
) -> Bucket:
    locked: dict[str, Any] = {}
    if object_lock != "off":
        locked["ObjectLockEnabled"] = True
        locked["ObjectLockConfiguration"] = ObjectLockConfiguration(
            ObjectLockEnabled="Enabled",
            Rule=ObjectLockRule(
                DefaultRetention=DefaultRetention(
                    Mode=object_lock.upper(), Days=retention.log_archive_days
                )
            ),
        )
    bucket = add_bucket(
        template,
        "LogArchiveBucket",
        LOGS,
        encryption=encryption,
        noncurrent_days=retention.noncurrent_version_days,
        # No colder storage class: the log of a million pictures per month takes about 260 MB, which
        # costs 0.006 USD per month in standard storage. Moving its 8,760 objects costs 0.18 USD,
        # and S3 moves no object below 128 KB. https://aws.amazon.com/s3/pricing/
        days=retention.log_archive_days,
        access_logs=access_logs,
        **locked,
    )
    delivery = _allow_delivery(bucket, log_sources) if log_sources else []
    add_bucket_policy(template, bucket, encryption, *delivery)
    return bucket


def _allow_delivery(bucket: Bucket, sources: Mapping[str, Sub]) -> list[Statement]:
    """Return what lets AWS services deliver logs of these sources to the bucket.

    They are AWS's own: AWS changes a policy that lacks them (pitfall 65).
    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html
    """
    service = policies.service("delivery.logs.amazonaws.com")
    statements = [
        policies.allow(
            "AWSLogDeliveryWrite",
            [s3.PutObject],
            [Sub(f"${{{bucket.title}.Arn}}/{DELIVERED}${{AWS::AccountId}}/*")],
            StringEquals(
                {
                    "s3:x-amz-acl": "bucket-owner-full-control",
                    "aws:SourceAccount": policies.ACCOUNT,
                }
            ),
            policies.on_behalf_of(*sources.values()),
            principal=service,
        ),
    ]
    if flow_log := sources.get(FLOW_LOGS):
        statements.append(
            policies.allow(
                "AWSLogDeliveryAclCheck",
                [s3.GetBucketAcl, s3.ListBucket],
                [GetAtt(bucket, "Arn")],
                policies.from_this_account(),
                policies.on_behalf_of(flow_log),
                principal=service,
            )
        )
    return statements


def _add_role(
    template: Template,
    logical_id: str,
    permissions_boundary: AWSHelperFn,
    trust: Statement,
    *grants: Statement,
) -> Role:
    return template.add_resource(
        Role(
            logical_id,
            AssumeRolePolicyDocument=policies.document(trust),
            PermissionsBoundary=permissions_boundary,
            Policies=[Policy(PolicyName=LOGS, PolicyDocument=policies.document(*grants))],
        )
    )


def _log_lines() -> ProcessingConfiguration:
    """Return what extracts log lines from compressed records of events (pitfalls 48 and 55).

    https://docs.aws.amazon.com/firehose/latest/dev/writing-with-cloudwatch-logs-decompression.html
    """
    return ProcessingConfiguration(
        Enabled=True,
        Processors=[
            _LogProcessor(
                Type=kind,
                Parameters=[ProcessorParameter(ParameterName=name, ParameterValue=value)],
            )
            for kind, name, value in (
                ("Decompression", "CompressionFormat", "GZIP"),
                ("CloudWatchLogProcessing", "DataMessageExtraction", "true"),
                # Backslash and n, as Firehose wants it: extracted messages need not end in one.
                ("AppendDelimiterToRecord", "Delimiter", "\\n"),
            )
        ],
    )
