"""Rules about buckets: access, notifications, retention."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

from darkroom.cloudformation.model import TemplateModel, kms_key_setting
from darkroom.cloudformation.policy_documents import Statement
from darkroom.iam.evaluator import Request, allowed, applies
from darkroom.iam.expectations.requests import (
    OTHER_IP,
    by_anonymous,
    by_external_user,
    by_service,
    by_user,
)
from darkroom.lint.rule import Problems, rule

S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
FILTERING = f"{S3}/notification-how-to-filtering.html"
BEST = f"{S3}/security-best-practices.html"


def _denies(model: TemplateModel, bucket: str) -> list[Statement]:
    return [one for one in model.resource_policy_statements(bucket) if one["Effect"] == "Deny"]


def _reads(model: TemplateModel, bucket: str) -> Iterator[tuple[str, str]]:
    """Yield an action on the bucket's objects and one on itself, each with its resource."""
    yield "s3:GetObject", f"{model.arn(bucket)}/x"
    yield "s3:ListBucket", model.arn(bucket)


def _not_denied(model: TemplateModel, bucket: str, requests: Iterable[Request]) -> str:
    """Return the actions of those requests that the bucket's policy does not deny."""
    denies = _denies(model, bucket)
    return " and ".join(
        one.action for one in requests if not any(applies(deny, one) for deny in denies)
    )


def _filter(configuration: dict[str, Any]) -> tuple[str, str]:
    """Return the prefix and suffix of a notification; its rules' names may be in any case."""
    rules = configuration.get("Filter", {}).get("S3Key", {}).get("Rules", [])
    named = {str(one.get("Name")).lower(): str(one.get("Value")) for one in rules}
    return named.get("prefix", ""), named.get("suffix", "")


def _notifications(model: TemplateModel) -> Iterator[tuple[str, list[tuple[str, str, str, str]]]]:
    """Yield each bucket with its notifications: event, prefix, suffix, destination."""
    for bucket, properties in model.resources_of_type("S3::Bucket").items():
        configurations = properties.get("NotificationConfiguration", {})
        yield (
            bucket,
            [
                (one.get("Event", ""), *_filter(one), str(one.get(destination)))
                for kind, destination in (
                    ("QueueConfigurations", "Queue"),
                    ("TopicConfigurations", "Topic"),
                    ("LambdaConfigurations", "Function"),
                )
                for one in configurations.get(kind, [])
            ],
        )


@rule(
    "DR-S3-002",
    "error",
    remediation="Set all four of PublicAccessBlockConfiguration to true.",
    source=f"{S3}/access-control-block-public-access.html",
    requirements=("S1",),
)
def s3_public_access_block(model: TemplateModel) -> Problems:
    """A bucket blocks all public access.

    One public policy or ACL, now or later, exposes the data to everyone.
    """
    wanted = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    for bucket, properties in model.resources_of_type("S3::Bucket").items():
        block = properties.get("PublicAccessBlockConfiguration", {})
        missing = [name for name in wanted if str(block.get(name)).lower() != "true"]
        if missing:
            yield bucket, f"does not set {', '.join(missing)}"


@rule(
    "DR-S3-003",
    "warning",
    remediation="Set OwnershipControls to BucketOwnerEnforced and remove AccessControl.",
    source=f"{S3}/about-object-ownership.html",
    requirements=("S1",),
    pitfalls=(39,),
)
def s3_acl_disabled(model: TemplateModel) -> Problems:
    """A bucket has ACLs disabled.

    ACLs grant access that no policy shows.
    """
    for bucket, properties in model.resources_of_type("S3::Bucket").items():
        rules = properties.get("OwnershipControls", {}).get("Rules", [])
        if [one.get("ObjectOwnership") for one in rules] != ["BucketOwnerEnforced"]:
            yield bucket, "does not set ObjectOwnership to BucketOwnerEnforced"
        if "AccessControl" in properties:
            yield bucket, f"has the ACL {properties['AccessControl']}"


@rule(
    "DR-S3-004",
    "warning",
    remediation="Set VersioningConfiguration to Enabled.",
    source=f"{S3}/Versioning.html",
    requirements=("S1", "P6"),
)
def s3_versioning(model: TemplateModel) -> Problems:
    """A bucket is versioned.

    An overwritten or deleted object is lost, and an event cannot be matched to its bytes.
    """
    for bucket, properties in model.resources_of_type("S3::Bucket").items():
        if properties.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            yield bucket, "is not versioned"


