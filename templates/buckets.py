"""The upload buckets and the thumbnail bucket, with their notifications and policies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awacs.s3 as s3
from awacs.aws import Action, Bool, BoolIfExists, NotIpAddress, Statement, StringNotEquals
from troposphere import GetAtt, If, NoValue, Output, Ref, Template
from troposphere.s3 import (
    Bucket,
    EventBridgeConfiguration,
    Filter,
    LifecycleRule,
    LifecycleRuleTransition,
    MetricsConfiguration,
    NotificationConfiguration,
    QueueConfigurations,
    Rules,
    S3Key,
    TopicConfigurations,
)

from templates import naming, policies
from templates.bucket import EVERY_ACTION, AccessLogs, add_bucket, add_bucket_policy
from templates.encryption import Encryption
from templates.parameters.builder import Condition
from templates.parameters.controls import Controls
from templates.policies import Arn
from templates.queues import QueuePair
from templates.record_topic import RecordTopic
from templates.specification import Specification
from templates.specification_api import Api
from templates.specification_sources import Source
from templates.specification_values import DEFAULT
from templates.suppressions import WHOLE_BUCKET

UPLOADS = "uploads"
THUMBNAILS = "thumbnails"

# The filter id of an upload bucket's request metrics, which is a dimension of them.
REQUEST_METRICS = "all"

# The same of the requests below the upload API's prefix alone.
API_REQUEST_METRICS = "api"

# Where the worker writes; the same as in worker/keys.py, which a test compares.
OUTPUT_PREFIXES = (f"{THUMBNAILS}/", "rejected/")
RECORD_SUFFIX = "/index.json"


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """The stack's upload buckets, by source, and its thumbnail bucket."""

    uploads: Mapping[str, Bucket]
    thumbnails: Bucket
    encryption: Encryption
    watermark_keys: Sequence[str]

    def write_outputs(self) -> list[Statement]:
        """Return the permissions to write and delete outputs, for the role and the endpoint.

        And to read the watermarks on them: these keys alone, and nothing that lies beside them.
        """
        read_watermarks = policies.allow(
            "ReadWatermarks",
            [s3.GetObject],
            [policies.within(GetAtt(self.thumbnails, "Arn"), key) for key in self.watermark_keys],
            policies.in_this_account(),
        )
        return [
            *([read_watermarks] if self.watermark_keys else []),
            policies.allow(
                "WriteOutputs",
                # GetObject for HEAD and If-Match. DeleteObject for the thumbnails of a version
                # that a newer, rejected one replaces; the bucket keeps their versions.
                [s3.DeleteObject, s3.GetObject, s3.PutObject],
                _objects(self.thumbnails, OUTPUT_PREFIXES),
                policies.in_this_account(),
            ),
            # Without it S3 answers 403 for a missing output, and outputs cannot be listed.
            policies.allow(
                "ListOutputs",
                [s3.ListBucket],
                [GetAtt(self.thumbnails, "Arn")],
                policies.in_this_account(),
                policies.listing([f"{THUMBNAILS}/"]),
            ),
        ]

    def use_key(self) -> list[Statement]:
        """Return the permissions on the key to read uploads and write outputs."""
        # With a bucket key the encryption context is the bucket (pitfall 6). An uploader may turn
        # that off for an object; then the context is the object.
        contexts = [
            context
            for bucket in self.uploads.values()
            for context in (GetAtt(bucket, "Arn"), policies.within(GetAtt(bucket, "Arn"), "*"))
        ]
        reading = [self.encryption.decrypt("DecryptUploads", "aws:s3:arn", *contexts)]
        return [
            *(reading if contexts else []),
            self.encryption.encrypt_and_decrypt(
                "EncryptOutputs", "aws:s3:arn", GetAtt(self.thumbnails, "Arn")
            ),
        ]

    def outputs(self) -> list[Output]:
        """Return the stack's output about the thumbnail bucket."""
        name = Ref(self.thumbnails)
        return [
            Output(
                "ThumbnailBucketName",
                Description="Bucket of the thumbnails and records",
                Value=name,
            )
        ]


