"""Names needed before their resource exists, which breaks cycles between buckets and queues."""

from troposphere import Sub

from templates.specification_values import DEFAULT

# The parameter that every name of the stack begins with, so that two stacks can share an account
# (pitfall 52) and the longest bucket name fits 63 characters (pitfall 44):
# 20 (prefix) + 1 + 10 (suffix) + 1 + 12 (account) + 1 + 15 (longest Region so far) = 60.
NAME_PREFIX = "NamePrefix"
NAME_PREFIX_LENGTH = 20

# What follows the prefix in the name of the topic of records.
RECORDS = "records"

# The only Region that takes CloudFront's log deliveries, whatever the Region of the bucket.
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging.html#enable-access-logging-api
CLOUDFRONT_REGION = "us-east-1"


def logical_id(owner: str, noun: str) -> str:
    """Return the logical id of the `noun` of a source or queue, such as `BulkWorkQueue`."""
    if owner == DEFAULT:
        return noun
    return "".join(word.capitalize() for word in owner.split("-")) + noun


def name_suffix(owner: str, noun: str) -> str:
    """Return what follows the prefix in the name of a source's or queue's `noun`: `bulk-work`."""
    return noun if owner == DEFAULT else f"{owner}-{noun}"


def name(suffix: str) -> Sub:
    """Return the name with this suffix, such as `darkroom-work`."""
    return Sub(f"${{{NAME_PREFIX}}}-{suffix}")


def global_name(suffix: str) -> Sub:
    """Return a name unique in an account, for services without Regions (pitfall 52)."""
    return name(f"{suffix}-${{AWS::Region}}")


def bucket_name(suffix: str) -> Sub:
    """Return a globally unique bucket name: prefix, suffix, account and Region (D3)."""
    return Sub(_bucket(suffix))


def bucket_arn(suffix: str) -> Sub:
    """Return the ARN of the bucket named `bucket_name(suffix)`; `*` matches any suffix."""
    return Sub(f"arn:${{AWS::Partition}}:s3:::{_bucket(suffix)}")


def queue_arn(suffix: str) -> Sub:
    """Return the ARN of the queue named `name(suffix)`; `*` matches any suffix."""
    return _regional("sqs", f"${{{NAME_PREFIX}}}-{suffix}")


def topic_arn(suffix: str) -> Sub:
    """Return the ARN of the topic named `name(suffix)`."""
    return _regional("sns", f"${{{NAME_PREFIX}}}-{suffix}")


def rule_arn(suffix: str) -> Sub:
    """Return the ARN of the EventBridge rule named `name(suffix)`."""
    return _regional("events", f"rule/${{{NAME_PREFIX}}}-{suffix}")


def function_arn(suffix: str) -> Sub:
    """Return the ARN of the function named `name(suffix)`."""
    return _regional("lambda", f"function:${{{NAME_PREFIX}}}-{suffix}")


def stream_name(suffix: str) -> Sub:
    """Return the name of a delivery stream, such as `darkroom.worker`.

    It has a dot, because no prefix has one: a pattern for this stack's streams matches no other.
    """
    return Sub(_stream(suffix))


def stream_arn(suffix: str) -> Sub:
    """Return the ARN of the stream named `stream_name(suffix)`; `*` matches any suffix."""
    return _regional("firehose", f"deliverystream/{_stream(suffix)}")


def log_group_name(suffix: str) -> Sub:
    """Return the name of a log group, such as `/darkroom/worker`."""
    return Sub(f"/${{{NAME_PREFIX}}}/{suffix}")


def log_group_arns() -> Sub:
    """Return a pattern for the ARNs of all log groups that `log_group_name` names."""
    return _regional("logs", f"log-group:/${{{NAME_PREFIX}}}/*")


def log_source_arns() -> Sub:
    """Return a pattern for the ARNs by which CloudWatch Logs names sources in this Region.

    It is AWS's own, for subscriptions and for deliveries to a bucket: AWS documents none narrower,
    and adds a statement to a bucket policy that lacks it (pitfall 65).
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html
    """
    return _regional("logs", "*")


def cdn_log_source_arns() -> Sub:
    """Return a pattern for the ARNs of the account's sources of CloudFront log deliveries.

    It is AWS's own: AWS adds a statement to a bucket policy that lacks it (pitfall 65).
    """
    return Sub(
        f"arn:${{AWS::Partition}}:logs:{CLOUDFRONT_REGION}:${{AWS::AccountId}}:delivery-source:*"
    )


def _bucket(suffix: str) -> str:
    return f"${{{NAME_PREFIX}}}-{suffix}-${{AWS::AccountId}}-${{AWS::Region}}"


def _stream(suffix: str) -> str:
    return f"${{{NAME_PREFIX}}}.{suffix}"


def _regional(service: str, resource: str) -> Sub:
    return Sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}")
