"""Parameters of the buckets and topics that exist outside the stack."""

from collections.abc import Mapping
from dataclasses import dataclass

from troposphere import Ref, Template

from templates import naming
from templates.limits import (
    MAX_BUCKET_NAME_CHARACTERS,
    MAX_KEY_ID_CHARACTERS,
    MAX_TOPIC_NAME_CHARACTERS,
)
from templates.parameters.builder import (
    BUCKET_NAME,
    OPTIONAL_KMS_KEY,
    TOPIC,
    Condition,
    Group,
    differ,
    is_given,
)
from templates.specification_sources import Source

# The sizes of policies count these parameters at their MaxLength. An ARN's partition has up to 10
# characters, its Region up to 15 (14 so far), its account 12.
LONGEST_ARN = len("arn:" + 10 * "p" + ":" + ":" + 15 * "r" + ":" + 12 * "1" + ":")


@dataclass(frozen=True, kw_only=True)
class ExternalBucket:
    """The parameters of a source whose bucket exists outside the stack."""

    bucket: Ref
    kms_key: Ref
    has_kms_key: Condition
    """Condition: the bucket has a customer managed key."""

    topic: Ref | None
    """ARN of the topic that receives the bucket's notifications; None for EventBridge."""


def add_external_buckets(
    template: Template, sources: Mapping[str, Source]
) -> Mapping[str, ExternalBucket]:
    """Add the parameters of each source with an external bucket; return them by source."""
    group = Group(template, "Existing sources")
    external = {
        name: _add_external_bucket(template, group, name, source)
        for name, source in sources.items()
        if source.type != "s3"
    }
    if len(external) > 1:
        message = "Two sources name the same bucket; give one source both prefixes."
        template.add_rule(
            "SourcesDiffer", differ(message, [one.bucket for one in external.values()])
        )
    return external


def _add_external_bucket(
    template: Template, group: Group, name: str, source: Source
) -> ExternalBucket:
    key = group.add(
        naming.logical_id(name, "KmsKeyArn"),
        f"Customer managed key of the bucket of source {name}; empty for none",
        Default="",
        AllowedPattern=OPTIONAL_KMS_KEY,
        MaxLength=LONGEST_ARN + len("kms:key/") + MAX_KEY_ID_CHARACTERS,
    )
    topic = None
    if source.type == "sns":
        topic = group.add(
            naming.logical_id(name, "TopicArn"),
            f"SNS topic of source {name}, in this Region, with the bucket's notifications",
            AllowedPattern=TOPIC,
            MaxLength=LONGEST_ARN + len("sns") + MAX_TOPIC_NAME_CHARACTERS,
        )
    return ExternalBucket(
        bucket=group.add(
            naming.logical_id(name, "BucketName"),
            f"Existing bucket of source {name}, in this Region",
            AllowedPattern=BUCKET_NAME,
            MaxLength=MAX_BUCKET_NAME_CHARACTERS,
        ),
        kms_key=key,
        has_kms_key=is_given(template, naming.logical_id(name, "HasKmsKey"), key),
        topic=topic,
    )
