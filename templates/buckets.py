"""The buckets that pictures arrive in, the one that thumbnails leave from, and their policies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awacs.s3 as s3
from awacs.aws import Bool, NotIpAddress, Statement, StringNotEquals
from troposphere import GetAtt, If, NoValue, Ref, Template
from troposphere.s3 import (
    Bucket,
    Filter,
    MetricsConfiguration,
    NotificationConfiguration,
    QueueConfigurations,
    Rules,
    S3Key,
)

from templates import naming, policies
from templates.bucket import EVERYTHING, AccessLogs, add_bucket, add_bucket_policy
from templates.encryption import Encryption
from templates.policies import Arn
from templates.queues import Queues
from templates.specification import DEFAULT, Source

UPLOADS = "uploads"
THUMBNAILS = "thumbnails"

# What an upload bucket's request metrics are called, as a dimension.
REQUEST_METRICS = "all"

# What the worker writes and where; the same in worker/keys.py, and a test compares them.
OUTPUT_PREFIXES = ("thumbnails/", "rejected/")


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The stack's own buckets: those of sources that have one, by source, and the thumbnails'."""

    uploads: Mapping[str, Bucket]
    thumbnails: Bucket
    encryption: Encryption

    def write_thumbnails(self) -> list[Statement]:
        """Return the rights to write an output and to remove an older one, in role and endpoint."""
        return [
            policies.allow(
                "WriteOutputs",
                # Reading: HEAD and If-Match. Deleting: the thumbnails of a version that a newer,
                # rejected one replaced; the bucket is versioned, so that nothing is lost.
                [s3.DeleteObject, s3.GetObject, s3.PutObject],
                _objects(self.thumbnails, OUTPUT_PREFIXES),
            ),
            # Without it a missing output answers 403, and which ones there are stays unknown.
            policies.allow("ListOutputs", [s3.ListBucket], [GetAtt(self.thumbnails, "Arn")]),
        ]

    def use_key(self) -> list[Statement]:
        """Return the rights to the key that reading uploads and writing outputs takes."""
        # With bucket keys the context is the bucket (trap 6); an uploader may turn that off
        # for an object, and then it is the object.
        contexts = [
            context
            for bucket in self.uploads.values()
            for context in (GetAtt(bucket, "Arn"), policies.within(GetAtt(bucket, "Arn"), "*"))
        ]
        reading = [self.encryption.decrypt("DecryptUploads", "aws:s3:arn", *contexts)]
        return [
            *(reading if contexts else []),
            self.encryption.exchange(
                "EncryptOutputs", "aws:s3:arn", GetAtt(self.thumbnails, "Arn")
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class Perimeter:
    """From where the buckets may be used; both limits bind callers of this account alone."""

    worker_arn: Arn
    endpoint: Ref
    requires_endpoint: str
    upload_ranges: Ref | None
    limits_uploads: str

    def deny_worker_elsewhere(self, arns: Sequence[Arn]) -> If:
        """Refuse the worker's role outside its network: stolen credentials are of no use.

        Nobody else is meant, neither AWS's services nor the deployer (trap 7).
        """
        return If(
            self.requires_endpoint,
            policies.deny(
                "DenyWorkerOutsideEndpoint",
                EVERYTHING,
                arns,
                policies.by_principal(self.worker_arn),
                StringNotEquals({"aws:SourceVpce": self.endpoint}),
                principal=policies.anyone(),
            ),
            NoValue,
        )

    def deny_uploads_from_elsewhere(self, objects: Sequence[Arn]) -> If:
        """Refuse uploads from outside the given ranges: of objects alone, so that nobody who
        administers the bucket is locked out, and not when AWS acts by itself or for somebody.
        """
        return If(
            self.limits_uploads,
            policies.deny(
                "DenyUploadsOutsideCidrs",
                [s3.PutObject],
                objects,
                NotIpAddress({"aws:SourceIp": self.upload_ranges}),
                Bool({"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"}),
                principal=policies.anyone(),
            ),
            NoValue,
        )


def add_storage(
    template: Template,
    *,
    encryption: Encryption,
    queues: Mapping[str, Queues],
    sources: Mapping[str, Source],
    noncurrent_days: Ref,
    watches_uploads: str,
    access_logs: AccessLogs | None,
) -> Storage:
    """Add a bucket for each of `sources` that is to have one, and one for the thumbnails.

    What is uploaded reaches the queue, of those in `queues`, of its source's queue. Where the
    condition `watches_uploads` holds, S3 counts the requests to what is uploaded to.
    """
    common: dict[str, Any] = {
        "encryption": encryption,
        "noncurrent_days": noncurrent_days,
        "access_logs": access_logs,
    }
    return Storage(
        uploads={
            name: add_bucket(
                template,
                naming.logical_id(name, "UploadBucket"),
                upload_role(name),
                **common,
                NotificationConfiguration=_notifications(source, queues[source.queue]),
                MetricsConfigurations=If(
                    watches_uploads, [MetricsConfiguration(Id=REQUEST_METRICS)], NoValue
                ),
                # S3 tries the queue when the notification is set: its policy must be there
                # (trap 1).
                DependsOn=[queues[source.queue].work_policy.title],
            )
            for name, source in sources.items()
            if source.type == "s3"
        },
        thumbnails=add_bucket(template, "ThumbnailBucket", THUMBNAILS, **common),
        encryption=encryption,
    )


def upload_role(source: str) -> str:
    """Return the role, in its name, of the bucket of `source`: the source's own name."""
    return UPLOADS if source == DEFAULT else source


def _notifications(source: Source, queues: Queues) -> NotificationConfiguration:
    return NotificationConfiguration(
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
            for event, prefix, suffix in source.notifications()
        ]
    )


def add_bucket_policies(
    template: Template, *, storage: Storage, perimeter: Perimeter, readers: Sequence[Statement]
) -> None:
    """Add to each bucket who and what it refuses; what is allowed, roles say.

    `readers` are the statements that let others at the thumbnails: services have no role.
    """
    for bucket in (*storage.uploads.values(), storage.thumbnails):
        arns = [GetAtt(bucket, "Arn"), policies.within(GetAtt(bucket, "Arn"), "*")]
        own: Sequence[Statement | If] = readers
        if bucket is not storage.thumbnails:
            own = [perimeter.deny_uploads_from_elsewhere(arns[1:])]
        add_bucket_policy(
            template,
            bucket,
            storage.encryption,
            perimeter.deny_worker_elsewhere(arns),
            *own,
            for_people=bucket is not storage.thumbnails,
        )


def _objects(bucket: Bucket, prefixes: Iterable[str]) -> list[Arn]:
    return [policies.within(GetAtt(bucket, "Arn"), f"{prefix}*") for prefix in prefixes]
