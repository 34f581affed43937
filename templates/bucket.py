"""A private, versioned, encrypted bucket, and the policy that denies all other use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awacs.s3 as s3
from awacs.aws import Action, BoolIfExists, Null, Statement, StringEquals, StringNotEquals
from troposphere import GetAtt, If, Output, Ref, Template
from troposphere.s3 import (
    AbortIncompleteMultipartUpload,
    Bucket,
    BucketEncryption,
    BucketPolicy,
    LifecycleConfiguration,
    LifecycleRule,
    LoggingConfiguration,
    NoncurrentVersionExpiration,
    OwnershipControls,
    OwnershipControlsRule,
    PartitionedPrefix,
    PublicAccessBlockConfiguration,
    ServerSideEncryptionByDefault,
    ServerSideEncryptionRule,
    TargetObjectKeyFormat,
    VersioningConfiguration,
)

from templates import naming, policies
from templates.encryption import Encryption
from templates.policies import Arn
from templates.suppressions import suppress

# S3 deletes the parts of incomplete multipart uploads after this many days.
INCOMPLETE_UPLOAD_DAYS = 7

# A Deny must cover the actions that S3 adds later too: the wildcard denies and allows nothing.
EVERY_ACTION = [Action("s3", "*")]


@dataclass(frozen=True, kw_only=True)
class AccessLogs:
    """The bucket that S3 writes its access logs to."""

    bucket: Bucket
    policy: BucketPolicy

    def outputs(self) -> list[Output]:
        """Return the stack's output about the bucket."""
        name = Ref(self.bucket)
        return [
            Output(
                "AccessLogBucketName",
                Description="Bucket of the other buckets' S3 access logs",
                Value=name,
            )
        ]


def add_bucket(
    template: Template,
    logical_id: str,
    suffix: str,
    *,
    encryption: Encryption | None,
    noncurrent_days: Ref,
    days: Ref | None = None,
    lifecycle: Sequence[LifecycleRule] = (),
    access_logs: AccessLogs | None = None,
    suppressions: Mapping[str, str] | None = None,
    **more: Any,
) -> Bucket:
    """Add a bucket.

    Args:
        template: The stack's template.
        logical_id: The bucket's logical id.
        suffix: What follows the prefix in the bucket's name.
        encryption: The stack's key; None for S3's own key.
        noncurrent_days: Days to keep noncurrent versions.
        days: Days to keep objects; None for forever.
        lifecycle: Further lifecycle rules.
        access_logs: The bucket that S3 writes access logs to, if any.
        suppressions: Checks that do not fit the bucket, each with its reason.
        **more: Further properties and attributes of the bucket.
    """
    by_default = (
        ServerSideEncryptionByDefault(SSEAlgorithm="aws:kms", KMSMasterKeyID=encryption.arn)
        if encryption
        else ServerSideEncryptionByDefault(SSEAlgorithm="AES256")
    )
    rule: dict[str, Any] = {"BucketKeyEnabled": True} if encryption else {}
    # S3 takes only one of the two; expiry removes delete markers too.
    expiry = {"ExpirationInDays": days} if days else {"ExpiredObjectDeleteMarker": True}
    if access_logs:
        more["LoggingConfiguration"] = LoggingConfiguration(
            DestinationBucketName=Ref(access_logs.bucket),
            LogFilePrefix=f"{suffix}/",
            # By request time, so that one day can be read without the others.
            TargetObjectKeyFormat=TargetObjectKeyFormat(
                PartitionedPrefix=PartitionedPrefix(PartitionDateSource="EventTime")
            ),
        )
        more["DependsOn"] = [*more.get("DependsOn", []), access_logs.policy.title]
    else:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
        suppressions = {"CKV_AWS_18": "Optional: logs.s3_access_logs", **(suppressions or {})}
    if suppressions:
        more["Metadata"] = suppress(**suppressions)
    return template.add_resource(
        Bucket(
            logical_id,
            BucketName=naming.bucket_name(suffix),
            BucketEncryption=BucketEncryption(
                ServerSideEncryptionConfiguration=[
                    ServerSideEncryptionRule(ServerSideEncryptionByDefault=by_default, **rule)
                ]
            ),
            LifecycleConfiguration=LifecycleConfiguration(
                Rules=[
                    LifecycleRule(
                        Id="Expire",
                        Status="Enabled",
                        # Otherwise every overwritten thumbnail is kept (pitfall 51).
                        NoncurrentVersionExpiration=NoncurrentVersionExpiration(
                            NoncurrentDays=noncurrent_days
                        ),
                        AbortIncompleteMultipartUpload=AbortIncompleteMultipartUpload(
                            DaysAfterInitiation=INCOMPLETE_UPLOAD_DAYS
                        ),
                        **expiry,
                    ),
                    *lifecycle,
                ]
            ),
            OwnershipControls=OwnershipControls(
                Rules=[OwnershipControlsRule(ObjectOwnership="BucketOwnerEnforced")]
            ),
            PublicAccessBlockConfiguration=PublicAccessBlockConfiguration(
                BlockPublicAcls=True,
                BlockPublicPolicy=True,
                IgnorePublicAcls=True,
                RestrictPublicBuckets=True,
            ),
            VersioningConfiguration=VersioningConfiguration(Status="Enabled"),
            # Data outlives the stack; a failed create leaves no name behind (pitfall 29).
            DeletionPolicy="RetainExceptOnCreate",
            UpdateReplacePolicy="Retain",
            **more,
        )
    )


