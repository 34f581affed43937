"""Checks of buckets and topics that exist outside the stack and feed it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from darkroom.aws.errors import is_not_found
from darkroom.aws.resource_names import bucket_region
from darkroom.checks.framework import Finding, failed, passed, warned
from darkroom.checks.stack_inputs import StackInputs

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def check_existing_sources(inputs: StackInputs) -> Iterator[Finding]:
    """Pitfall 46: existing buckets and topics are in this region and send notifications."""
    for name in (name for name in inputs.declared if name.endswith("BucketName")):
        prefix = name.removesuffix("BucketName")
        bucket = inputs.values.get(name)
        key_parameter = f"{prefix}KmsKeyArn"
        if not bucket or key_parameter not in inputs.declared:
            continue
        topic = inputs.values.get(f"{prefix}TopicArn")
        yield _external_bucket(inputs, bucket, key_parameter=key_parameter, topic=topic)
        if topic:
            yield external_topic(inputs, topic)


def _external_bucket(
    inputs: StackInputs, bucket: str, *, key_parameter: str, topic: str | None
) -> Finding:
    account = inputs.account
    s3 = account.client("s3")
    try:
        region = bucket_region(account, bucket)
    except ClientError as error:
        if not is_not_found(error):
            raise
        return failed(f"there is no bucket {bucket}", "correct its name")
    if region != account.region:
        return failed(
            f"the bucket {bucket} is in {region}: the worker's S3 endpoint reaches buckets in"
            f" {account.region} only",
            f"deploy the stack in {region}, or replicate the bucket to {account.region}",
        )
    if not topic:
        notifications = s3.get_bucket_notification_configuration(Bucket=bucket)
        if "EventBridgeConfiguration" not in notifications:
            return failed(
                f"the bucket {bucket} sends no notifications to EventBridge",
                "enable them beside its other notifications; after the deployment the stack's"
                " output …EnableEventBridgeCommand has the command",
            )
    if (keys := _default_keys(s3, bucket)) and not inputs.values.get(key_parameter):
        return failed(
            f"the bucket {bucket} is encrypted with {', '.join(sorted(keys))}, which the worker"
            " may not use",
            f"{key_parameter}=ARN, and a statement for the worker's role in the key's policy",
        )
    return passed(f"the bucket {bucket} is in this region and sends notifications")


def _default_keys(s3: "S3Client", bucket: str) -> set[str]:
    """Return the customer managed keys of a bucket's default encryption."""
    found = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    keys = (
        rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in found
    )
    return {key for key in keys if key}


def external_topic(inputs: StackInputs, topic: str) -> Finding:
    """Return whether a topic exists in the stack's region."""
    account = inputs.account
    region, owner = topic.split(":")[3:5]
    if region != account.region:
        return failed(f"the topic {topic} is in {region}", f"use a topic in {account.region}")
    try:
        account.client("sns").get_topic_attributes(TopicArn=topic)
    except ClientError as error:
        if is_not_found(error):
            return failed(f"there is no topic {topic}", "correct its ARN")
        if owner != account.caller["Account"]:
            return warned(
                f"the topic {topic} is another account's and cannot be read",
                "ask its owner to allow this account sns:Subscribe",
            )
        raise
    return passed(f"the topic {topic} exists")
