"""Rules about buckets: how they are closed, what they announce, what they keep."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from darkroom.cloudformation.model import TemplateModel, kms_key_setting
from darkroom.cloudformation.policy_documents import Statement
from darkroom.iam.evaluator import Request, allowed, applies
from darkroom.lint.rule import Problems, rule

S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
FILTERING = f"{S3}/notification-how-to-filtering.html"
BEST = f"{S3}/security-best-practices.html"


def _refusals(stack: TemplateModel, bucket: str) -> list[Statement]:
    return [one for one in stack.resource_policy_statements(bucket) if one["Effect"] == "Deny"]


def _filter(configuration: dict[str, Any]) -> tuple[str, str]:
    """Return the prefix and suffix of a notification; its rules' names may be in any case."""
    rules = configuration.get("Filter", {}).get("S3Key", {}).get("Rules", [])
    named = {str(one.get("Name")).lower(): str(one.get("Value")) for one in rules}
    return named.get("prefix", ""), named.get("suffix", "")


def _announced(stack: TemplateModel) -> Iterator[tuple[str, list[tuple[str, str, str, str]]]]:
    """Yield each bucket with its notifications: event, prefix, suffix, destination."""
    for bucket, properties in stack.resources_of_type("S3::Bucket").items():
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
def s3_public_access_block(stack: TemplateModel) -> Problems:
    """A bucket blocks all public access.

    One public policy or ACL, today or later, opens the data to everybody.
    """
    wanted = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    for bucket, properties in stack.resources_of_type("S3::Bucket").items():
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
def s3_acl_disabled(stack: TemplateModel) -> Problems:
    """A bucket has ACLs disabled.

    ACLs grant access that no policy shows.
    """
    for bucket, properties in stack.resources_of_type("S3::Bucket").items():
        rules = properties.get("OwnershipControls", {}).get("Rules", [])
        if [one.get("ObjectOwnership") for one in rules] != ["BucketOwnerEnforced"]:
            yield bucket, "does not enforce the bucket owner's ownership"
        if "AccessControl" in properties:
            yield bucket, f"has the ACL {properties['AccessControl']}"


@rule(
    "DR-S3-004",
    "warning",
    remediation="Set VersioningConfiguration to Enabled.",
    source=f"{S3}/Versioning.html",
    requirements=("S1", "P6"),
)
def s3_versioning(stack: TemplateModel) -> Problems:
    """A bucket is versioned.

    An overwritten or deleted object is gone, and an event cannot be matched to its bytes.
    """
    for bucket, properties in stack.resources_of_type("S3::Bucket").items():
        if properties.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            yield bucket, "is not versioned"


@rule(
    "DR-S3-005",
    "warning",
    remediation="Set BucketKeyEnabled to true beside the key.",
    source=f"{S3}/bucket-key.html",
    requirements=("S1",),
    pitfalls=(6,),
)
def s3_bucket_key(stack: TemplateModel) -> Problems:
    """A bucket under a KMS key uses an S3 Bucket Key.

    Without a bucket key each object costs calls to KMS, up to its request quota.
    """
    for bucket, properties in stack.resources_of_type("S3::Bucket").items():
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
        "Deny s3:* when aws:SecureTransport is false, to everybody, on the bucket and its objects."
    ),
    source=BEST,
    requirements=("S2",),
)
def s3_secure_transport(stack: TemplateModel) -> Problems:
    """A bucket's policy denies requests without TLS.

    S3 answers plain HTTP, and whoever is on the way reads along.
    """
    for bucket in stack.resources_of_type("S3::Bucket"):
        arn = stack.arn(bucket)
        for action, resource in (("s3:GetObject", f"{arn}/x"), ("s3:ListBucket", arn)):
            plain = Request(
                action=action,
                resource=resource,
                principal=f"arn:aws:iam::{stack.account}:role/any",
                context={
                    "aws:SecureTransport": "false",
                    "aws:PrincipalAccount": stack.account,
                    "aws:PrincipalIsAWSService": "false",
                },
            )
            if not any(applies(one, plain) for one in _refusals(stack, bucket)):
                yield bucket, f"answers {action} over plain HTTP"


@rule(
    "DR-S3-007",
    "warning",
    remediation=(
        "Deny s3:* when aws:PrincipalAccount is not this account and the caller is no AWS service."
    ),
    source=f"{S3}/example-bucket-policies.html",
    requirements=("S2",),
)
def s3_policy_other_accounts(stack: TemplateModel) -> Problems:
    """A bucket's policy denies principals of other accounts.

    A grant to another account, today or later, would open the data across the boundary.
    """
    for bucket in stack.resources_of_type("S3::Bucket"):
        arn = stack.arn(bucket)
        for action, resource in (("s3:GetObject", f"{arn}/x"), ("s3:ListBucket", arn)):
            foreign = Request(
                action=action,
                resource=resource,
                principal="arn:aws:iam::444455556666:role/any",
                context={
                    "aws:SecureTransport": "true",
                    "aws:PrincipalAccount": "444455556666",
                    "aws:PrincipalIsAWSService": "false",
                },
            )
            if not any(applies(one, foreign) for one in _refusals(stack, bucket)):
                yield bucket, f"does not refuse {action} to principals of other accounts"


