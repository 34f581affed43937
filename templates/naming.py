"""Names needed before their resource exists, which breaks cycles between bucket and queues."""

from troposphere import Sub

from templates.specification import DEFAULT

# The parameter that every name of the stack begins with, so that two stacks live side by side
# (trap 52) and the longest bucket name still fits 63 characters (trap 44):
# 20 (prefix) + 1 + 10 (role) + 1 + 12 (account) + 1 + 15 (longest region so far) = 60.
NAME_PREFIX = "NamePrefix"
NAME_PREFIX_LENGTH = 20


def logical_id(owner: str, noun: str) -> str:
    """Return the logical id of the `noun` of a source or queue, e.g. `BulkWorkQueue`."""
    if owner == DEFAULT:
        return noun
    return "".join(word.capitalize() for word in owner.split("-")) + noun


def name_suffix(owner: str, noun: str) -> str:
    """Return the role of the `noun` of a source or queue, for its name, e.g. `bulk-work`."""
    return noun if owner == DEFAULT else f"{owner}-{noun}"


def name(role: str, *, lead: str = "") -> Sub:
    """Return the stack's name for `role`, e.g. `darkroom-work`; `lead` goes before the prefix."""
    return Sub(f"{lead}${{{NAME_PREFIX}}}-{role}")


def bucket_name(role: str) -> Sub:
    """Return a bucket name unique in the world: prefix, role, account and region (D3)."""
    return Sub(_bucket(role))


def bucket_arn(role: str) -> Sub:
    """Return the ARN of the bucket that `bucket_name(role)` names; a `*` stands for any role."""
    return Sub(f"arn:${{AWS::Partition}}:s3:::{_bucket(role)}")


def queue_arn(role: str) -> Sub:
    """Return the ARN of the queue that `name(role)` names."""
    return _regional("sqs", f"${{{NAME_PREFIX}}}-{role}")


def rule_arn(role: str) -> Sub:
    """Return the ARN of the EventBridge rule that `name(role)` names."""
    return _regional("events", f"rule/${{{NAME_PREFIX}}}-{role}")


def function_arn(role: str) -> Sub:
    """Return the ARN of the function that `name(role)` names."""
    return _regional("lambda", f"function:${{{NAME_PREFIX}}}-{role}")


def stream_name(role: str) -> Sub:
    """Return the name of the delivery stream for `role`, e.g. `darkroom.worker`.

    With a dot, as no prefix has one: a pattern for this stack's streams matches no other's.
    """
    return Sub(_stream(role))


def stream_arn(role: str) -> Sub:
    """Return the ARN of the stream that `stream_name(role)` names; a `*` stands for any role."""
    return _regional("firehose", f"deliverystream/{_stream(role)}")


def log_group_name(role: str) -> Sub:
    """Return the name of the log group for `role`, e.g. `/darkroom/worker`."""
    return Sub(f"/${{{NAME_PREFIX}}}/{role}")


def log_group_arns() -> Sub:
    """Return a pattern for the ARNs of all log groups that `log_group_name` names."""
    return _regional("logs", f"log-group:/${{{NAME_PREFIX}}}/*")


def _bucket(role: str) -> str:
    return f"${{{NAME_PREFIX}}}-{role}-${{AWS::AccountId}}-${{AWS::Region}}"


def _stream(role: str) -> str:
    return f"${{{NAME_PREFIX}}}.{role}"


def _regional(service: str, resource: str) -> Sub:
    return Sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}")