def add_bucket_policy(
    template: Template,
    bucket: Bucket,
    encryption: Encryption | None,
    *more: Statement | If,
) -> BucketPolicy:
    """Add the policy with what every bucket denies, and `more`; roles grant access.

    Args:
        template: The stack's template.
        bucket: The policy's bucket.
        encryption: The only key that writes may use; None for any.
        *more: Further statements.
    """
    arn = GetAtt(bucket, "Arn")
    objects = policies.within(arn, "*")
    arns = [arn, objects]
    return template.add_resource(
        BucketPolicy(
            f"{bucket.title}Policy",
            Bucket=Ref(bucket),
            PolicyDocument=policies.document(
                policies.deny_plaintext(EVERY_ACTION, arns),
                policies.deny(
                    "DenyOtherAccounts",
                    EVERY_ACTION,
                    arns,
                    StringNotEquals({"aws:PrincipalAccount": policies.ACCOUNT}),
                    # An anonymous request has no such key (pitfall 63).
                    BoolIfExists({"aws:PrincipalIsAWSService": "false"}),
                    principal=policies.anyone(),
                ),
                *(_deny_other_encryption(objects, encryption) if encryption else ()),
                *more,
            ),
            # As long as the bucket itself (pitfall 64).
            DeletionPolicy="RetainExceptOnCreate",
            UpdateReplacePolicy="Retain",
        )
    )


def _deny_other_encryption(objects: Arn, encryption: Encryption) -> list[Statement]:
    """Deny writes that ask for another encryption in any of S3's three headers.

    A write without these headers gets the bucket's encryption.
    """
    header = "s3:x-amz-server-side-encryption"
    return [
        policies.deny(
            "DenyOtherKeys",
            [s3.PutObject],
            [objects],
            # Without a key id S3 uses the AWS managed key, not the bucket's (pitfall 74).
            StringEquals({header: "aws:kms"}),
            StringNotEquals({f"{header}-aws-kms-key-id": encryption.arn}),
            principal=policies.anyone(),
        ),
        policies.deny(
            "DenyOtherEncryption",
            [s3.PutObject],
            [objects],
            *policies.other_than(header, "aws:kms"),
            principal=policies.anyone(),
        ),
        policies.deny(
            "DenyCustomerKeys",
            [s3.PutObject],
            [objects],
            Null({f"{header}-customer-algorithm": "false"}),
            principal=policies.anyone(),
        ),
    ]
