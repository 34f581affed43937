"""Where pictures come from: who announces them, and what reading them takes."""

from collections.abc import Mapping
from dataclasses import dataclass

import awacs.kms as kms
import awacs.s3 as s3
from awacs.aws import Statement
from troposphere import GetAtt, If, NoValue, Ref, Sub, Template
from troposphere.events import DeadLetterConfig, Rule, Target
from troposphere.s3 import Bucket
from troposphere.sns import SubscriptionResource

from templates import buckets, naming, policies
from templates.parameters.sources import Foreign
from templates.queues import Queues, Sender
from templates.specification import Source

ANNOUNCE = "announce"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A source with the bucket that its pictures lie in: the stack's own, or somebody's."""

    name: str
    settings: Source
    bucket: Ref
    bucket_arn: GetAtt | Sub
    foreign: Foreign | None

    def read(self) -> list[Statement]:
        """Return the rights to read a version of an upload, in buckets and in S3's endpoint."""
        return [
            policies.allow(
                naming.logical_id(self.name, "ReadUploads"),
                # The current version only to tell whether one is left after a deletion.
                [s3.GetObject, s3.GetObjectVersion]
                if self._reads_current
                else [s3.GetObjectVersion],
                [
                    policies.within(self.bucket_arn, f"{prefix}*")
                    for prefix in self.settings.prefixes
                ],
            ),
            # Without it a deleted upload answers 403 instead of 404, and could not be told from a
            # fault. It cannot be narrowed by prefix: the read that fails carries none.
            policies.allow(
                naming.logical_id(self.name, "ListUploads"), [s3.ListBucket], [self.bucket_arn]
            ),
        ]

    def use_key(self) -> list[If]:
        """Return the right to the key of a bucket that is somebody's, where it has one."""
        if self.foreign is None:
            return []
        decrypt = policies.allow(
            naming.logical_id(self.name, "DecryptUploads"), [kms.Decrypt], [self.foreign.key_arn]
        )
        return [If(self.foreign.has_key, decrypt, NoValue)]

    def enable_eventbridge_command(self) -> Sub:
        """Return the command that makes somebody's bucket announce to EventBridge.

        S3 replaces the whole of a bucket's notifications: what is there is kept.
        """
        bucket = f"--bucket ${{{self.bucket.data['Ref']}}}"
        return Sub(
            f"aws s3api put-bucket-notification-configuration {bucket} --notification-configuration"
            f' "$(aws s3api get-bucket-notification-configuration {bucket} --output json'
            " --query 'merge(@, {EventBridgeConfiguration: `{}`})')\""
        )

    @property
    def _reads_current(self) -> bool:
        # Somebody's bucket may keep no versions, and then there is only the current one to read.
        return self.settings.propagate_deletes or self.foreign is not None


def sender(name: str, foreign: Foreign | None) -> Sender:
    """Return who puts the work of a source on its queue."""
    if foreign is None:
        return Sender(
            sid=naming.logical_id(name, "SendNotifications"),
            service="s3.amazonaws.com",
            # By name: a reference would close a cycle with the bucket's notifications (trap 1).
            arn=naming.bucket_arn(buckets.upload_role(name)),
            # A deleted bucket's name may be taken by others.
            conditions=(policies.from_this_account(),),
        )
    if foreign.topic_arn is None:
        return Sender(
            sid=naming.logical_id(name, "SendNotifications"),
            service="events.amazonaws.com",
            arn=naming.rule_arn(naming.name_suffix(name, ANNOUNCE)),
            conditions=(policies.from_this_account(),),
            dead_letter_sid=naming.logical_id(name, "SendUndelivered"),
        )
    return Sender(
        sid=naming.logical_id(name, "SendNotifications"),
        service="sns.amazonaws.com",
        arn=foreign.topic_arn,
        dead_letter_sid=naming.logical_id(name, "SendUndelivered"),
    )


def add_sources(
    template: Template,
    *,
    sources: Mapping[str, Source],
    own: Mapping[str, Bucket],
    foreign: Mapping[str, Foreign],
    queues: Mapping[str, Queues],
) -> tuple[Origin, ...]:
    """Add what announces uploads to buckets that are not the stack's own; return all sources."""
    for name, source in sources.items():
        work = queues[source.queue]
        if source.type == "eventbridge":
            _add_rule(template, name, source, foreign[name], work)
        elif source.type == "sns":
            template.add_resource(
                SubscriptionResource(
                    naming.logical_id(name, "Subscription"),
                    TopicArn=foreign[name].topic_arn,
                    Protocol="sqs",
                    Endpoint=work.work_arn,
                    RawMessageDelivery=source.raw_message_delivery,
                    # No filter: what does not match one is lost without a trace (trap 9).
                    # A queue without a policy answers 403, which SNS does not try again.
                    # https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
                    RedrivePolicy={"deadLetterTargetArn": work.dead_letters_arn},
                    DependsOn=[work.work_policy.title, work.dead_letter_policy.title],
                )
            )
    return tuple(_origin(name, source, own, foreign) for name, source in sources.items())


def _origin(
    name: str, source: Source, own: Mapping[str, Bucket], foreign: Mapping[str, Foreign]
) -> Origin:
    if name in own:
        return Origin(
            name=name,
            settings=source,
            bucket=Ref(own[name]),
            bucket_arn=GetAtt(own[name], "Arn"),
            foreign=None,
        )
    bucket = foreign[name].bucket
    return Origin(
        name=name,
        settings=source,
        bucket=bucket,
        bucket_arn=Sub(f"arn:${{AWS::Partition}}:s3:::${{{bucket.data['Ref']}}}"),
        foreign=foreign[name],
    )


def _add_rule(
    template: Template, name: str, source: Source, foreign: Foreign, work: Queues
) -> None:
    template.add_resource(
        Rule(
            naming.logical_id(name, "NotificationRule"),
            Name=naming.name(naming.name_suffix(name, ANNOUNCE)),
            Description="Uploads to a bucket that is not the stack's own",
            EventPattern=source.event_pattern(foreign.bucket),
            Targets=[
                Target(
                    Id="work",
                    Arn=work.work_arn,
                    # After a day of tries, and at once where it has no right, EventBridge drops
                    # the event without a trace (R2).
                    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
                    DeadLetterConfig=DeadLetterConfig(Arn=work.dead_letters_arn),
                )
            ],
            DependsOn=[work.work_policy.title, work.dead_letter_policy.title],
        )
    )
