"""Names that a stack gives to what it makes, and whether somebody else has them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from darkroom.aws.stack import REFUSALS, Account
from darkroom.cloudformation.resolver import Reading

# By what services say that something is not there.
ABSENT = {
    "404",
    "AWS.SimpleQueueService.NonExistentQueue",
    "DashboardNotFoundError",
    "NoSuchBucket",
    "NoSuchKey",
    "NotFound",
    "NotFoundException",
    "QueueDoesNotExist",
    "ResourceNotFound",
    "ResourceNotFoundException",
}

STACK_TAG = "aws:cloudformation:stack-name"


def given(reading: Reading) -> list[tuple[str, str]]:
    """Return kind and name of everything that the template itself names."""
    return [
        (kind, properties[NAMED[kind][0]])
        for kind in NAMED
        for properties in reading.of_type(kind).values()
        if NAMED[kind][0] in properties
    ]


def taken(account: Account, wanted: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield kind and name of what there is already, and the stack that made it if it tells."""
    for kind, name in wanted:
        try:
            there = NAMED[kind][1](account, name)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ABSENT:
                continue
            # A bucket's name is taken in the whole world, and others do not show theirs.
            if not (kind == "S3::Bucket" and code in REFUSALS):
                raise
            there = True
        if there:
            yield kind, name, _stack_of(account, kind, name)


def bucket_region(account: Account, bucket: str) -> str:
    """Return where a bucket is. Raises ClientError when there is none, or it cannot be seen."""
    try:
        head = account.client("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        # S3 tells the region to whom it refuses all else.
        response: Any = error.response
        headers = response["ResponseMetadata"].get("HTTPHeaders", {})
        if response["Error"]["Code"] in ("404", "NoSuchBucket"):
            raise
        if region := headers.get("x-amz-bucket-region"):
            return str(region)
        raise
    return str(
        head.get("BucketRegion")
        or head["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", account.region)
    )


def _stack_of(account: Account, kind: str, name: str) -> str:
    if kind == "S3::Bucket":
        with suppress(ClientError):  # no tags, or not ours to see
            tags = account.client("s3").get_bucket_tagging(Bucket=name)["TagSet"]
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
    partition = account.caller["Arn"].split(":")[1]
    arn = f"arn:{partition}:sns:{account.region}:{account.caller['Account']}:{name}"
    return bool(account.client("sns").get_topic_attributes(TopicArn=arn))


def _alarm(account: Account, name: str) -> bool:
    return bool(account.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"])


def _dashboard(account: Account, name: str) -> bool:
    return bool(account.client("cloudwatch").get_dashboard(DashboardName=name))


def _stream(account: Account, name: str) -> bool:
    return bool(account.client("firehose").describe_delivery_stream(DeliveryStreamName=name))


def _rule(account: Account, name: str) -> bool:
    return bool(account.client("events").describe_rule(Name=name))


NAMED: dict[str, tuple[str, Callable[[Account, str], bool]]] = {
    "S3::Bucket": ("BucketName", _bucket),
    "SQS::Queue": ("QueueName", _queue),
    "Lambda::Function": ("FunctionName", _function),
    "KMS::Alias": ("AliasName", _alias),
    "Logs::LogGroup": ("LogGroupName", _log_group),
    "SNS::Topic": ("TopicName", _topic),
    "CloudWatch::Alarm": ("AlarmName", _alarm),
    "CloudWatch::Dashboard": ("DashboardName", _dashboard),
    "KinesisFirehose::DeliveryStream": ("DeliveryStreamName", _stream),
    "Events::Rule": ("Name", _rule),
}
"""The property that names a resource of each type, and how one asks whether there is such a one."""
