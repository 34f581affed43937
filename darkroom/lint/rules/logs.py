"""Rules about log groups and the delivery of logs."""

from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.iam.evaluator import Request, allowed
from darkroom.lint.rule import Problems, rule

FIREHOSE = "https://docs.aws.amazon.com/firehose/latest/dev"


@rule(
    "DR-LOGS-001",
    "warning",
    remediation="Set RetentionInDays.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html",
    requirements=("O1",),
)
def logs_retention(stack: TemplateModel) -> Problems:
    """A log group has a retention period.

    By default logs are kept, and paid for, for ever.
    """
    for title, group in stack.resources_of_type("Logs::LogGroup").items():
        if "RetentionInDays" not in group:
            yield title, "keeps its logs for ever"


def _delivered(stack: TemplateModel) -> dict[str, dict[str, Any]]:
    """Return the delivery streams that log groups feed, with their S3 destination."""
    return {
        stream: stack.properties(stream).get("ExtendedS3DestinationConfiguration", {})
        for one in stack.resources_of_type("Logs::SubscriptionFilter").values()
        if (
            stream := stack.logical_id(one.get("DestinationArn"), "KinesisFirehose::DeliveryStream")
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
def firehose_decompression(stack: TemplateModel) -> Problems:
    """A stream of log events decompresses them, extracts the messages and compresses once.

    Log events arrive compressed, several in a record: unread objects, or compressed twice.
    """
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
    "DR-LOGS-002",
    "error",
    remediation=(
        "Let logs.amazonaws.com assume the subscription's role for this account, and allow the"
        " role firehose:PutRecord and PutRecordBatch on the stream."
    ),
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html",
    requirements=("O6", "S5"),
)
def logs_subscription_permissions(stack: TemplateModel) -> Problems:
    """A subscription filter's role may be assumed and may write to the delivery stream.

    CloudWatch Logs tries once when the subscription is made, and later drops in silence.
    """
    for title, properties in stack.resources_of_type("Logs::SubscriptionFilter").items():
        stream = stack.logical_id(
            properties.get("DestinationArn"), "KinesisFirehose::DeliveryStream"
        )
        role = stack.logical_id(properties.get("RoleArn"), "IAM::Role")
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
                stack.trust_statements(role),
                Request(action="sts:AssumeRole", principal=service, context=context),
            )
            for service in ("logs.amazonaws.com", regional)
        ):
            yield role, f"does not let logs.amazonaws.com assume it for {title}"
        for action in ("firehose:PutRecord", "firehose:PutRecordBatch"):
            if not allowed(
                stack.role_statements(role), Request(action=action, resource=stack.arn(stream))
            ):
                yield role, f"lacks {action} on {stream}"


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
def firehose_error_logging(stack: TemplateModel) -> Problems:
    """A stream of log events logs delivery errors where no subscription reads them.

    Without it nobody learns why logs do not arrive; told into its own source, it never ends.
    """
    known = {
        (str(one.get("LogGroupName")), str(one.get("LogStreamName")))
        for one in stack.resources_of_type("Logs::LogStream").values()
    }
    for stream, destination in _delivered(stack).items():
        options = destination.get("CloudWatchLoggingOptions", {})
        group, name = str(options.get("LogGroupName")), str(options.get("LogStreamName"))
        if str(options.get("Enabled")).lower() != "true":
            yield stream, "does not tell why a delivery failed"
            continue
        if (group, name) not in known:
            yield stream, f"tells failures to {group} {name}, which nobody makes"
        for title, one in stack.resources_of_type("Logs::SubscriptionFilter").items():
            if str(one.get("LogGroupName")) == group:
                yield stream, f"tells failures to {group}, which {title} sends to a stream"


@rule(
    "DR-S3-017",
    "warning",
    remediation="Add an enabled lifecycle rule with ExpirationInDays for the whole bucket.",
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configuration-examples.html",
    requirements=("O6",),
    pitfalls=(51,),
)
def s3_lifecycle_logs(stack: TemplateModel) -> Problems:
    """A bucket that logs are delivered to expires them.

    Logs hold names of people's files: kept for ever they are a cost and a liability.
    """
    buckets = {
        stack.logical_id(one.get("BucketARN"), "S3::Bucket") for one in _delivered(stack).values()
    }
    for bucket in sorted((buckets | stack.access_log_buckets()) - {""}):
        rules = stack.properties(bucket).get("LifecycleConfiguration", {}).get("Rules", [])
        if not any(
            one.get("Status") == "Enabled" and "ExpirationInDays" in one and "Prefix" not in one
            for one in rules
        ):
            yield bucket, "keeps logs for ever"


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
def firehose_permissions(stack: TemplateModel) -> Problems:
    """A delivery stream's role may write to its bucket and use the bucket's key.

    A stream that may not use its bucket's key delivers nothing.
    """
    for stream, properties in stack.resources_of_type("KinesisFirehose::DeliveryStream").items():
        destination = properties.get("ExtendedS3DestinationConfiguration", {})
        bucket = stack.logical_id(destination.get("BucketARN"), "S3::Bucket")
        role = stack.logical_id(destination.get("RoleARN"), "IAM::Role")
        if not bucket or not role:
            continue
        wants: list[tuple[str, str, dict[str, str]]] = [
            ("s3:PutObject", f"{stack.arn(bucket)}/x", {})
        ]
        if key := stack.kms_key_of(bucket):
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
                stack.role_statements(role),
                Request(action=action, resource=resource, context=context),
            ):
                yield role, f"lacks {action} for what {stream} delivers to {bucket}"