@rule(
    "DR-S3-005",
    "warning",
    remediation="Set BucketKeyEnabled to true next to the key.",
    source=f"{S3}/bucket-key.html",
    requirements=("S1",),
    pitfalls=(6,),
)
def s3_bucket_key(model: TemplateModel) -> Problems:
    """A bucket under a KMS key uses an S3 Bucket Key.

    Without a bucket key each object costs requests to KMS, which has a quota of them.
    """
    for bucket, properties in model.resources_of_type("S3::Bucket").items():
        for one in properties.get("BucketEncryption", {}).get(
            "ServerSideEncryptionConfiguration", []
        ):
            default = str(one.get("ServerSideEncryptionByDefault", {}).get("SSEAlgorithm"))
            if default.startswith("aws:kms") and str(one.get("BucketKeyEnabled")).lower() != "true":
                yield bucket, "does not use a bucket key"


@rule(
    "DR-S3-006",
    "warning",
    remediation=(
        "Deny s3:* to all principals when aws:SecureTransport is false, on the bucket and its"
        " objects."
    ),
    source=BEST,
    requirements=("S2",),
)
def s3_secure_transport(model: TemplateModel) -> Problems:
    """A bucket's policy denies requests without TLS.

    S3 accepts plain HTTP, which others on the way can read.
    """
    for bucket in model.resources_of_type("S3::Bucket"):
        requests = (
            by_user(action, resource, **{"aws:SecureTransport": "false"})
            for action, resource in _reads(model, bucket)
        )
        if missing := _not_denied(model, bucket, requests):
            yield bucket, f"accepts {missing} over plain HTTP"


@rule(
    "DR-S3-007",
    "warning",
    remediation=(
        "Deny s3:* when aws:PrincipalAccount is not this account and the caller is not an AWS"
        " service (BoolIfExists)."
    ),
    source=f"{S3}/example-bucket-policies.html",
    requirements=("S2",),
    pitfalls=(63,),
)
def s3_policy_other_accounts(model: TemplateModel) -> Problems:
    """A bucket's policy denies principals of other accounts.

    A grant to another account, now or later, would expose the data.
    """
    for bucket in model.resources_of_type("S3::Bucket"):
        for caller, request in (
            ("principals of other accounts", by_external_user),
            ("anonymous callers", by_anonymous),
        ):
            requests = (request(*read) for read in _reads(model, bucket))
            if missing := _not_denied(model, bucket, requests):
                yield bucket, f"does not deny {missing} to {caller}"


@rule(
    "DR-S3-008",
    "warning",
    remediation=(
        "Deny s3:PutObject when x-amz-server-side-encryption is given and is not the bucket's, and"
        " when it is aws:kms without the id of the bucket's key."
    ),
    source=f"{S3}/UsingKMSEncryption.html",
    requirements=("S2",),
    pitfalls=(74,),
)
def s3_policy_other_keys(model: TemplateModel) -> Problems:
    """A bucket's policy denies uploads under any key but the bucket's.

    A caller may name another key for an object: then others can read it, or nobody can. A caller
    that asks for aws:kms and names no key gets the AWS managed key.
    """
    header = "s3:x-amz-server-side-encryption"
    for bucket in model.resources_of_type("S3::Bucket"):
        if not model.kms_key_of(bucket):
            continue
        for key, context in (
            (
                "another key",
                {
                    header: "aws:kms",
                    f"{header}-aws-kms-key-id": "arn:aws:kms:eu-west-1:444455556666:key/other",
                },
            ),
            ("the AWS managed key", {header: "aws:kms"}),
            ("SSE-S3", {header: "AES256"}),
            ("a key of the caller's own", {f"{header}-customer-algorithm": "AES256"}),
        ):
            if _not_denied(model, bucket, [_put(model, bucket, context)]):
                yield bucket, f"accepts objects encrypted with {key}"
        own = {
            header: "aws:kms",
            f"{header}-aws-kms-key-id": model.arn(model.kms_key_of(bucket)),
        }
        for what, context in (("leave encryption to the bucket", {}), ("name its own key", own)):
            if not _not_denied(model, bucket, [_put(model, bucket, context)]):
                yield bucket, f"denies uploads that {what}"


