"""The key of everything at rest, who may use it and for what."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import awacs.kms as kms
from awacs.aws import ArnLike, Principal, Statement, StringLike
from troposphere import GetAtt, Ref, Sub, Template
from troposphere.kms import Alias, Key

from templates import naming, policies
from templates.policies import Arn

# Whoever may administer the account may administer the key and grant its use through IAM; named
# one by one, so that an action AWS adds later is a decision and not a side effect. Without this
# statement a lost role would leave the data unreadable for ever (trap 30).
ADMINISTER = [
    kms.CancelKeyDeletion,
    kms.CreateAlias,
    kms.CreateGrant,  # Lambda takes a grant on the key for the function's environment
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
# What a service needs to put a message on, or take it off, something encrypted.
EXCHANGE = [kms.Decrypt, kms.GenerateDataKey]

# In a key's policy `*` means this key and nothing else.
THIS_KEY = ["*"]

# None of them can put work on an encrypted queue without the key (trap 3). Whose work it is, the
# queue's own policy checks. S3 sends its account; EventBridge sends no source with its use of the
# key, and a topic may be of another account (trap 47): there the queue in the encryption context
# is the limit.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
_TO_OUR_QUEUES = StringLike({"kms:EncryptionContext:aws:sqs:arn": naming.queue_arn("*")})
ANNOUNCERS = {
    "s3.amazonaws.com": ("SendNotifications", policies.from_this_account()),
    "events.amazonaws.com": ("SendRuleEvents", _TO_OUR_QUEUES),
    "sns.amazonaws.com": ("SendTopicMessages", _TO_OUR_QUEUES),
}

# What CloudWatch Logs asks for, to keep logs and to deliver them.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-V2-S3.html
KEEP_LOGS = [
    kms.Decrypt,
    kms.DescribeKey,
    kms.Encrypt,
    kms.GenerateDataKey,
    kms.GenerateDataKeyWithoutPlaintext,
    kms.ReEncryptFrom,
    kms.ReEncryptTo,
]
_ARCHIVE_REQUESTS = policies.allow(
    "WriteRequestLogs",
    KEEP_LOGS,
    THIS_KEY,
    policies.from_this_account(),
    policies.on_behalf_of(Sub("arn:${AWS::Partition}:logs:*:${AWS::AccountId}:delivery-source:*")),
    principal=policies.service("delivery.logs.amazonaws.com"),
)

# By pattern: the distribution needs the bucket, the bucket the key, and the key's policy would
# need the distribution (trap 40). Which one may read, the bucket's policy says.
_DELIVER = policies.allow(
    "ReadThumbnails",
    [kms.Decrypt],
    THIS_KEY,
    policies.on_behalf_of(
        Sub("arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/*")
    ),
    principal=policies.service("cloudfront.amazonaws.com"),
)


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """The stack's customer managed key."""

    key: Key
    arn: Arn

    def decrypt(self, sid: str, context: str, *values: Arn) -> Statement:
        """Return the right to decrypt what was encrypted with `context` as one of `values`."""
        return policies.allow(sid, [kms.Decrypt], [self.arn], _context(context, values))

    def exchange(self, sid: str, context: str, *values: Arn) -> Statement:
        """Return the right to encrypt and decrypt with `context` as one of `values`."""
        return policies.allow(sid, EXCHANGE, [self.arn], _context(context, values))


def add_encryption(
    template: Template, *, announcers: Collection[str], delivers: bool, archives_requests: bool
) -> Encryption:
    """Add the key with its yearly rotation and its alias.

    `announcers` are the services that put work on the queues, e.g. `s3.amazonaws.com`; whether a
    distribution reads thumbnails, `delivers` says, and whether it has its requests archived,
    `archives_requests`.
    """
    key = template.add_resource(
        Key(
            "EncryptionKey",
            Description="Everything at rest: buckets, queues, topic, logs, environment",
            EnableKeyRotation=True,
            KeyPolicy=policies.document(
                policies.allow(
                    "Administer",
                    ADMINISTER,
                    THIS_KEY,
                    principal=Principal(
                        "AWS", [Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")]
                    ),
                ),
                *(
                    policies.allow(
                        sid,
                        EXCHANGE,
                        THIS_KEY,
                        condition,
                        principal=policies.service(service),
                    )
                    for service, (sid, condition) in ANNOUNCERS.items()
                    if service in announcers
                ),
                *([_DELIVER] if delivers else []),
                *([_ARCHIVE_REQUESTS] if archives_requests else []),
                # Alarms to an encrypted topic vanish in silence without this (trap 4).
                policies.allow(
                    "PublishAlarms",
                    EXCHANGE,
                    THIS_KEY,
                    policies.from_this_account(),
                    principal=policies.service("cloudwatch.amazonaws.com"),
                ),
                # Log groups cannot be created without this (trap 5). CloudWatch Logs sends no
                # source account, it names the log group in the encryption context.
                policies.allow(
                    "EncryptLogs",
                    KEEP_LOGS,
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


def _context(key: str, values: Sequence[Arn]) -> StringLike:
    return StringLike({f"kms:EncryptionContext:{key}": list(values)})
