"""Rules about buckets: how they are closed, what they announce, what they keep."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from darkroom.cloudformation.model import Stack, key_property
from darkroom.cloudformation.policy_documents import Statement
from darkroom.iam.evaluator import Request, allowed, applies
from darkroom.lint.rule import Problems, rule

S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
FILTERING = f"{S3}/notification-how-to-filtering.html"
BEST = f"{S3}/security-best-practices.html"


def _refusals(stack: Stack, bucket: str) -> list[Statement]:
    return [one for one in stack.guarding(bucket) if one["Effect"] == "Deny"]


def _filter(configuration: dict[str, Any]) -> tuple[str, str]:
    """Return the prefix and suffix of a notification; its rules' names may be in any case."""
    rules = configuration.get("Filter", {}).get("S3Key", {}).get("Rules", [])
    named = {str(one.get("Name")).lower(): str(one.get("Value")) for one in rules}
    return named.get("prefix", ""), named.get("suffix", "")


def _announced(stack: Stack) -> Iterator[tuple[str, list[tuple[str, str, str, str]]]]:
    """Yield each bucket with its notifications: event, prefix, suffix, destination."""
    for bucket, properties in stack.of_type("S3::Bucket").items():
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
    "Set all four of PublicAccessBlockConfiguration to true.",
    source=f"{S3}/access-control-block-public-access.html",
    keeps="S1",
)
def bucket_blocks_public_access(stack: Stack) -> Problems:
    """One public policy or ACL, today or later, opens the data to everybody."""
    wanted = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    for bucket, properties in stack.of_type("S3::Bucket").items():
        block = properties.get("PublicAccessBlockConfiguration", {})
        missing = [name for name in wanted if str(block.get(name)).lower() != "true"]
        if missing:
            yield bucket, f"does not set {', '.join(missing)}"


@rule(
    "Set OwnershipControls to BucketOwnerEnforced and remove AccessControl.",
    source=f"{S3}/about-object-ownership.html",
    keeps="S1, trap 39",
)
def bucket_has_no_acls(stack: Stack) -> Problems:
    """ACLs grant access that no policy shows."""
    for bucket, properties in stack.of_type("S3::Bucket").items():
        rules = properties.get("OwnershipControls", {}).get("Rules", [])
        if [one.get("ObjectOwnership") for one in rules] != ["BucketOwnerEnforced"]:
            yield bucket, "does not enforce the bucket owner's ownership"
        if "AccessControl" in properties:
            yield bucket, f"has the ACL {properties['AccessControl']}"


@rule("Set VersioningConfiguration to Enabled.", source=f"{S3}/Versioning.html", keeps="S1, P6")
def bucket_is_versioned(stack: Stack) -> Problems:
    """An overwritten or deleted object is gone, and an event cannot be matched to its bytes."""
    for bucket, properties in stack.of_type("S3::Bucket").items():
        if properties.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            yield bucket, "is not versioned"


@rule(
    "Set BucketKeyEnabled to true beside the key.",
    source=f"{S3}/bucket-key.html",
    keeps="S1, trap 6",
)
def bucket_uses_bucket_key(stack: Stack) -> Problems:
    """Without a bucket key each object costs calls to KMS, up to its request quota."""
    for bucket, properties in stack.of_type("S3::Bucket").items():
        for one in properties.get("BucketEncryption", {}).get(
            "ServerSideEncryptionConfiguration", []
        ):
            default = str(one.get("ServerSideEncryptionByDefault", {}).get("SSEAlgorithm"))
            if default.startswith("aws:kms") and str(one.get("BucketKeyEnabled")).lower() != "true":
                yield bucket, "does not use a bucket key"


@rule(
    "Deny s3:* when aws:SecureTransport is false, to everybody, on the bucket and its objects.",
    source=BEST,
    keeps="S2",
)
def bucket_refuses_plain_http(stack: Stack) -> Problems:
    """S3 answers plain HTTP, and whoever is on the way reads along."""
    for bucket in stack.of_type("S3::Bucket"):
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
    "Deny s3:* when aws:PrincipalAccount is not this account and the caller is no AWS service.",
    source=f"{S3}/example-bucket-policies.html",
    keeps="S2",
)
def bucket_refuses_other_accounts(stack: Stack) -> Problems:
    """A grant to another account, today or later, would open the data across the boundary."""
    for bucket in stack.of_type("S3::Bucket"):
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
    "Deny s3:PutObject when x-amz-server-side-encryption(-aws-kms-key-id) is given and is another.",
    source=f"{S3}/UsingKMSEncryption.html",
    keeps="S2",
)
def bucket_refuses_other_keys(stack: Stack) -> Problems:
    """A caller may name another key for an object: readable for others, or for nobody."""
    header = "s3:x-amz-server-side-encryption"
    for bucket in stack.of_type("S3::Bucket"):
        if not stack.key_of(bucket):
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
            f"{header}-aws-kms-key-id": stack.arn(stack.key_of(bucket)),
        }
        for said, context in (("leave encryption to the bucket", {}), ("name its own key", own)):
            if any(applies(one, _put(stack, bucket, context)) for one in _refusals(stack, bucket)):
                yield bucket, f"refuses objects that {said}"