@rule(
    "DR-S3-008",
    "warning",
    remediation=(
        "Deny s3:PutObject when x-amz-server-side-encryption(-aws-kms-key-id) is given and is"
        " another."
    ),
    source=f"{S3}/UsingKMSEncryption.html",
    requirements=("S2",),
)
def s3_policy_other_keys(stack: TemplateModel) -> Problems:
    """A bucket's policy denies uploads under any key but the bucket's.

    A caller may name another key for an object: readable for others, or for nobody.
    """
    header = "s3:x-amz-server-side-encryption"
    for bucket in stack.resources_of_type("S3::Bucket"):
        if not stack.kms_key_of(bucket):
            continue
        for said, context in (
            (
                "another key",
                {
                    header: "aws:kms",
                    f"{header}-aws-kms-key-id": "arn:aws:kms:eu-west-1:444455556666:key/other",
                },
            ),
            ("SSE-S3", {header: "AES256"}),
            ("a key of the caller's own", {f"{header}-customer-algorithm": "AES256"}),
        ):
            if not any(
                applies(one, _put(stack, bucket, context)) for one in _refusals(stack, bucket)
            ):
                yield bucket, f"takes objects encrypted with {said}"
        own = {
            header: "aws:kms",
            f"{header}-aws-kms-key-id": stack.arn(stack.kms_key_of(bucket)),
        }
        for said, context in (("leave encryption to the bucket", {}), ("name its own key", own)):
            if any(applies(one, _put(stack, bucket, context)) for one in _refusals(stack, bucket)):
                yield bucket, f"refuses objects that {said}"


def _put(stack: TemplateModel, bucket: str, context: dict[str, str]) -> Request:
    return Request(
        action="s3:PutObject",
        resource=f"{stack.arn(bucket)}/x",
        principal=f"arn:aws:iam::{stack.account}:role/any",
        context={
            "aws:SecureTransport": "true",
            "aws:PrincipalAccount": stack.account,
            "aws:PrincipalIsAWSService": "false",
            **context,
        },
    )


@rule(
    "DR-S3-009",
    "error",
    remediation=(
        "Add a condition aws:PrincipalIsAWSService false (and aws:ViaAWSService false), or deny"
        " only the principals meant."
    ),
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalisawsservice",
    pitfalls=(7,),
)
def s3_deny_service_lockout(stack: TemplateModel) -> Problems:
    """A Deny in a bucket's policy does not apply to AWS services.

    A Deny on an address, endpoint or account also meets AWS's own services and the deployer.
    """
    for bucket in stack.resources_of_type("S3::Bucket"):
        service = Request(
            action="s3:PutObject",
            resource=f"{stack.arn(bucket)}/x",
            principal="logging.s3.amazonaws.com",
            context={
                "aws:SecureTransport": "true",
                "aws:PrincipalIsAWSService": "true",
                "aws:SourceAccount": stack.account,
            },
        )
        through = _put(stack, bucket, {"aws:ViaAWSService": "true"})
        for one in _refusals(stack, bucket):
            said = one.get("Sid", "a statement")
            if applies(one, service):
                yield bucket, f"refuses AWS services too, in {said!r}"
            elif applies(one, through):
                yield bucket, f"refuses what AWS does for a caller, in {said!r}"


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
def s3_lifecycle_noncurrent(stack: TemplateModel) -> Problems:
    """Noncurrent versions and incomplete multipart uploads expire.

    Versioned buckets keep every overwritten object, and unfinished uploads cost unseen.
    """
    for bucket, properties in stack.resources_of_type("S3::Bucket").items():
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
            yield bucket, "keeps old versions for ever"
        if not any("AbortIncompleteMultipartUpload" in one for one in rules):
            yield bucket, "keeps the parts of unfinished uploads for ever"


