"""Where pictures come from: who sends their events, and the permissions to read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awacs.kms as kms
import awacs.s3 as s3
from awacs.aws import Statement
from troposphere import GetAtt, If, NoValue, Output, Ref, Sub, Template
from troposphere.events import DeadLetterConfig, Rule, Target
from troposphere.s3 import Bucket
from troposphere.sns import SubscriptionResource

from templates import buckets, naming, policies
from templates.parameters.sources import ExternalBucket
from templates.queues import QueuePair, Sender
from templates.specification import Specification
from templates.specification_sources import Source
from templates.specification_values import DEFAULT
from templates.suppressions import WHOLE_BUCKET, suppress

NOTIFICATIONS = "notifications"


@dataclass(frozen=True, kw_only=True)
class ResolvedSource:
    """A source with its bucket, which the stack created or which is external."""

    name: str
    settings: Source
    output_prefix: str
    bucket: Ref
    bucket_arn: GetAtt | Sub
    external: ExternalBucket | None

    def read_uploads(self) -> list[Statement]:
        """Return the permissions to read uploads, for the role and the endpoint."""
        # An external bucket may belong to another account.
        own = () if self.external else (policies.in_this_account(),)
        prefixes = self.settings.prefixes
        limited = () if "" in prefixes else (policies.listing(prefixes),)
        return [
            policies.allow(
                naming.logical_id(self.name, "ReadUploads"),
                # Without a version only to check whether an upload is left after a deletion.
                [s3.GetObject, s3.GetObjectVersion]
                if self._reads_current_version
                else [s3.GetObjectVersion],
                [policies.within(self.bucket_arn, f"{prefix}*") for prefix in prefixes],
                *own,
            ),
            # Without it S3 answers 403 instead of 404 for a deleted upload, which looks like a
            # fault. S3 documents that for a key; for a version, whose reading and listing have
            # actions of their own, it does not say which one it needs (pitfall 78).
            policies.allow(
                naming.logical_id(self.name, "ListUploads"),
                [s3.ListBucket, s3.ListBucketVersions],
                [self.bucket_arn],
                *own,
                *limited,
            ),
        ]

    def use_key(self) -> list[If]:
        """Return the permission on the external bucket's key, where it has one."""
        if self.external is None:
            return []
        decrypt = policies.allow(
            naming.logical_id(self.name, "DecryptUploads"), [kms.Decrypt], [self.external.kms_key]
        )
        return [If(self.external.has_kms_key, decrypt, NoValue)]

    def enable_eventbridge_command(self) -> Sub:
        """Return the command that makes an external bucket send events to EventBridge.

        S3 replaces the whole notification configuration; the command keeps what is there.
        """
        bucket = f"--bucket ${{{self.bucket.data['Ref']}}}"
        return Sub(
            f"aws s3api put-bucket-notification-configuration {bucket} --notification-configuration"
            f' "$(aws s3api get-bucket-notification-configuration {bucket} --output json'
            " --query 'merge(@, {EventBridgeConfiguration: `{}`})')\""
        )

    def worker_config(self) -> dict[str, object]:
        """Return the worker's settings of the source; a default value is left out."""
        config: dict[str, object] = {"name": self.name}
        if self.output_prefix:
            config["output_prefix"] = self.output_prefix
        if self.settings.hash_prefix:
            config["hash_prefix"] = True
        if self.settings.variants != (DEFAULT,):
            config["variants"] = self.settings.variants
        if self.settings.choose_variants:
            config["choose_variants"] = True
        if self.settings.propagate_deletes:
            config["propagate_deletes"] = True
        if self.settings.keep_metadata:
            config["keep_metadata"] = self.settings.keep_metadata
        if self.settings.copy_metadata:
            config["copy_metadata"] = self.settings.copy_metadata
        if self.external:  # a topic does not filter, and a rule only by prefix
            config["prefixes"] = self.settings.prefixes
            if suffixes := self.settings.filtered_suffixes():
                config["suffixes"] = suffixes
        return config

    def outputs(self) -> list[Output]:
        """Return the stack's outputs about the source."""
        found = {
            "UploadBucketName": ("Bucket that takes the uploads", self.bucket),
            "UploadPrefixes": (
                "Prefixes below which uploads are announced",
                ",".join(self.settings.prefixes),
            ),
            "UploadSuffixes": (
                "Suffixes of the uploads that are announced",
                ",".join(self.settings.suffixes),
            ),
        }
        if self.settings.type == "eventbridge":
            description = "Run once: makes the bucket send events to EventBridge"
            found["EnableEventBridgeCommand"] = (description, self.enable_eventbridge_command())
        return [
            Output(naming.logical_id(self.name, title), Description=description, Value=value)
            for title, (description, value) in found.items()
        ]

    @property
    def _reads_current_version(self) -> bool:
        # An external bucket may be unversioned, with only the current version to read.
        return self.settings.propagate_deletes or self.external is not None


