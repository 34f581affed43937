"""Rules about log groups and the delivery of logs."""

from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.iam.evaluator import allowed
from darkroom.iam.expectations.requests import by_service
from darkroom.lint.access import not_allowed
from darkroom.lint.rule import Problems, rule

FIREHOSE = "https://docs.aws.amazon.com/firehose/latest/dev"


@rule(
    "DR-LOGS-001",
    "warning",
    remediation="Set RetentionInDays.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html",
    requirements=("O1",),
)
def logs_retention(model: TemplateModel) -> Problems:
    """A log group has a retention period.

    By default logs are kept, and paid for, forever.
    """
    for title, group in model.resources_of_type("Logs::LogGroup").items():
        if "RetentionInDays" not in group:
            yield title, "keeps its logs forever"


def _delivered(model: TemplateModel) -> dict[str, dict[str, Any]]:
    """Return the delivery streams that log groups feed, with their S3 destination."""
    return {
        stream: model.properties(stream).get("ExtendedS3DestinationConfiguration", {})
        for one in model.resources_of_type("Logs::SubscriptionFilter").values()
        if (
            stream := model.logical_id(one.get("DestinationArn"), "KinesisFirehose::DeliveryStream")
        )
    }


@rule(
    "DR-FIREHOSE-001",
    "error",
    remediation=(
        "Add a Decompression processor and CloudWatchLogProcessing with DataMessageExtraction,"
        " and CompressionFormat GZIP after them."
    ),
    source=f"{FIREHOSE}/writing-with-cloudwatch-logs-decompression.html",
    requirements=("O6",),
    pitfalls=(48,),
)
def firehose_decompression(model: TemplateModel) -> Problems:
    """A stream of log events decompresses them, extracts the messages and compresses once.

    Log events arrive compressed, several in a record: the objects become unreadable, or are
    compressed twice.
    """
    for stream, destination in _delivered(model).items():
        processing = destination.get("ProcessingConfiguration", {})
        kinds = [one.get("Type") for one in processing.get("Processors", [])]
        if "Decompression" not in kinds or str(processing.get("Enabled")).lower() != "true":
            if destination.get("CompressionFormat", "UNCOMPRESSED") != "UNCOMPRESSED":
                yield stream, "compresses what is already compressed"
            else:
                yield stream, "does not decompress the log events that it receives"
        elif "CloudWatchLogProcessing" not in kinds:
            yield stream, "does not extract the messages from the log events"
        elif destination.get("CompressionFormat", "UNCOMPRESSED") == "UNCOMPRESSED":
            yield stream, "stores decompressed log lines uncompressed"


@rule(
    "DR-LOGS-002",
    "error",
    remediation=(
        "Let logs.amazonaws.com assume the subscription's role for this account, and allow the"
        " role firehose:PutRecord and PutRecordBatch on the stream."
    ),
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html",
    requirements=("O6", "S5"),
)
def logs_subscription_permissions(model: TemplateModel) -> Problems:
    """A subscription filter's role may be assumed and may write to the delivery stream.

    CloudWatch Logs tests a subscription once, when it is made, and later drops log events
    without an error.
    """
    for title, properties in model.resources_of_type("Logs::SubscriptionFilter").items():
        stream = model.logical_id(
            properties.get("DestinationArn"), "KinesisFirehose::DeliveryStream"
        )
        role = model.logical_id(properties.get("RoleArn"), "IAM::Role")
        if not stream:
            continue
        if not role:
            yield title, "has no role to send as"
            continue
        group = f"log-group:{properties.get('LogGroupName')}:*"
        here = f"{model.pseudo('Region')}:{model.account}"
        source = f"arn:{model.pseudo('Partition')}:logs:{here}:{group}"
        regional = f"logs.{model.pseudo('Region')}.{model.pseudo('URLSuffix')}"
        if not any(
            allowed(
                model.trust_statements(role),
                by_service(service, "sts:AssumeRole", "*", **{"aws:SourceArn": source}),
            )
            for service in ("logs.amazonaws.com", regional)
        ):
            yield role, f"does not let logs.amazonaws.com assume it for {title}"
        actions = ("firehose:PutRecord", "firehose:PutRecordBatch")
        if missing := not_allowed(model.role_statements(role), actions, model.arn(stream)):
            yield role, f"lacks {missing} on {stream}"


@rule(
    "DR-LOGS-003",
    "error",
    remediation=(
        "Give the bucket a policy that allows delivery.logs.amazonaws.com s3:PutObject under"
        " AWSLogs/ACCOUNT/, let the delivery depend on it (DependsOn), and allow the service to use"
        " the bucket's key."
    ),
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-V2-S3.html",
    requirements=("O6",),
    pitfalls=(65,),
)
def logs_delivery_depends_on_policy(model: TemplateModel) -> Problems:
    """A log delivery or flow log to a bucket depends on its policy; it and the key allow it.

    AWS gives a bucket without a policy one of its own, which CloudFormation cannot replace, and
    changes a policy that does not allow the delivery. What may not use the key is not delivered.
    """
    for delivery, bucket, source in _deliveries_to_buckets(model):
        for policy in model.resource_policies(bucket):
            if policy not in model.dependencies(delivery):
                yield delivery, f"does not depend on {policy}"
        context = {"aws:SourceAccount": model.account, "aws:SourceArn": source}
        service = "delivery.logs.amazonaws.com"
        put = by_service(
            service,
            "s3:PutObject",
            f"{model.arn(bucket)}/AWSLogs/{model.account}/x",
            **context,
            **{"s3:x-amz-acl": "bucket-owner-full-control"},
        )
        if not allowed(model.resource_policy_statements(bucket), put):
            yield bucket, f"does not allow {delivery} to write to it"
        key = model.kms_key_of(bucket)
        use = by_service(service, "kms:GenerateDataKey", "*", **context)
        if key and not allowed(model.statements(key), use):
            yield key, f"does not allow {delivery} to write to {bucket}"