def _put(model: TemplateModel, bucket: str, context: dict[str, str]) -> Request:
    return by_user("s3:PutObject", f"{model.arn(bucket)}/x", **context)


@rule(
    "DR-S3-009",
    "error",
    remediation=(
        "Add a condition aws:PrincipalIsAWSService false (and aws:ViaAWSService false), or deny"
        " only the principals that are meant."
    ),
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalisawsservice",
    pitfalls=(7,),
)
def s3_deny_service_lockout(model: TemplateModel) -> Problems:
    """A Deny in a bucket's policy does not apply to AWS services.

    A Deny by address, endpoint or account also applies to AWS services and to the deployer.
    """
    for bucket in model.resources_of_type("S3::Bucket"):
        direct = by_service("logging.s3.amazonaws.com", "s3:PutObject", f"{model.arn(bucket)}/x")
        for_caller = _put(model, bucket, {"aws:ViaAWSService": "true", "aws:SourceIp": OTHER_IP})
        for one in _denies(model, bucket):
            sid = one.get("Sid", "a statement")
            if applies(one, direct):
                yield bucket, f"denies AWS services too, in {sid!r}"
            elif applies(one, for_caller):
                yield bucket, f"denies requests that AWS makes for a caller, in {sid!r}"


@rule(
    "DR-S3-010",
    "warning",
    remediation=(
        "Add an enabled lifecycle rule for all objects with NoncurrentVersionExpiration and"
        " AbortIncompleteMultipartUpload."
    ),
    source=f"{S3}/lifecycle-configuration-examples.html",
    pitfalls=(51,),
)
def s3_lifecycle_noncurrent(model: TemplateModel) -> Problems:
    """Noncurrent versions and incomplete multipart uploads expire.

    Versioned buckets keep every overwritten object, and incomplete uploads cost money unseen.
    """
    for bucket, properties in model.resources_of_type("S3::Bucket").items():
        rules = [
            one
            for one in properties.get("LifecycleConfiguration", {}).get("Rules", [])
            if one.get("Status") == "Enabled" and not {"Prefix", "TagFilters"} & set(one)
        ]
        versioned = properties.get("VersioningConfiguration", {}).get("Status") == "Enabled"
        if versioned and not any(
            {"NoncurrentVersionExpiration", "NoncurrentVersionExpirationInDays"} & set(one)
            for one in rules
        ):
            yield bucket, "keeps noncurrent versions forever"
        if not any("AbortIncompleteMultipartUpload" in one for one in rules):
            yield bucket, "keeps the parts of incomplete multipart uploads forever"


@rule(
    "DR-S3-011",
    "error",
    remediation=(
        "Give the access log bucket SSE-S3, no object lock, and a policy that allows"
        " logging.s3.amazonaws.com s3:PutObject for this account."
    ),
    source=f"{S3}/ServerLogs.html",
    requirements=("O1",),
    pitfalls=(32,),
)
def s3_access_log_delivery(model: TemplateModel) -> Problems:
    """S3 can deliver access logs to the bucket that is named for them.

    S3 reports no error when it cannot deliver an access log: the bucket stays empty.
    """
    for source, properties in model.resources_of_type("S3::Bucket").items():
        given = properties.get("LoggingConfiguration", {})
        target = model.logical_id(given.get("DestinationBucketName"), "S3::Bucket")
        if not target:
            continue
        if kms_key_setting("S3::Bucket", model.properties(target)):
            yield target, f"is under a KMS key, so that {source}'s access log does not arrive"
        if str(model.properties(target).get("ObjectLockEnabled")).lower() == "true":
            yield target, f"has an object lock, so that {source}'s access log does not arrive"
        put = by_service(
            "logging.s3.amazonaws.com",
            "s3:PutObject",
            f"{model.arn(target)}/{given.get('LogFilePrefix', '')}x",
            **{"aws:SourceArn": model.arn(source)},
        )
        if not allowed(model.resource_policy_statements(target), put):
            yield target, f"does not allow S3 to write the access log of {source}"


