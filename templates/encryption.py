"""The key that encrypts all data at rest, and its key policy."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import awacs.kms as kms
from awacs.aws import ArnLike, Bool, Principal, Statement, StringEquals, StringLike
from troposphere import GetAtt, If, NoValue, Output, Ref, Sub, Template
from troposphere.kms import Alias, Key

from templates import naming, policies
from templates.parameters.builder import Condition
from templates.policies import Arn

# The account's administrators may manage the key and allow its use through IAM. Actions are listed
# one by one, so that a new action of KMS is a decision and not a side effect. Without this
# statement a lost role could leave the data unreadable forever (pitfall 30).
ADMINISTER = [
    kms.CancelKeyDeletion,
    kms.CreateAlias,
    kms.Decrypt,
    kms.DeleteAlias,
    kms.DescribeKey,
    kms.DisableKey,
    kms.DisableKeyRotation,
    kms.EnableKey,
    kms.EnableKeyRotation,
    kms.Encrypt,
    kms.GenerateDataKey,
    kms.GetKeyPolicy,
    kms.GetKeyRotationStatus,
    kms.ListGrants,
    kms.ListKeyPolicies,
    kms.ListKeyRotations,
    kms.ListResourceTags,
    kms.PutKeyPolicy,
    kms.ReEncryptFrom,
    kms.ReEncryptTo,
    kms.RevokeGrant,
    kms.RotateKeyOnDemand,
    kms.ScheduleKeyDeletion,
    kms.TagResource,
    kms.UntagResource,
    kms.UpdateAlias,
    kms.UpdateKeyDescription,
]
# What a service needs to send to an encrypted queue or topic, or to receive from it.
ENCRYPT_AND_DECRYPT = [kms.Decrypt, kms.GenerateDataKey]

# In a key policy `*` is the key itself.
THIS_KEY = ["*"]

_ACCOUNT = Principal("AWS", [Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")])

# What CloudWatch Logs needs to store logs. Its documented policy also has DescribeKey, but under an
# encryption context that DescribeKey does not have (pitfall 60).
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
ENCRYPT_LOGS = [
    kms.Decrypt,
    kms.Encrypt,
    kms.GenerateDataKey,
    kms.GenerateDataKeyWithoutPlaintext,
    kms.ReEncryptFrom,
    kms.ReEncryptTo,
]

# By pattern, because a reference would be a cycle: the distribution needs the bucket and the bucket
# the key (pitfall 40). The bucket policy names the distribution.
_READ_THUMBNAILS = policies.allow(
    "ReadThumbnails",
    [kms.Decrypt],
    THIS_KEY,
    policies.on_behalf_of(
        Sub("arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/*")
    ),
    principal=policies.service("cloudfront.amazonaws.com"),
)

# As for the queues: the topic's policy checks the bucket, and SNS adds the encryption context, as
# https://docs.aws.amazon.com/gameliftservers/latest/flexmatchguide/queue-notification-sns-sse.html
# shows. By name, because the topic needs the key.
_PUBLISH_RECORDS = policies.allow(
    "PublishRecords",
    ENCRYPT_AND_DECRYPT,
    THIS_KEY,
    StringEquals({"kms:EncryptionContext:aws:sns:topicArn": naming.topic_arn(naming.RECORDS)}),
    principal=policies.service("s3.amazonaws.com"),
)


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """The stack's customer managed key."""

    key: Key
    arn: Arn

    def outputs(self) -> list[Output]:
        """Return the stack's output about the key."""
        description = "Key that encrypts all data"
        return [Output("EncryptionKeyArn", Description=description, Value=self.arn)]

    def decrypt(self, sid: str, context: str, *values: Arn) -> Statement:
        """Return the permission to decrypt where the encryption context is one of `values`."""
        return policies.allow(sid, [kms.Decrypt], [self.arn], _context(context, values))

    def encrypt_and_decrypt(self, sid: str, context: str, *values: Arn) -> Statement:
        """Return the permission to encrypt and decrypt where the context is one of `values`."""
        return policies.allow(sid, ENCRYPT_AND_DECRYPT, [self.arn], _context(context, values))


