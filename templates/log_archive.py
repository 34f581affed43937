"""Logs that outlive their log groups, in buckets of their own, and how they get there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awacs.firehose as firehose
import awacs.logs as logs
import awacs.s3 as s3
from troposphere import GetAtt, Ref, Sub, Template
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
from templates.parameters.stack import Parameters
from templates.suppressions import suppress

LOGS = "logs"
ACCESS = "access"

# By the hour in UTC: what `darkroom logs` lists by, and a partition that Athena can project.
HOUR = "!{timestamp:yyyy/MM/dd/HH}/"

# What could not be read goes here, by kind of log and of error.
FAILED = "failed/"

# Services that deliver by themselves begin their keys so.
DELIVERED = "AWSLogs/"

# Firehose's documentation of a role for S3 lists these, in two groups by what they are about.
# https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3
DELIVER_OBJECTS = [s3.AbortMultipartUpload, s3.GetObject, s3.PutObject]
DELIVER_TO_BUCKET = [s3.GetBucketLocation, s3.ListBucket, s3.ListBucketMultipartUploads]


class _LogProcessor(Processor):
    """A processor of log events: troposphere 4.11.0 refuses both of its types as unknown."""

    props = {**Processor.props, "Type": (str, True)}  # noqa: RUF012 - troposphere's own way


@dataclass(frozen=True, kw_only=True)
class LogArchive:
    """The bucket, and for each kind of log the delivery stream that fills it."""

    bucket: Bucket
    streams: Mapping[str, DeliveryStream]


def add_log_archive(
    template: Template,
    *,
    encryption: Encryption,
    log_groups: Mapping[str, LogGroup],
    object_lock: str,
    access_logs: AccessLogs | None,
    admits_deliveries: bool,
    parameters: Parameters,
) -> LogArchive:
    """Add the bucket and, for each kind of log in `log_groups`, its way there.

    Whether it also takes what a service delivers by itself, `admits_deliveries` says.

    A stream for each kind: one for all could tell them apart by dynamic partitioning alone, which
    costs more for each gigabyte, wants larger buffers, and reads JSON, as flow logs are not.
    """
    bucket = _add_archive_bucket(
        template, encryption, object_lock, access_logs, admits_deliveries, parameters
    )
    failures = add_log_group(
        template,
        "LogDeliveryLogGroup",
        "delivery",
        encryption=encryption,
        retention_days=parameters.log_retention_days,
    )
    # Firehose writes why it could not deliver, and makes no log stream by itself.
    told: dict[str, Any] = {"LogGroupName": Ref(failures), "LogStreamName": Ref(naming.NAME_PREFIX)}
    template.add_resource(LogStream("LogDeliveryLogStream", **told))
    # By name, so that the roles are there long before the streams: IAM takes some seconds.
    streams_arn = naming.stream_arn("*")
    writer = _add_role(
        template,
        "LogDeliveryRole",
        parameters,
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
        encryption.exchange("EncryptLogs", "aws:s3:arn", GetAtt(bucket, "Arn")),
        policies.allow("LogDeliveryErrors", [logs.PutLogEvents], [GetAtt(failures, "Arn")]),
    )
    sender = _add_role(
        template,
        "LogSubscriptionRole",
        parameters,
        policies.allow_assume(
            # CloudWatch Logs sends no source account (trap 47), and its documentation names no
            # narrower source than all logs of the account and region.
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
            "logs.amazonaws.com",
            policies.on_behalf_of(
                Sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:*")
            ),
        ),
        policies.allow("SendLogs", [firehose.PutRecord, firehose.PutRecordBatch], [streams_arn]),
    )
    streams = {}
    for kind, group in log_groups.items():
        stream = template.add_resource(
            DeliveryStream(
                f"{kind.capitalize()}LogDelivery",
                DeliveryStreamName=naming.stream_name(kind),
                # Firehose uses the key by a grant that whoever deploys the stack makes.
                DeliveryStreamEncryptionConfigurationInput=(
                    DeliveryStreamEncryptionConfigurationInput(
                        KeyType="CUSTOMER_MANAGED_CMK", KeyARN=encryption.arn
                    )
                ),
                ExtendedS3DestinationConfiguration=ExtendedS3DestinationConfiguration(
                    # Under the bucket's own key, after 5 MB or 300 seconds: both are defaults.
                    BucketARN=GetAtt(bucket, "Arn"),
                    RoleARN=GetAtt(writer, "Arn"),
                    Prefix=f"{kind}/{HOUR}",
                    ErrorOutputPrefix=f"{FAILED}{kind}/!{{firehose:error-output-type}}/",
                    ProcessingConfiguration=_lines(),
                    CompressionFormat="GZIP",
                    CloudWatchLoggingOptions=CloudWatchLoggingOptions(Enabled=True, **told),
                ),
            )
        )
        template.add_resource(
            SubscriptionFilter(
                f"{kind.capitalize()}LogSubscription",
                LogGroupName=Ref(group),
                FilterPattern="",  # everything
                DestinationArn=GetAtt(stream, "Arn"),
                RoleArn=GetAtt(sender, "Arn"),
            )
        )
        streams[kind] = stream
    return LogArchive(bucket=bucket, streams=streams)


def add_access_logs(template: Template, *, parameters: Parameters) -> AccessLogs:
    """Add the bucket in which S3 notes each request to the others.

    S3 delivers to no bucket that is under a customer managed key or has an object lock.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
    """
    bucket = add_bucket(
        template,
        "AccessLogBucket",
        ACCESS,
        encryption=None,
        noncurrent_days=parameters.noncurrent_days,
        days=parameters.archive_retention_days,
        Metadata=suppress(CKV_AWS_18="Its own access log would be about itself, without end"),
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
            # By name: a reference would close a cycle with the buckets' logging.
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
    admits_deliveries: bool,
    parameters: Parameters,
) -> Bucket:
    locked: dict[str, Any] = {}
    if object_lock != "off":
        locked["ObjectLockEnabled"] = True
        locked["ObjectLockConfiguration"] = ObjectLockConfiguration(
            ObjectLockEnabled="Enabled",
            Rule=ObjectLockRule(
                DefaultRetention=DefaultRetention(
                    Mode=object_lock.upper(), Days=parameters.archive_retention_days
                )
            ),
        )
    bucket = add_bucket(
        template,
        "LogArchiveBucket",
        LOGS,
        encryption=encryption,
        noncurrent_days=parameters.noncurrent_days,
        # No colder class: of a million pictures a month the log takes some 50 MB here, for which
        # standard storage costs 0.001 USD a month; moving 17,000 objects of five minutes each costs
        # 0.34, and S3 moves none below 128 KB. https://aws.amazon.com/s3/pricing/
        days=parameters.archive_retention_days,
        access_logs=access_logs,
        **locked,
    )
    delivered = policies.allow(
        "DeliverLogs",
        [s3.PutObject],
        [policies.within(GetAtt(bucket, "Arn"), f"{DELIVERED}*")],
        policies.from_this_account(),
        policies.on_behalf_of(
            Sub("arn:${AWS::Partition}:logs:*:${AWS::AccountId}:delivery-source:*")
        ),
        principal=policies.service("delivery.logs.amazonaws.com"),
    )
    add_bucket_policy(template, bucket, encryption, *([delivered] if admits_deliveries else []))
    return bucket


def _add_role(
    template: Template, title: str, parameters: Parameters, trust: Any, *grants: Any
) -> Role:
    return template.add_resource(
        Role(
            title,
            AssumeRolePolicyDocument=policies.document(trust),
            PermissionsBoundary=parameters.permissions_boundary,
            Policies=[Policy(PolicyName=LOGS, PolicyDocument=policies.document(*grants))],
        )
    )


def _lines() -> ProcessingConfiguration:
    """Take the log lines out of what arrives: compressed, several in a record (trap 48).

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
            )
        ],
    )
