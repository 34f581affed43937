"""The physical names that a template gives, and which of them exist already."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from botocore.exceptions import ClientError

from darkroom.aws.errors import is_not_found, is_refused
from darkroom.aws.session import Account
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.cloudformation.resource_types import RESOURCE_TYPES

STACK_TAG = "aws:cloudformation:stack-name"


def given(template: ResolvedTemplate) -> list[tuple[str, str]]:
    """Return type and name of every resource that the template names."""
    return [
        (kind, properties[RESOURCE_TYPES[kind].name])
        for kind in EXISTS
        for properties in template.resources_of_type(kind).values()
        if RESOURCE_TYPES[kind].name in properties
    ]


def taken(account: Account, wanted: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield type and name of each existing resource, and the stack in its tags, or ""."""
    for kind, name in wanted:
        try:
            there = EXISTS[kind](account, name)
        except ClientError as error:
            if is_not_found(error):
                continue
            # Bucket names are global, and other accounts refuse to show theirs.
            if not (kind == "S3::Bucket" and is_refused(error)):
                raise
            there = True
        if there:
            yield kind, name, owning_stack(account, name) if kind == "S3::Bucket" else ""


def bucket_region(account: Account, bucket: str) -> str:
    """Return the region of a bucket.

    Raises:
        ClientError: it does not exist, or the caller may not read it.
    """
    try:
        head = account.client("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        # S3 returns the region even to callers whom it refuses the bucket.
        headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region")
        if is_not_found(error) or not region:
            raise
        return str(region)
    return str(
        head.get("BucketRegion")
        or head["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", account.region)
    )


def owning_stack(account: Account, bucket: str) -> str:
    """Return the name of the stack that has or left a bucket, by its tag, or ""."""
    with suppress(ClientError):  # no tags, or another account's
        tags = account.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
        return next((str(tag["Value"]) for tag in tags if tag["Key"] == STACK_TAG), "")
    return ""


def _bucket(account: Account, name: str) -> bool:
    return bool(account.client("s3").head_bucket(Bucket=name))


def _queue(account: Account, name: str) -> bool:
    return bool(account.client("sqs").get_queue_url(QueueName=name))


def _function(account: Account, name: str) -> bool:
    return bool(account.client("lambda").get_function_configuration(FunctionName=name))


def _alias(account: Account, name: str) -> bool:
    return bool(account.client("kms").describe_key(KeyId=name))


def _log_group(account: Account, name: str) -> bool:
    found = account.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return name in (group["logGroupName"] for group in found)


def _topic(account: Account, name: str) -> bool:
    arn = f"arn:{account.partition}:sns:{account.region}:{account.caller['Account']}:{name}"
    return bool(account.client("sns").get_topic_attributes(TopicArn=arn))


def _alarm(account: Account, name: str) -> bool:
    return bool(account.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"])


def _dashboard(account: Account, name: str) -> bool:
    return bool(account.client("cloudwatch").get_dashboard(DashboardName=name))


def _stream(account: Account, name: str) -> bool:
    return bool(account.client("firehose").describe_delivery_stream(DeliveryStreamName=name))


def _rule(account: Account, name: str) -> bool:
    return bool(account.client("events").describe_rule(Name=name))


EXISTS: dict[str, Callable[[Account, str], bool]] = {
    "S3::Bucket": _bucket,
    "SQS::Queue": _queue,
    "Lambda::Function": _function,
    "KMS::Alias": _alias,
    "Logs::LogGroup": _log_group,
    "SNS::Topic": _topic,
    "CloudWatch::Alarm": _alarm,
    "CloudWatch::Dashboard": _dashboard,
    "KinesisFirehose::DeliveryStream": _stream,
    "Events::Rule": _rule,
}
"""By type: the property that names the resource, and the lookup that says whether it exists."""