def add_encryption(
    template: Template,
    *,
    event_services: Collection[str],
    alarms_use_key: Condition,
    has_record_topic: bool,
    has_cdn: bool,
    log_sources: Sequence[Arn],
) -> Encryption:
    """Add the key, with yearly rotation and an alias.

    Args:
        template: The stack's template.
        event_services: Services that send to the work queues, such as `s3.amazonaws.com`.
        alarms_use_key: Condition: a topic of alarms is encrypted with the key.
        has_record_topic: S3 publishes to the topic of records.
        has_cdn: A distribution reads thumbnails.
        log_sources: For which sources AWS delivers logs to the archive's bucket.
    """
    key = template.add_resource(
        Key(
            "EncryptionKey",
            Description="Buckets, queues, topics, logs and environment",
            EnableKeyRotation=True,
            KeyPolicy=policies.document(
                policies.allow("Administer", ADMINISTER, THIS_KEY, principal=_ACCOUNT),
                # Lambda and Firehose create grants for their caller, to encrypt a function's
                # environment and a stream. Nobody may create a grant for anyone else.
                policies.allow(
                    "CreateServiceGrants",
                    [kms.CreateGrant],
                    THIS_KEY,
                    Bool({"kms:GrantIsForAWSResource": "true"}),
                    principal=_ACCOUNT,
                ),
                # The services that send to the work queues; without the key they cannot
                # (pitfall 3). The queue policy checks the sender. Not every service sends a source
                # when it uses a key, and a topic may belong to another account; SQS adds the
                # encryption context for all of them (pitfall 47).
                policies.allow(
                    "SendEvents",
                    ENCRYPT_AND_DECRYPT,
                    THIS_KEY,
                    StringLike({"kms:EncryptionContext:aws:sqs:arn": naming.queue_arn("*")}),
                    principal=Principal("Service", sorted(event_services)),
                ),
                *([_PUBLISH_RECORDS] if has_record_topic else []),
                *([_READ_THUMBNAILS] if has_cdn else []),
                *([_deliver_logs(log_sources)] if log_sources else []),
                # Without this, alarms to an encrypted topic are silently lost (pitfall 4).
                If(
                    alarms_use_key,
                    policies.allow(
                        "PublishAlarms",
                        ENCRYPT_AND_DECRYPT,
                        THIS_KEY,
                        policies.from_this_account(),
                        principal=policies.service("cloudwatch.amazonaws.com"),
                    ),
                    NoValue,
                ),
                # Without this, log groups cannot be created (pitfall 5). CloudWatch Logs sends no
                # source account; the encryption context names the log group.
                policies.allow(
                    "EncryptLogs",
                    ENCRYPT_LOGS,
                    THIS_KEY,
                    ArnLike({"kms:EncryptionContext:aws:logs:arn": naming.log_group_arns()}),
                    principal=policies.service(Sub("logs.${AWS::Region}.${AWS::URLSuffix}")),
                ),
            ),
            DeletionPolicy="RetainExceptOnCreate",
            UpdateReplacePolicy="Retain",
        )
    )
    template.add_resource(
        Alias(
            "EncryptionKeyAlias",
            AliasName=Sub(f"alias/${{{naming.NAME_PREFIX}}}"),
            TargetKeyId=Ref(key),
        )
    )
    return Encryption(key=key, arn=GetAtt(key, "Arn"))


def _deliver_logs(sources: Sequence[Arn]) -> Statement:
    """Return the permission to write logs of these sources to a bucket.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-S3.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-V2-S3.html
    """
    return policies.allow(
        "DeliverLogs",
        [*ENCRYPT_LOGS, kms.DescribeKey],
        THIS_KEY,
        policies.from_this_account(),
        policies.on_behalf_of(*sources),
        principal=policies.service("delivery.logs.amazonaws.com"),
    )


def _context(key: str, values: Sequence[Arn]) -> StringLike:
    return StringLike({f"kms:EncryptionContext:{key}": list(values)})