@dataclass(frozen=True, kw_only=True)
class DataPerimeter:
    """From where the buckets may be used; both limits apply to callers of this account only."""

    worker_arn: Arn
    s3_endpoint: Ref
    controls: Controls
    api_arn: Arn = ""
    """The role of the upload API's function; empty for a stack without one."""

    def deny_worker_outside_endpoint(self, arns: Sequence[Arn]) -> If:
        """Deny the worker's role outside its VPC, so that stolen credentials are useless.

        It applies to no other caller, such as AWS services or the deployer (pitfall 7).
        """
        return If(
            self.controls.enforce_vpce,
            policies.deny(
                "DenyWorkerOutsideEndpoint",
                EVERY_ACTION,
                arns,
                policies.by_principal(self.worker_arn),
                StringNotEquals({"aws:SourceVpce": self.s3_endpoint}),
                principal=policies.anyone(),
            ),
            NoValue,
        )

    def deny_api_outside_endpoint(self, actions: Sequence[Action], arns: Sequence[Arn]) -> If:
        """Deny the role of the upload API's function outside the VPC, as the worker's."""
        return If(
            self.controls.enforce_vpce,
            policies.deny(
                "DenyApiOutsideEndpoint",
                actions,
                arns,
                policies.by_principal(self.api_arn),
                StringNotEquals({"aws:SourceVpce": self.s3_endpoint}),
                principal=policies.anyone(),
            ),
            NoValue,
        )

    def deny_uploads_outside_cidrs(self, objects: Sequence[Arn]) -> If:
        """Deny uploads from addresses outside the allowed CIDRs.

        It covers PutObject only, so that it locks no administrator out of the bucket, and no call
        that an AWS service makes for itself or for a caller.
        """
        return If(
            self.controls.restrict_upload_cidrs,
            policies.deny(
                "DenyUploadsOutsideCidrs",
                [s3.PutObject],
                objects,
                NotIpAddress({"aws:SourceIp": self.controls.upload_cidrs}),
                BoolIfExists({"aws:PrincipalIsAWSService": "false"}),
                Bool({"aws:ViaAWSService": "false"}),  # every request has it
                principal=policies.anyone(),
            ),
            NoValue,
        )


def add_buckets(
    template: Template,
    *,
    encryption: Encryption,
    queues: Mapping[str, QueuePair],
    specification: Specification,
    noncurrent_days: Ref,
    uploads_monitored: Condition | None,
    access_logs: AccessLogs | None,
    record_topic: RecordTopic | None,
) -> Buckets:
    """Add an upload bucket for each source of type "s3", and the thumbnail bucket.

    Args:
        template: The stack's template.
        encryption: The stack's key.
        queues: The queues that uploads are notified to, by name.
        specification: The specification, with the sources and the upload API, whose uploads S3
            counts apart.
        noncurrent_days: Days to keep noncurrent versions.
        uploads_monitored: Condition under which S3 counts the requests to upload buckets; None
            where no source has the type "s3".
        access_logs: The bucket that S3 writes access logs to, if any.
        record_topic: The topic that S3 notifies of each record, if any.
    """
    api = specification.api
    common: dict[str, Any] = {
        "encryption": encryption,
        "noncurrent_days": noncurrent_days,
        "access_logs": access_logs,
    }
    return Buckets(
        uploads={
            name: add_bucket(
                template,
                naming.logical_id(name, "UploadBucket"),
                upload_suffix(name),
                **common,
                lifecycle=_archiving(source),
                suppressions={"s3-notification-prefix": WHOLE_BUCKET}
                if source.takes_whole_bucket
                else {},
                NotificationConfiguration=_notifications(source, queues[source.queue]),
                MetricsConfigurations=If(
                    uploads_monitored,
                    _request_metrics(source, api if api and api.source == name else None),
                    NoValue,
                ),
                # S3 sends a test message when notifications are set: the queue policy must allow
                # it by then (pitfall 1).
                DependsOn=[queues[source.queue].work_policy.title],
            )
            for name, source in specification.sources.items()
            if source.type == "s3"
        },
        thumbnails=add_bucket(
            template,
            "ThumbnailBucket",
            THUMBNAILS,
            **common,
            **_record_events(record_topic, sends_to_eventbridge=specification.events.eventbridge),
        ),
        encryption=encryption,
        watermark_keys=specification.watermark_keys(),
    )


def upload_suffix(source: str) -> str:
    """Return what follows the prefix in the name of a source's bucket: the source's name."""
    return UPLOADS if source == DEFAULT else source


