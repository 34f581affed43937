"""A bucket as every part of the stack keeps one: closed, versioned, under the key; its refusals."""

from dataclasses import dataclass
from typing import Any

import awacs.s3 as s3
from awacs.aws import Action, Bool, Null, Statement, StringEquals, StringNotEquals
from troposphere import GetAtt, If, Ref, Template
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

# S3 deletes the parts of an upload that nobody finished.
UNFINISHED_UPLOAD_DAYS = 7

# A refusal must cover what S3 adds later as well: the wildcard denies, it grants nothing.
EVERYTHING = [Action("s3", "*")]


@dataclass(frozen=True, kw_only=True)
class AccessLogs:
    """Where S3 notes each request to the other buckets."""

    bucket: Bucket
    policy: BucketPolicy


def add_bucket(
    template: Template,
    title: str,
    role: str,
    *,
    encryption: Encryption | None,
    noncurrent_days: Ref,
    days: Ref | None = None,
    access_logs: AccessLogs | None = None,
    **more: Any,
) -> Bucket:
    """Add the bucket for `role`; it keeps objects for `days`, or for ever, and versions longer.

    Without `encryption` it is under S3's own key. Requests are noted in `access_logs`, if any.
    """
    by_default = (
        ServerSideEncryptionByDefault(SSEAlgorithm="aws:kms", KMSMasterKeyID=encryption.arn)
        if encryption
        else ServerSideEncryptionByDefault(SSEAlgorithm="AES256")
    )
    rule: dict[str, Any] = {"BucketKeyEnabled": True} if encryption else {}
    # S3 takes only one of the two: what expires takes its delete marker along.
    expiry = {"ExpirationInDays": days} if days else {"ExpiredObjectDeleteMarker": True}
    if access_logs:
        more["LoggingConfiguration"] = LoggingConfiguration(
            DestinationBucketName=Ref(access_logs.bucket),
            LogFilePrefix=f"{role}/",
            # By the time of the request, so that a day can be read without the others.
            TargetObjectKeyFormat=TargetObjectKeyFormat(
                PartitionedPrefix=PartitionedPrefix(PartitionDateSource="EventTime")
            ),
        )
        more["DependsOn"] = [*more.get("DependsOn", []), access_logs.policy.title]
    else:
        more.setdefault(
            "Metadata",
            suppress(
                # https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
                CKV_AWS_18="By specification: logs.s3_access_logs"
            ),
        )
    return template.add_resource(
        Bucket(
            title,
            BucketName=naming.bucket_name(role),
            BucketEncryption=BucketEncryption(
                ServerSideEncryptionConfiguration=[
                    ServerSideEncryptionRule(ServerSideEncryptionByDefault=by_default, **rule)
                ]
            ),
            LifecycleConfiguration=LifecycleConfiguration(
                Rules=[
                    LifecycleRule(
                        Id="Tidy",
                        Status="Enabled",
                        # Versioned buckets keep every overwritten thumbnail otherwise (trap 51).
                        NoncurrentVersionExpiration=NoncurrentVersionExpiration(
                            NoncurrentDays=noncurrent_days
                        ),
                        AbortIncompleteMultipartUpload=AbortIncompleteMultipartUpload(
                            DaysAfterInitiation=UNFINISHED_UPLOAD_DAYS
                        ),
                        **expiry,
                    )
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
            # Data outlives the stack; a create that failed leaves no name behind (trap 29).
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
    for_people: bool = False,
) -> BucketPolicy:
    """Add who and what every bucket refuses, and `more`; what is allowed, roles say.

    Writes under another key than that of `encryption` are refused, where there is one; in a bucket
    `for_people` also those that ask for KMS and name no key, which would get AWS's own.
    """
    arn = GetAtt(bucket, "Arn")
    objects = policies.within(arn, "*")
    arns = [arn, objects]
    return template.add_resource(
        BucketPolicy(
            f"{bucket.title}Policy",
            Bucket=Ref(bucket),
            PolicyDocument=policies.document(
                policies.deny_plaintext(EVERYTHING, arns),
                policies.deny(
                    "DenyOtherAccounts",
                    EVERYTHING,
                    arns,
                    StringNotEquals({"aws:PrincipalAccount": policies.ACCOUNT}),
                    Bool({"aws:PrincipalIsAWSService": "false"}),
                    principal=policies.anyone(),
                ),
                *(
                    _deny_other_encryption(objects, encryption, for_people=for_people)
                    if encryption
                    else ()
                ),
                *more,
            ),
        )
    )


def _deny_other_encryption(
    objects: Arn, encryption: Encryption, *, for_people: bool
) -> list[Statement]:
    """Refuse a write that names another encryption, by whichever of S3's three headers.

    One that names none gets the bucket's.
    """
    header = "s3:x-amz-server-side-encryption"
    key = f"{header}-aws-kms-key-id"
    # Where the worker writes, it names the key; the embedded AWS does not see that it does.
    other_keys = (
        # A key that is not named is another one as well.
        (StringEquals({header: "aws:kms"}), StringNotEquals({key: encryption.arn}))
        if for_people
        else policies.other_than(key, encryption.arn)
    )
    return [
        policies.deny(
            "DenyOtherKeys",
            [s3.PutObject],
            [objects],
            *other_keys,
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
