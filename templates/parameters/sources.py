"""The buckets and topics that are there already."""

from dataclasses import dataclass

from troposphere import Equals, Not, Ref, Template

from templates import naming
from templates.parameters.builder import Group, condition
from templates.specification import Source


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A bucket that is not the stack's own, and what the stack is told of it."""

    bucket: Ref
    key_arn: Ref
    has_key: str
    """Condition: the bucket is under a customer managed key."""

    topic_arn: Ref | None
    """Of a topic that passes the bucket's notifications on."""


def add_foreign(template: Template, group: Group, name: str, source: Source) -> Foreign:
    """Add what names a source's bucket that is not the stack's own."""
    key = group.add(
        naming.logical_id(name, "KmsKeyArn"),
        f"Customer managed key of the bucket of source {name}; empty for none",
        Default="",
        AllowedPattern=r"^$|^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/.+$",
    )
    topic = None
    if source.type == "sns":
        topic = group.add(
            naming.logical_id(name, "TopicArn"),
            f"Topic of source {name}, in this region, which passes the bucket's notifications on",
            AllowedPattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$",
        )
    return Foreign(
        bucket=group.add(
            naming.logical_id(name, "BucketName"),
            f"Bucket of source {name}, in this region; not one of the stack's own",
            AllowedPattern="^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        ),
        key_arn=key,
        has_key=condition(template, naming.logical_id(name, "HasKmsKey"), Not(Equals(key, ""))),
        topic_arn=topic,
    )