def sender(name: str, external: ExternalBucket | None) -> Sender:
    """Return the service that sends a source's events to its queue."""
    if external is None:
        # By name: a reference would be a cycle with the bucket's notifications (pitfall 1).
        return Sender(
            service="s3.amazonaws.com", arn=naming.bucket_arn(buckets.upload_suffix(name))
        )
    if external.topic is None:
        return Sender(
            service="events.amazonaws.com",
            # By name: the rule needs the queue.
            arn=naming.rule_arn(naming.name_suffix(name, NOTIFICATIONS)),
        )
    return Sender(service="sns.amazonaws.com", arn=external.topic)


def add_sources(
    template: Template,
    *,
    specification: Specification,
    created: Mapping[str, Bucket],
    external: Mapping[str, ExternalBucket],
    queues: Mapping[str, QueuePair],
) -> tuple[ResolvedSource, ...]:
    """Add the rules and subscriptions of external buckets; return all sources.

    Args:
        template: The stack's template.
        specification: The specification, with the sources.
        created: The upload buckets of the stack, by source.
        external: The external buckets, by source.
        queues: The queues, by name.
    """
    for name, source in specification.sources.items():
        if source.type == "eventbridge":
            _add_rule(template, name, source, external[name], queues[source.queue])
        elif source.type == "sns":
            _add_subscription(template, name, source, external[name], queues[source.queue])
    return tuple(
        _resolved(name, source, specification.output_prefix(name), created, external)
        for name, source in specification.sources.items()
    )


def _resolved(
    name: str,
    source: Source,
    output_prefix: str,
    created: Mapping[str, Bucket],
    external: Mapping[str, ExternalBucket],
) -> ResolvedSource:
    bucket = Ref(created[name]) if name in created else external[name].bucket
    return ResolvedSource(
        name=name,
        settings=source,
        output_prefix=output_prefix,
        bucket=bucket,
        bucket_arn=GetAtt(created[name], "Arn")
        if name in created
        else Sub(f"arn:${{AWS::Partition}}:s3:::${{{bucket.data['Ref']}}}"),
        external=external.get(name),
    )


def _add_rule(
    template: Template, name: str, source: Source, external: ExternalBucket, queues: QueuePair
) -> None:
    more: dict[str, Any] = {}
    if source.takes_whole_bucket:
        more["Metadata"] = suppress(**{"events-pattern-scope": WHOLE_BUCKET})
    template.add_resource(
        Rule(
            naming.logical_id(name, "NotificationRule"),
            Name=naming.name(naming.name_suffix(name, NOTIFICATIONS)),
            Description="Uploads to an existing bucket",
            EventPattern=source.event_pattern(external.bucket),
            Targets=[
                Target(
                    Id="work",
                    Arn=queues.work_arn,
                    # Otherwise EventBridge silently drops an event after a day of retries, and at
                    # once without permission (R2).
                    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
                    DeadLetterConfig=DeadLetterConfig(Arn=queues.dead_letters_arn),
                )
            ],
            DependsOn=queues.policy_ids,
            **more,
        )
    )


def _add_subscription(
    template: Template, name: str, source: Source, external: ExternalBucket, queues: QueuePair
) -> None:
    template.add_resource(
        SubscriptionResource(
            naming.logical_id(name, "Subscription"),
            TopicArn=external.topic,
            Protocol="sqs",
            Endpoint=queues.work_arn,
            RawMessageDelivery=source.raw_message_delivery,
            # No filter policy: SNS silently drops what does not match (pitfall 9).
            # SNS does not retry the 403 of a queue without a policy.
            # https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
            RedrivePolicy={"deadLetterTargetArn": queues.dead_letters_arn},
            DependsOn=queues.policy_ids,
        )
    )