def _deliveries_to_buckets(model: TemplateModel) -> Iterator[tuple[str, str, str]]:
    """Yield each delivery of logs to a bucket of the template, the bucket and the source's ARN."""
    for delivery, properties in model.resources_of_type("Logs::Delivery").items():
        destination, source = (
            model.logical_id(properties.get(name), f"Logs::{kind}")
            for name, kind in (
                ("DeliveryDestinationArn", "DeliveryDestination"),
                ("DeliverySourceName", "DeliverySource"),
            )
        )
        arn = destination and model.properties(destination).get("DestinationResourceArn")
        if bucket := model.logical_id(arn, "S3::Bucket"):
            yield delivery, bucket, model.arn(source) if source else ""
    logs = f"arn:{model.pseudo('Partition')}:logs:{model.pseudo('Region')}:{model.account}:*"
    for title, properties in model.resources_of_type("EC2::FlowLog").items():
        if bucket := model.logical_id(properties.get("LogDestination"), "S3::Bucket"):
            yield title, bucket, logs


@rule(
    "DR-FIREHOSE-002",
    "warning",
    remediation=(
        "Set CloudWatchLoggingOptions with a log stream of the template, in a log group that no"
        " subscription reads."
    ),
    source=f"{FIREHOSE}/monitoring-with-cloudwatch-logs.html",
    requirements=("O2", "O6"),
)
def firehose_error_logging(model: TemplateModel) -> Problems:
    """A stream of log events logs delivery errors where no subscription reads them.

    Without it nobody learns why logs do not arrive; errors that are logged to the stream's own
    source never end.
    """
    known = {
        (str(one.get("LogGroupName")), str(one.get("LogStreamName")))
        for one in model.resources_of_type("Logs::LogStream").values()
    }
    for stream, destination in _delivered(model).items():
        options = destination.get("CloudWatchLoggingOptions", {})
        group, name = str(options.get("LogGroupName")), str(options.get("LogStreamName"))
        if str(options.get("Enabled")).lower() != "true":
            yield stream, "does not log delivery errors"
            continue
        if (group, name) not in known:
            yield stream, f"logs delivery errors to {group} {name}, which does not exist"
        for title, one in model.resources_of_type("Logs::SubscriptionFilter").items():
            if str(one.get("LogGroupName")) == group:
                yield stream, f"logs delivery errors to {group}, which {title} sends to a stream"


@rule(
    "DR-S3-017",
    "warning",
    remediation="Add an enabled lifecycle rule with ExpirationInDays for the whole bucket.",
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configuration-examples.html",
    requirements=("O6",),
    pitfalls=(51,),
)
def s3_lifecycle_logs(model: TemplateModel) -> Problems:
    """A bucket that logs are delivered to expires them.

    Logs contain the names of people's files: kept forever, they are a cost and a liability.
    """
    buckets = {
        model.logical_id(one.get("BucketARN"), "S3::Bucket") for one in _delivered(model).values()
    }
    for bucket in sorted((buckets | model.access_log_buckets()) - {""}):
        rules = model.properties(bucket).get("LifecycleConfiguration", {}).get("Rules", [])
        if not any(
            one.get("Status") == "Enabled" and "ExpirationInDays" in one and "Prefix" not in one
            for one in rules
        ):
            yield bucket, "keeps logs forever"


@rule(
    "DR-FIREHOSE-003",
    "error",
    remediation=(
        "Grant the stream's role s3:PutObject under its prefix, and kms:GenerateDataKey on the"
        " bucket's key with the bucket's ARN as encryption context."
    ),
    source=f"{FIREHOSE}/encryption.html",
    requirements=("O6", "S4"),
)
def firehose_permissions(model: TemplateModel) -> Problems:
    """A delivery stream's role may write to its bucket and use the bucket's key.

    A stream that may not use its bucket's key delivers nothing.
    """
    for stream, properties in model.resources_of_type("KinesisFirehose::DeliveryStream").items():
        destination = properties.get("ExtendedS3DestinationConfiguration", {})
        bucket = model.logical_id(destination.get("BucketARN"), "S3::Bucket")
        role = model.logical_id(destination.get("RoleARN"), "IAM::Role")
        if not bucket or not role:
            continue
        granted = model.role_statements(role)
        prefix = str(destination.get("Prefix", "")).partition("!{")[0]
        missing = [not_allowed(granted, ["s3:PutObject"], f"{model.arn(bucket)}/{prefix}x")]
        if key := model.kms_key_of(bucket):
            context = {
                "kms:EncryptionContext:aws:s3:arn": model.arn(bucket),
                "kms:ViaService": f"s3.{model.pseudo('Region')}.{model.pseudo('URLSuffix')}",
            }
            missing.append(not_allowed(granted, ["kms:GenerateDataKey"], model.arn(key), **context))
        if any(missing):
            actions = ", ".join(filter(None, missing))
            yield role, f"lacks {actions} for what {stream} delivers to {bucket}"