def _archiving(source: Source) -> list[LifecycleRule]:
    """Return what moves a source's uploads to another storage class, a rule for each prefix.

    It moves current versions; a version that is noncurrent by then stays where it is. Small objects
    need no filter: S3 moves none below 128 KB to these classes (pitfall 83).
    """
    if source.archive_after_days is None:
        return []
    return [
        LifecycleRule(
            Id=f"Archive{number}",
            Status="Enabled",
            Transitions=[
                LifecycleRuleTransition(
                    StorageClass=source.archive_storage_class,
                    TransitionInDays=source.archive_after_days,
                )
            ],
            **({"Prefix": prefix} if prefix else {}),
        )
        for number, prefix in enumerate(source.prefixes, start=1)
    ]


def _request_metrics(source: Source, api: Api | None) -> list[MetricsConfiguration]:
    """Return what counts a source's requests, each by one prefix at most; and its API's uploads."""
    (prefix, *others) = source.prefixes
    return [
        MetricsConfiguration(
            Id=REQUEST_METRICS, **({"Prefix": prefix} if prefix and not others else {})
        ),
        *([MetricsConfiguration(Id=API_REQUEST_METRICS, Prefix=api.prefix)] if api else []),
    ]


def _notifications(source: Source, queues: QueuePair) -> NotificationConfiguration:
    return NotificationConfiguration(
        QueueConfigurations=[
            QueueConfigurations(
                Event=event,
                Queue=queues.work_arn,
                **_filter(prefix=prefix, suffix=suffix),
            )
            for event, prefix, suffix in source.notifications()
        ]
    )


def _record_events(topic: RecordTopic | None, *, sends_to_eventbridge: bool) -> dict[str, Any]:
    """Return the thumbnail bucket's properties and attributes that announce records."""
    found: dict[str, Any] = {}
    if topic:
        found["TopicConfigurations"] = [
            TopicConfigurations(
                Event="s3:ObjectCreated:*",
                Topic=Ref(topic.topic),
                **_filter(prefix=OUTPUT_PREFIXES[0], suffix=RECORD_SUFFIX),
            )
        ]
    if sends_to_eventbridge:
        found["EventBridgeConfiguration"] = EventBridgeConfiguration(EventBridgeEnabled=True)
    if not found:
        return {}
    more: dict[str, Any] = {"NotificationConfiguration": NotificationConfiguration(**found)}
    # S3 tests the topic as well when the notification is set (pitfall 1).
    return {**more, "DependsOn": [topic.policy.title]} if topic else more


def _filter(**texts: str) -> dict[str, Any]:
    """Return the filter of a notification, without the rules whose text is empty."""
    rules = [Rules(Name=name, Value=text) for name, text in texts.items() if text]
    return {"Filter": Filter(S3Key=S3Key(Rules=rules))} if rules else {}


def add_bucket_policies(
    template: Template,
    *,
    buckets: Buckets,
    perimeter: DataPerimeter,
    thumbnail_readers: Sequence[Statement],
    api_uploads: Mapping[str, Sequence[Statement]],
) -> None:
    """Add the policy of each bucket, which denies; roles grant access.

    `thumbnail_readers` allow services, which have no role, to read thumbnails. `api_uploads` limit
    the uploads by URLs of the upload API, by source.
    """
    sources = {bucket.title: name for name, bucket in buckets.uploads.items()}
    for bucket in (*buckets.uploads.values(), buckets.thumbnails):
        arns = [GetAtt(bucket, "Arn"), policies.within(GetAtt(bucket, "Arn"), "*")]
        more: Sequence[Statement | If] = (
            thumbnail_readers
            if bucket is buckets.thumbnails
            else [perimeter.deny_uploads_outside_cidrs(arns[1:])]
        )
        own = api_uploads.get(sources.get(bucket.title, ""), ())
        if own:  # not the URLs themselves, which are used from anywhere
            more = [*more, *own, perimeter.deny_api_outside_endpoint([s3.ListBucket], arns[:1])]
        elif perimeter.api_arn and bucket is buckets.thumbnails:
            more = [*more, perimeter.deny_api_outside_endpoint(EVERY_ACTION, arns)]
        add_bucket_policy(
            template,
            bucket,
            buckets.encryption,
            perimeter.deny_worker_outside_endpoint(arns),
            *more,
        )


def _objects(bucket: Bucket, prefixes: Iterable[str]) -> list[Arn]:
    return [policies.within(GetAtt(bucket, "Arn"), f"{prefix}*") for prefix in prefixes]