def _put(stack: Stack, bucket: str, context: dict[str, str]) -> Request:
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
    "Add a condition aws:PrincipalIsAWSService false (and aws:ViaAWSService false), or deny only"
    " the principals meant.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalisawsservice",
    keeps="trap 7",
)
def refusal_does_not_lock_out_services(stack: Stack) -> Problems:
    """A Deny on an address, endpoint or account also meets AWS's own services and the deployer."""
    for bucket in stack.of_type("S3::Bucket"):
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
    "Add an enabled lifecycle rule for all objects with NoncurrentVersionExpiration and"
    " AbortIncompleteMultipartUpload.",
    source=f"{S3}/lifecycle-configuration-examples.html",
    keeps="trap 51",
)
def old_versions_expire(stack: Stack) -> Problems:
    """Versioned buckets keep every overwritten object, and unfinished uploads cost unseen."""
    for bucket, properties in stack.of_type("S3::Bucket").items():
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
    "Give the bucket of the access logs SSE-S3, no object lock, and a policy that allows"
    " logging.s3.amazonaws.com s3:PutObject for this account.",
    source=f"{S3}/ServerLogs.html",
    keeps="O1, trap 32",
)
def access_logs_can_be_delivered(stack: Stack) -> Problems:
    """S3 says nothing when it cannot deliver an access log: the bucket just stays empty."""
    for source, properties in stack.of_type("S3::Bucket").items():
        given = properties.get("LoggingConfiguration", {})
        target = stack.owner(given.get("DestinationBucketName"), "S3::Bucket")
        if not target:
            continue
        if key_property("S3::Bucket", stack.properties(target)):
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
        if not allowed(stack.guarding(target), put):
            yield target, f"does not admit the access log of {source}"


@rule(
    "Let the bucket depend on the queue's policy (DependsOn).",
    source=f"{S3}/grant-destinations-permissions-to-s3.html",
    keeps="T3, trap 1",
)
def bucket_waits_for_queue_policy(stack: Stack) -> Problems:
    """S3 tries the queue when the notification is set, and fails "Unable to validate …"."""
    for bucket, queue in dict.fromkeys((b, q) for b, _, q in stack.notifications() if q):
        for policy in stack.guards(queue):
            if policy not in stack.waits_for(bucket):
                yield bucket, f"does not wait for {policy}"


@rule(
    "Keep one of the two, or make their prefixes or suffixes differ.",
    source=FILTERING,
    keeps="T2, trap 12",
)
def filters_do_not_overlap(stack: Stack) -> Problems:
    """S3 refuses two configurations that one object could match for the same event."""
    for bucket, announced in _announced(stack):
        for (event, prefix, suffix, _), (event2, prefix2, suffix2, _) in combinations(announced, 2):
            same = _covers(event, event2) or _covers(event2, event)
            inside = prefix.startswith(prefix2) or prefix2.startswith(prefix)
            if same and inside and (suffix.endswith(suffix2) or suffix2.endswith(suffix)):
                yield bucket, f"announces {prefix2}*{suffix2} twice: also as {prefix}*{suffix}"


def _covers(event: str, other: str) -> bool:
    return event == other or (event.endswith("*") and other.startswith(event[:-1]))


@rule(
    "Add the same configuration with the suffix in the other case.",
    source=FILTERING,
    keeps="T2, trap 11",
)
def suffix_has_its_twin(stack: Stack) -> Problems:
    """Suffixes are case-sensitive: cameras write .JPG, and nothing happens."""
    for bucket, announced in _announced(stack):
        known = {(event, prefix, suffix) for event, prefix, suffix, _ in announced}
        for event, prefix, suffix in sorted(known):
            for twin in {suffix.lower(), suffix.upper()} - {suffix}:
                if (event, prefix, twin) not in known:
                    yield bucket, f"announces {prefix}*{suffix} and not {prefix}*{twin}"


@rule(
    "Give each notification a prefix, such as uploads/.",
    source=FILTERING,
    keeps="T2",
)
def notification_names_a_folder(stack: Stack) -> Problems:
    """Without a prefix everything in the bucket is announced, other tools' objects included."""
    for bucket, announced in _announced(stack):
        for event, prefix, suffix, _ in announced:
            if not prefix:
                yield bucket, f"announces {event} of *{suffix} with no prefix"


# How long each kind must outlive the stack: data and what decrypts it always, others as stated.
KEPT = ("S3::Bucket", "KMS::Key", "DynamoDB::Table")
STATED = ("SQS::Queue", "Logs::LogGroup")


@rule(
    "State DeletionPolicy and UpdateReplacePolicy: Retain (RetainExceptOnCreate) for buckets, keys"
    " and tables.",
    source=(
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
        "aws-attribute-deletionpolicy.html"
    ),
    keeps="trap 28, trap 29, trap 30",
)
def state_outlives_the_stack(stack: Stack) -> Problems:
    """By default deletion and replacement take the data along, or fail on what is not empty."""
    for title, resource in stack.existing():
        kind = stack.kind(title)
        for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
            value = str(stack.resolve(resource.get(attribute, "")))
            if kind in KEPT and not value.startswith(("Retain", "Snapshot")):
                yield title, f"has the {attribute} {value or 'Delete, by default'}"
            elif kind in STATED and not value:
                yield title, f"does not state its {attribute}"
