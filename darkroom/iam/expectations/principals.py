"""People at the buckets, the queues and the key: whom these let in, and whom they do not."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    THUMBNAIL_GUARD,
    Expectation,
    past_a_bucket,
    past_the_key,
)
from darkroom.iam.expectations.requests import (
    ELSEWHERE,
    KEY,
    SSE,
    THUMBNAILS,
    by,
    of_service,
    of_stranger,
    of_user,
    of_worker,
)
from darkroom.iam.model import ACCOUNT, StackModel

# What an administrator and the services acting for one need of the key, and why.
ADMINISTRATION = {
    "kms:CancelKeyDeletion": "undo a deletion",
    "kms:CreateAlias": "create the stack",
    "kms:CreateGrant": "Lambda decrypts the environment through a grant",
    "kms:Decrypt": "read what is stored",
    "kms:DeleteAlias": "delete the stack",
    "kms:DescribeKey": "create the stack, and look",
    "kms:DisableKey": "stop all use at once",
    "kms:DisableKeyRotation": "update the stack",
    "kms:EnableKey": "undo that",
    "kms:EnableKeyRotation": "create the stack",
    "kms:Encrypt": "create the function: Lambda encrypts the environment",
    "kms:GenerateDataKey": "upload pictures",
    "kms:GetKeyPolicy": "look, and find drift",
    "kms:GetKeyRotationStatus": "look, and find drift",
    "kms:ListGrants": "look",
    "kms:ListKeyPolicies": "look",
    "kms:ListKeyRotations": "look",
    "kms:ListResourceTags": "update the stack",
    "kms:PutKeyPolicy": "update the stack; without it nobody could ever",
    "kms:ReEncryptFrom": "move data to another key",
    "kms:ReEncryptTo": "move data to another key",
    "kms:RevokeGrant": "delete the function",
    "kms:RotateKeyOnDemand": "after an incident",
    "kms:ScheduleKeyDeletion": "delete the data for good",
    "kms:TagResource": "create the stack",
    "kms:UntagResource": "update the stack",
    "kms:UpdateAlias": "update the stack",
    "kms:UpdateKeyDescription": "update the stack",
}


def required(stack: StackModel) -> Iterator[Expectation]:
    """Yield what people do, and services for them, that no policy may keep them from."""
    for action, why in ADMINISTRATION.items():
        yield Expectation(why, of_user(action, KEY), (KEY_POLICY,))
    named = {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY}
    for source in stack.own:
        upload = f"{source.bucket}/{source.prefixes[0]}a.jpg"
        yield Expectation("upload", of_user("s3:PutObject", upload), source.guards)
        for action, resource in (
            ("s3:PutBucketPolicy", source.bucket),
            ("s3:GetObject", upload),
            ("s3:DeleteObject", upload),
            ("s3:ListBucket", source.bucket),
        ):
            afar = of_user(action, resource, **{"aws:SourceIp": ELSEWHERE})
            yield Expectation("a deployer is not locked out", afar, source.guards)
        via = {"aws:SourceIp": ELSEWHERE, "aws:ViaAWSService": "true"}
        copied = of_user("s3:PutObject", upload, **via)
        why = "a service that acts for somebody is not locked out"
        yield Expectation(why, copied, source.guards)
        put = of_user("s3:PutObject", upload, **named)
        yield Expectation("upload, naming the key", put, source.guards)
    other_role = f"arn:aws:iam::{ACCOUNT}:role/other"
    for guard, arn in _guarded_buckets(stack):
        other = by(other_role, "s3:GetObject", f"{arn}/any")
        yield Expectation("the worker's network is no other role's", other, (guard,))
    fetch = of_user("s3:GetObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400")
    yield Expectation("fetch a thumbnail", fetch, (THUMBNAIL_GUARD,))
    restore = of_user("s3:PutObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400")
    yield Expectation("restore a thumbnail, naming no key", restore, (THUMBNAIL_GUARD,))
    for guard, queue in _guarded_queues(stack):
        yield Expectation("look at a queue", of_user("sqs:ReceiveMessage", queue), (guard,))
    # A service acts with no account of its own: the refusal of strangers must not hit it (trap 7).
    for guard, bucket in _guarded_buckets(stack):
        for action in ("s3:GetObject", "s3:PutObject"):
            request = of_service("logging.s3.amazonaws.com", action, f"{bucket}/any")
            yield Expectation("a service is not locked out", request, (guard,))


def forbidden(stack: StackModel) -> Iterator[Expectation]:
    """Yield what the buckets' and queues' policies and the key keep anybody from."""
    for guard, arn in _guarded_buckets(stack):
        yield from past_a_bucket(guard, arn)
        yield from past_the_key(guard, arn)
        for elsewhere in ({}, {"aws:SourceVpce": f"{stack.endpoint}-of-others"}):
            for action, resource in (
                ("s3:PutObject", f"{arn}/any"),
                ("s3:GetObject", f"{arn}/any"),
                ("s3:ListBucket", arn),
            ):
                stolen = of_worker(action, resource, **elsewhere)
                yield Expectation("the worker's role outside its network", stolen, (guard,))
    for source in stack.own:
        unnamed = of_user("s3:PutObject", f"{source.bucket}/any", **{SSE: "aws:kms"})
        yield Expectation("AWS's own key", unnamed, source.guards)
    for source in stack.own:
        for ip in (ELSEWHERE, "2001:db8::9"):
            key = f"{source.bucket}/{source.prefixes[0]}a.jpg"
            upload = of_user("s3:PutObject", key, **{"aws:SourceIp": ip})
            yield Expectation("an upload from elsewhere", upload, source.guards)
    for guard, arn in _guarded_queues(stack):
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage"):
            yield Expectation(
                "plain HTTP", of_user(action, arn, **{"aws:SecureTransport": "false"}), (guard,)
            )
    for action in (*ADMINISTRATION, "kms:DeleteImportedKeyMaterial"):
        yield Expectation("a stranger", of_stranger(action, KEY), (KEY_POLICY,))
    yield Expectation(
        "nobody needs it", of_user("kms:DeleteImportedKeyMaterial", KEY), (KEY_POLICY,)
    )


def _guarded_buckets(stack: StackModel) -> tuple[tuple[PolicyCheck, str], ...]:
    own = ((source.guards[0], source.bucket) for source in stack.own)
    return (*own, (THUMBNAIL_GUARD, THUMBNAILS))


def _guarded_queues(stack: StackModel) -> Iterator[tuple[PolicyCheck, str]]:
    for queue in stack.queues:
        yield PolicyCheck(queue.work_policy, "guard"), queue.work
        yield PolicyCheck(queue.dead_letter_policy, "guard"), queue.dead_letters