@rule(
    "DR-S3-012",
    "error",
    remediation="Let the bucket depend on the policy of the queue or topic (DependsOn).",
    source=f"{S3}/grant-destinations-permissions-to-s3.html",
    requirements=("T3",),
    pitfalls=(1,),
)
def s3_notification_depends_on_policy(model: TemplateModel) -> Problems:
    """A bucket with notifications depends on the policy of the queue or topic.

    S3 tests the queue or topic when the notification is set, and fails with "Unable to validate the
    following destination configurations".
    """
    notified = [*model.queue_notifications(), *model.topic_notifications()]
    for bucket, target in dict.fromkeys((b, to) for b, _, to in notified if to):
        for policy in model.resource_policies(target):
            if policy not in model.dependencies(bucket):
                yield bucket, f"does not depend on {policy}"


@rule(
    "DR-S3-013",
    "error",
    remediation="Keep one of the two, or make their prefixes or suffixes differ.",
    source=FILTERING,
    requirements=("T2",),
    pitfalls=(12,),
)
def s3_notification_overlap(model: TemplateModel) -> Problems:
    """No two notifications of a bucket match the same object and event.

    S3 rejects two configurations that match the same object for the same event.
    """
    for bucket, notified in _notifications(model):
        for (event, prefix, suffix, _), (event2, prefix2, suffix2, _) in combinations(notified, 2):
            same = _covers(event, event2) or _covers(event2, event)
            inside = prefix.startswith(prefix2) or prefix2.startswith(prefix)
            if same and inside and (suffix.endswith(suffix2) or suffix2.endswith(suffix)):
                yield (
                    bucket,
                    f"has two notifications for {prefix2}*{suffix2}, one as {prefix}*{suffix}",
                )


def _covers(event: str, other: str) -> bool:
    return event == other or (event.endswith("*") and other.startswith(event[:-1]))


@rule(
    "DR-S3-014",
    "warning",
    remediation="Add the same configuration with the suffix in the other case.",
    source=FILTERING,
    requirements=("T2",),
    pitfalls=(11,),
)
def s3_notification_suffix_case(model: TemplateModel) -> Problems:
    """Each notification suffix exists in lower and in upper case.

    Suffixes are case-sensitive: cameras write .JPG, and nothing happens.
    """
    for bucket, notified in _notifications(model):
        known = {(event, prefix, suffix) for event, prefix, suffix, _ in notified}
        for event, prefix, suffix in sorted(known):
            if "/" in suffix:  # a whole name, which one program writes
                continue
            for other_case in {suffix.lower(), suffix.upper()} - {suffix}:
                if (event, prefix, other_case) not in known:
                    yield (
                        bucket,
                        f"notifies of {prefix}*{suffix} and not of {prefix}*{other_case}",
                    )


@rule(
    "DR-S3-015",
    "warning",
    remediation="Give each notification a prefix, such as uploads/.",
    source=FILTERING,
    requirements=("T2",),
)
def s3_notification_prefix(model: TemplateModel) -> Problems:
    """Each notification has a prefix.

    Without a prefix S3 notifies of every object in the bucket, including those of other tools.
    """
    for bucket, notified in _notifications(model):
        for event, prefix, suffix, _ in notified:
            if not prefix:
                yield bucket, f"has a notification for {event} of *{suffix} without a prefix"


# Types that outlive the stack (data, what protects and decrypts it), and types whose policies are
# stated either way.
KEPT = ("S3::Bucket", "S3::BucketPolicy", "KMS::Key", "DynamoDB::Table")
STATED = ("SQS::Queue", "Logs::LogGroup")


@rule(
    "DR-CFN-008",
    "error",
    remediation=(
        "State DeletionPolicy and UpdateReplacePolicy: Retain (RetainExceptOnCreate) for buckets,"
        " their policies, keys and tables."
    ),
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "aws-attribute-deletionpolicy.html",
    pitfalls=(28, 29, 30, 64),
)
def cfn_deletion_policy(model: TemplateModel) -> Problems:
    """Stateful resources state what happens to them on deletion and replacement.

    By default deletion and replacement delete the data, or fail on a bucket that is not empty. A
    bucket that is kept without its policy is unprotected.
    """
    for title, resource in model.active_resources():
        kind = model.type_of(title)
        for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
            value = str(model.resolve(resource.get(attribute, "")))
            if kind in KEPT and not value.startswith(("Retain", "Snapshot")):
                yield title, f"has the {attribute} {value or 'Delete, by default'}"
            elif kind in STATED and not value:
                yield title, f"does not state its {attribute}"