@rule(
    "DR-S3-011",
    "error",
    remediation=(
        "Give the bucket of the access logs SSE-S3, no object lock, and a policy that allows"
        " logging.s3.amazonaws.com s3:PutObject for this account."
    ),
    source=f"{S3}/ServerLogs.html",
    requirements=("O1",),
    pitfalls=(32,),
)
def s3_access_log_delivery(stack: TemplateModel) -> Problems:
    """S3 can deliver access logs to the bucket that is named for them.

    S3 says nothing when it cannot deliver an access log: the bucket just stays empty.
    """
    for source, properties in stack.resources_of_type("S3::Bucket").items():
        given = properties.get("LoggingConfiguration", {})
        target = stack.logical_id(given.get("DestinationBucketName"), "S3::Bucket")
        if not target:
            continue
        if kms_key_setting("S3::Bucket", stack.properties(target)):
            yield target, f"is under a KMS key, so that {source}'s access log does not arrive"
        if str(stack.properties(target).get("ObjectLockEnabled")).lower() == "true":
            yield target, f"has an object lock, so that {source}'s access log does not arrive"
        put = Request(
            action="s3:PutObject",
            resource=f"{stack.arn(target)}/{given.get('LogFilePrefix', '')}x",
            principal="logging.s3.amazonaws.com",
            context={
                "aws:SecureTransport": "true",
                "aws:PrincipalIsAWSService": "true",
                "aws:SourceAccount": stack.account,
                "aws:SourceArn": stack.arn(source),
            },
        )
        if not allowed(stack.resource_policy_statements(target), put):
            yield target, f"does not admit the access log of {source}"


@rule(
    "DR-S3-012",
    "error",
    remediation="Let the bucket depend on the queue's policy (DependsOn).",
    source=f"{S3}/grant-destinations-permissions-to-s3.html",
    requirements=("T3",),
    pitfalls=(1,),
)
def s3_notification_depends_on_policy(stack: TemplateModel) -> Problems:
    """A bucket with notifications depends on the queue's policy.

    S3 tries the queue when the notification is set, and fails "Unable to validate …".
    """
    for bucket, queue in dict.fromkeys((b, q) for b, _, q in stack.queue_notifications() if q):
        for policy in stack.resource_policies(queue):
            if policy not in stack.dependencies(bucket):
                yield bucket, f"does not wait for {policy}"


@rule(
    "DR-S3-013",
    "error",
    remediation="Keep one of the two, or make their prefixes or suffixes differ.",
    source=FILTERING,
    requirements=("T2",),
    pitfalls=(12,),
)
def s3_notification_overlap(stack: TemplateModel) -> Problems:
    """No two notifications of a bucket match the same object and event.

    S3 refuses two configurations that one object could match for the same event.
    """
    for bucket, announced in _announced(stack):
        for (event, prefix, suffix, _), (event2, prefix2, suffix2, _) in combinations(announced, 2):
            same = _covers(event, event2) or _covers(event2, event)
            inside = prefix.startswith(prefix2) or prefix2.startswith(prefix)
            if same and inside and (suffix.endswith(suffix2) or suffix2.endswith(suffix)):
                yield bucket, f"announces {prefix2}*{suffix2} twice: also as {prefix}*{suffix}"


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
def s3_notification_suffix_case(stack: TemplateModel) -> Problems:
    """Each notification suffix exists in lower and in upper case.

    Suffixes are case-sensitive: cameras write .JPG, and nothing happens.
    """
    for bucket, announced in _announced(stack):
        known = {(event, prefix, suffix) for event, prefix, suffix, _ in announced}
        for event, prefix, suffix in sorted(known):
            for twin in {suffix.lower(), suffix.upper()} - {suffix}:
                if (event, prefix, twin) not in known:
                    yield bucket, f"announces {prefix}*{suffix} and not {prefix}*{twin}"


@rule(
    "DR-S3-015",
    "warning",
    remediation="Give each notification a prefix, such as uploads/.",
    source=FILTERING,
    requirements=("T2",),
)
def s3_notification_prefix(stack: TemplateModel) -> Problems:
    """Each notification has a prefix.

    Without a prefix everything in the bucket is announced, other tools' objects included.
    """
    for bucket, announced in _announced(stack):
        for event, prefix, suffix, _ in announced:
            if not prefix:
                yield bucket, f"announces {event} of *{suffix} with no prefix"


# How long each kind must outlive the stack: data and what decrypts it always, others as stated.
KEPT = ("S3::Bucket", "KMS::Key", "DynamoDB::Table")
STATED = ("SQS::Queue", "Logs::LogGroup")


@rule(
    "DR-CFN-008",
    "error",
    remediation=(
        "State DeletionPolicy and UpdateReplacePolicy: Retain (RetainExceptOnCreate) for buckets,"
        " keys and tables."
    ),
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "aws-attribute-deletionpolicy.html",
    pitfalls=(28, 29, 30),
)
def cfn_deletion_policy(stack: TemplateModel) -> Problems:
    """Stateful resources state what happens to them on deletion and replacement.

    By default deletion and replacement take the data along, or fail on what is not empty.
    """
    for title, resource in stack.active_resources():
        kind = stack.type_of(title)
        for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
            value = str(stack.resolve(resource.get(attribute, "")))
            if kind in KEPT and not value.startswith(("Retain", "Snapshot")):
                yield title, f"has the {attribute} {value or 'Delete, by default'}"
            elif kind in STATED and not value:
                yield title, f"does not state its {attribute}"
