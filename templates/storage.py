"""The bucket that pictures arrive in, the bucket that thumbnails leave from, and their policies."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import awacs.s3 as s3
from awacs.aws import Action, Bool, Null, Statement, StringNotEquals
from troposphere import GetAtt, Join, Ref, Template
from troposphere.s3 import (
    AbortIncompleteMultipartUpload,
    Bucket,
    BucketEncryption,
    BucketPolicy,
    Filter,
    LifecycleConfiguration,
    LifecycleRule,
    NoncurrentVersionExpiration,
    NotificationConfiguration,
    OwnershipControls,
    OwnershipControlsRule,
    PublicAccessBlockConfiguration,
    QueueConfigurations,
    Rules,
    S3Key,
    ServerSideEncryptionByDefault,
    ServerSideEncryptionRule,
    VersioningConfiguration,
)

from templates import naming, policies
from templates.encryption import Encryption
from templates.policies import Arn
from templates.queues import Queues
from templates.specification import Uploads

UPLOADS = "uploads"
THUMBNAILS = "thumbnails"

# What the worker writes and where; the same in worker/storage.py, and a test compares them.
OUTPUT_PREFIXES = ("thumbnails/", "rejected/")

# S3 deletes the parts of an upload that nobody finished.
UNFINISHED_UPLOAD_DAYS = 7

# A refusal must cover what S3 adds later as well: the wildcard denies, it grants nothing.
EVERYTHING = [Action("s3", "*")]


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Both buckets."""

    uploads: Bucket
    thumbnails: Bucket
    upload_prefixes: tuple[str, ...]
    follow_deletes: bool
    encryption: Encryption

    def read_uploads(self) -> list[Statement]:
        """Return the rights to read a version of an upload, in buckets and in S3's endpoint."""
        return [
            policies.allow(
                "ReadUploads",
                # The current version only to tell whether one is left after a deletion.
                [s3.GetObject, s3.GetObjectVersion]
                if self.follow_deletes
                else [s3.GetObjectVersion],
                _objects(self.uploads, self.upload_prefixes),
            ),
            # Without it a deleted upload answers 403 instead of 404, and could not be told from a
            # fault. It cannot be narrowed by prefix: the read that fails carries none.
            policies.allow("TellDeletedUploads", [s3.ListBucket], [GetAtt(self.uploads, "Arn")]),
        ]

    def write_thumbnails(self) -> list[Statement]:
        """Return the rights to write an output and to remove an older one, likewise."""
        return [
            policies.allow(
                "WriteOutputs",
                # Reading: HEAD and If-Match. Deleting: the thumbnails of a version that a newer,
                # rejected one replaced; the bucket is versioned, so that nothing is lost.
                [s3.DeleteObject, s3.GetObject, s3.PutObject],
                _objects(self.thumbnails, OUTPUT_PREFIXES),
            ),
            # Without it a missing output answers 403, and which ones there are stays unknown.
            policies.allow("FindOutputs", [s3.ListBucket], [GetAtt(self.thumbnails, "Arn")]),
        ]

    def use_key(self) -> list[Statement]:
        """Return the rights to the key that reading uploads and writing outputs takes."""
        uploads = GetAtt(self.uploads, "Arn")
        return [
            # With bucket keys the context is the bucket (trap 6); an uploader may turn that off
            # for an object, and then it is the object.
            self.encryption.decrypt(
                "DecryptUploads", "aws:s3:arn", uploads, _within(self.uploads, "*")
            ),
            self.encryption.exchange(
                "EncryptOutputs", "aws:s3:arn", GetAtt(self.thumbnails, "Arn")
            ),
        ]


def add_storage(
    template: Template,
    *,
    encryption: Encryption,
    queues: Queues,
    announced: Uploads,
    noncurrent_days: Ref,
) -> Storage:
    """Add both buckets; what is `announced` reaches the work queue."""
    notifications = NotificationConfiguration(
        QueueConfigurations=[
            QueueConfigurations(
                Event=event,
                Queue=queues.work_arn,
                Filter=Filter(
                    S3Key=S3Key(
                        Rules=[
                            Rules(Name="prefix", Value=prefix),
                            Rules(Name="suffix", Value=suffix),
                        ]
                    )
                ),
            )
            for event, prefix, suffix in announced.notifications()
        ]
    )
    return Storage(
        uploads=_add_bucket(
            template,
            "UploadBucket",
            UPLOADS,
            encryption,
            noncurrent_days,
            NotificationConfiguration=notifications,
            # S3 tries the queue when the notification is set: its policy must be there (trap 1).
            DependsOn=[queues.work_policy.title],
        ),
        thumbnails=_add_bucket(
            template, "ThumbnailBucket", THUMBNAILS, encryption, noncurrent_days
        ),
        upload_prefixes=announced.prefixes,
        follow_deletes=announced.follow_deletes,
        encryption=encryption,
    )


def _add_bucket(
    template: Template,
    title: str,
    role: str,
    encryption: Encryption,
    noncurrent_days: Ref,
    **more: Any,
) -> Bucket:
    bucket = template.add_resource(
        Bucket(
            title,
            BucketName=naming.bucket_name(role),
            BucketEncryption=BucketEncryption(
                ServerSideEncryptionConfiguration=[
                    ServerSideEncryptionRule(
                        ServerSideEncryptionByDefault=ServerSideEncryptionByDefault(
                            SSEAlgorithm="aws:kms", KMSMasterKeyID=encryption.arn
                        ),
                        BucketKeyEnabled=True,
                    )
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
                        ExpiredObjectDeleteMarker=True,
                        AbortIncompleteMultipartUpload=AbortIncompleteMultipartUpload(
                            DaysAfterInitiation=UNFINISHED_UPLOAD_DAYS
                        ),
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
    arns = [GetAtt(bucket, "Arn"), _within(bucket, "*")]
    objects = arns[1:]
    template.add_resource(
        BucketPolicy(
            f"{title}Policy",
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
                # A request that names no encryption gets the bucket's; one that names another is
                # refused, whichever of S3's three headers it uses.
                policies.deny(
                    "DenyOtherKeys",
                    [s3.PutObject],
                    objects,
                    *policies.other_than(
                        "s3:x-amz-server-side-encryption-aws-kms-key-id", encryption.arn
                    ),
                    principal=policies.anyone(),
                ),
                policies.deny(
                    "DenyOtherEncryption",
                    [s3.PutObject],
                    objects,
                    *policies.other_than("s3:x-amz-server-side-encryption", "aws:kms"),
                    principal=policies.anyone(),
                ),
                policies.deny(
                    "DenyCustomerKeys",
                    [s3.PutObject],
                    objects,
                    Null({"s3:x-amz-server-side-encryption-customer-algorithm": "false"}),
                    principal=policies.anyone(),
                ),
            ),
        )
    )
    return bucket


def _objects(bucket: Bucket, prefixes: Iterable[str]) -> list[Arn]:
    return [_within(bucket, f"{prefix}*") for prefix in prefixes]


def _within(bucket: Bucket, pattern: str) -> Join:
    return Join("/", [GetAtt(bucket, "Arn"), pattern])
