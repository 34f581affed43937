"""Rules about KMS keys: what is encrypted, and which services may use the key."""

from collections.abc import Iterator

from darkroom.cloudformation.model import TemplateModel, kms_key_setting
from darkroom.cloudformation.policy_documents import Statement, condition_keys
from darkroom.iam.evaluator import Request, allowed, like
from darkroom.lint.access import not_allowed
from darkroom.lint.rule import Problems, rule
from darkroom.lint.rules.event_sources import deliveries

KMS = "https://docs.aws.amazon.com/kms/latest/developerguide"
SQS_KEY = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
    "sqs-key-management.html"
)
LOGS_KEY = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"
AT_REST = (
    "S3::Bucket",
    "SQS::Queue",
    "SNS::Topic",
    "Logs::LogGroup",
    "Lambda::Function",
    "KinesisFirehose::DeliveryStream",
)
# What CloudWatch Logs does with a log group's key; its documentation lists each, with a `*`, and
# DescribeKey, which its condition does not allow (pitfall 60).
LOG_ACTIONS = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
)
# The actions whose requests may have an encryption context.
# https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
WITH_CONTEXT = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
)
# Condition keys that limit who gets a grant, or for what.
GRANT_KEYS = {
    "kms:grantconstrainttype",
    "kms:granteeprincipal",
    "kms:grantisforawsresource",
    "kms:grantoperations",
    "kms:viaservice",
}


@rule(
    "DR-KMS-002",
    "warning",
    remediation=(
        "Set the resource's key (KmsMasterKeyId, KmsKeyId, KMSMasterKeyID, KmsKeyArn) to a"
        " customer managed key."
    ),
    source=SQS_KEY,
    requirements=("S1", "S4"),
    pitfalls=(3,),
)
def kms_cmk_encryption(model: TemplateModel) -> Problems:
    """Data at rest is encrypted with a customer managed key.

    AWS managed keys cannot be used by S3 to send to a queue, cannot be revoked, and have a
    key policy that you cannot change.
    """
    for title, resource in model.active_resources():
        kind = model.type_of(title)
        properties = model.properties(title)
        if kind not in AT_REST:
            continue
        if kind == "Lambda::Function" and not properties.get("Environment", {}).get("Variables"):
            continue
        if kind == "KinesisFirehose::DeliveryStream" and "KinesisStreamSourceConfiguration" in (
            resource.get("Properties", {})
        ):
            continue  # its source stream is encrypted
        if title in model.access_log_buckets():
            continue  # S3 delivers access logs to buckets under SSE-S3 only
        value = kms_key_setting(kind, properties)
        if not value:
            yield title, "is not encrypted with a customer managed key"
        elif str(value).startswith("alias/aws/") or value == "AWS_OWNED_CMK":
            yield title, f"is encrypted with {value}, which AWS manages"


@rule(
    "DR-KMS-003",
    "warning",
    remediation="Set EnableKeyRotation to true.",
    source=f"{KMS}/rotate-keys.html",
    requirements=("S4",),
    pitfalls=(30,),
)
def kms_key_rotation(model: TemplateModel) -> Problems:
    """A symmetric key rotates.

    A key that never changes protects more and more data with the same material.
    """
    for title, properties in model.resources_of_type("KMS::Key").items():
        symmetric = str(properties.get("KeySpec", "SYMMETRIC_DEFAULT")) == "SYMMETRIC_DEFAULT"
        if symmetric and str(properties.get("EnableKeyRotation")).lower() != "true":
            yield title, "does not rotate"


@rule(
    "DR-KMS-004",
    "info",
    remediation="Add an AWS::KMS::Alias for the key.",
    source=f"{KMS}/kms-alias.html",
    pitfalls=(30,),
)
def kms_key_alias(model: TemplateModel) -> Problems:
    """A key has an alias.

    Nobody recognises a key by its id, and so keys in use are scheduled for deletion.
    """
    known = {
        model.logical_id(one.get("TargetKeyId"), "KMS::Key")
        for one in model.resources_of_type("KMS::Alias").values()
    }
    for title in model.resources_of_type("KMS::Key"):
        if title not in known:
            yield title, "has no alias"


@rule(
    "DR-KMS-005",
    "error",
    remediation=(
        "Allow the account's root kms:PutKeyPolicy, Decrypt and the rest of administration."
    ),
    source=f"{KMS}/key-policy-default.html",
    pitfalls=(30,),
)
def kms_key_root_access(model: TemplateModel) -> Problems:
    """The account's root may administer a key.

    Without the root statement, a lost role makes the data unreadable forever.
    """
    for title in model.resources_of_type("KMS::Key"):
        root = f"arn:{model.pseudo('Partition')}:iam::{model.account}:root"
        actions = ("kms:PutKeyPolicy", "kms:Decrypt", "kms:ScheduleKeyDeletion")
        if missing := not_allowed(model.statements(title), actions, principal=root):
            yield title, f"does not allow the account's root {missing}"


def _producers(model: TemplateModel) -> Iterator[tuple[str, str, str, str]]:
    """Yield service, the ARN it acts for, what it writes to, and that resource's key."""
    found = [
        ("s3.amazonaws.com", model.arn(bucket), to)
        for bucket, _, to in [*model.queue_notifications(), *model.topic_notifications()]
    ]
    found += [(one.service, one.source, one.queue) for one in deliveries(model)]
    for title, one in model.resources_of_type("Events::Rule").items():
        for target in one.get("Targets", []):
            to = model.logical_id(target.get("Arn"), "SNS::Topic")
            found.append(("events.amazonaws.com", model.arn(title), to))
    for title, one in model.resources_of_type("CloudWatch::Alarm").items():
        for action in [*one.get("AlarmActions", []), *one.get("OKActions", [])]:
            to = model.logical_id(action, "SNS::Topic")
            found.append(("cloudwatch.amazonaws.com", model.arn(title), to))
    for service, source, to in dict.fromkeys(found):
        if to and (key := model.kms_key_of(to)):
            yield service, source, to, key


@rule(
    "DR-KMS-006",
    "error",
    remediation="Allow the service kms:GenerateDataKey and kms:Decrypt in the key's policy.",
    source=SQS_KEY,
    requirements=("S4",),
    pitfalls=(3, 4, 47),
)
def kms_producer_access(model: TemplateModel) -> Problems:
    """A service that sends to an encrypted queue or topic may use its key.

    A service drops what it cannot encrypt: uploads, events and alarms disappear without an
    error.
    """
    found = set()
    for service, source, to, key in _producers(model):
        # EventBridge sends no source when it uses a key (pitfall 47).
        context = (
            {}
            if service == "events.amazonaws.com"
            else {"aws:SourceArn": source, "aws:SourceAccount": model.account}
        )
        if model.type_of(to) == "SQS::Queue":  # SQS adds this for every sender, and SNS its own
            context["kms:EncryptionContext:aws:sqs:arn"] = model.arn(to)
        else:
            context["kms:EncryptionContext:aws:sns:topicArn"] = model.arn(to)
        actions = ("kms:GenerateDataKey", "kms:Decrypt")
        missing = not_allowed(model.statements(key), actions, principal=service, **context)
        if missing and (key, service, missing) not in found:
            found.add((key, service, missing))
            yield key, f"does not allow {service} {missing}, and it sends to {to}"


@rule(
    "DR-KMS-007",
    "error",
    remediation=(
        "Allow logs.<region>.<URL suffix> to use the key, with the condition ArnLike"
        " kms:EncryptionContext:aws:logs:arn the group's ARN."
    ),
    source=LOGS_KEY,
    requirements=("O1", "S4"),
    pitfalls=(5,),
)
def kms_logs_access(model: TemplateModel) -> Problems:
    """CloudWatch Logs may use the key of a log group.

    A log group whose key CloudWatch Logs may not use cannot be created.
    """
    service = f"logs.{model.pseudo('Region')}.{model.pseudo('URLSuffix')}"
    for title in model.resources_of_type("Logs::LogGroup"):
        if not (key := model.kms_key_of(title)):
            continue
        group = model.arn(title).removesuffix(":*")
        context = {"kms:EncryptionContext:aws:logs:arn": group}
        if missing := not_allowed(model.statements(key), LOG_ACTIONS, principal=service, **context):
            yield key, f"does not allow {service} {missing} for {title}"


@rule(
    "DR-KMS-008",
    "error",
    remediation=(
        "Allow cloudfront.amazonaws.com kms:Decrypt in the key's policy with ArnLike"
        " aws:SourceArn arn:<partition>:cloudfront::<account>:distribution/*, not with the"
        " distribution's own id."
    ),
    source="https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/"
    "private-content-restricting-access-to-s3.html",
    requirements=("P4", "S4"),
    pitfalls=(40,),
)
def kms_cloudfront_access(model: TemplateModel) -> Problems:
    """A distribution may use the key of its origin bucket, without a circular dependency.

    CloudFront answers 403 for objects that it cannot decrypt; a key that depends on the
    distribution cannot be created.
    """
    for title, properties in model.resources_of_type("CloudFront::Distribution").items():
        source = (
            f"arn:{model.pseudo('Partition')}:cloudfront::{model.account}:distribution/<{title}>"
        )
        request = Request(
            action="kms:Decrypt",
            principal="cloudfront.amazonaws.com",
            context={"aws:SourceArn": source},
        )
        for origin in properties.get("DistributionConfig", {}).get("Origins", []):
            bucket = str(origin.get("DomainName")).strip("<>").partition(".")[0]
            key = model.kms_key_of(bucket) if bucket in model.resources else ""
            if not key or not origin.get("OriginAccessControlId"):
                continue
            if not allowed(model.statements(key), request):
                yield key, f"does not let {title} read the objects of {bucket}"
            if title in model.dependencies(key):
                yield key, f"depends on {title}, which depends on the key"


@rule(
    "DR-KMS-010",
    "warning",
    remediation=(
        "Allow kms:CreateGrant in a statement of its own with the condition Bool"
        " kms:GrantIsForAWSResource true."
    ),
    source=f"{KMS}/conditions-kms.html#conditions-kms-grant-is-for-aws-resource",
    requirements=("S5",),
)
def kms_create_grant(model: TemplateModel) -> Problems:
    """Grants of a key can be created for AWS services only.

    A grant gives any principal, also of another account, the use of the key, and no policy shows
    it.
    """
    for title, one in model.all_statements():
        granted = [
            str(action)
            for action in one.get("Action", [])
            # `kms:*` is what iam-wildcard-action finds.
            if str(action) not in ("*", "kms:*")
            and like(str(action), "kms:CreateGrant", ignore_case=True)
        ]
        if one.get("Effect") == "Allow" and granted and not condition_keys(one) & GRANT_KEYS:
            yield title, f"allows {granted[0]} for any principal in {_name(one)}"


@rule(
    "DR-KMS-011",
    "warning",
    remediation=(
        "Allow the action in a statement without a condition on the encryption context, or not at"
        " all."
    ),
    source=f"{KMS}/conditions-kms.html#conditions-kms-encryption-context",
    requirements=("S5",),
    pitfalls=(60,),
)
def kms_context_action(model: TemplateModel) -> Problems:
    """A condition on the encryption context is for actions that have one.

    DescribeKey and other actions without an encryption context are never allowed by such a
    statement, which looks as if they were.
    """
    for title, one in model.all_statements():
        if one.get("Effect") != "Allow" or not any(
            key.startswith("kms:encryptioncontext:") for key in condition_keys(one)
        ):
            continue
        for action in map(str, one.get("Action", [])):
            if action.startswith("kms:") and not any(
                like(action, known, ignore_case=True) for known in WITH_CONTEXT
            ):
                yield title, f"never allows {action}, which has no encryption context"


def _name(statement: Statement) -> str:
    return f"the statement {statement['Sid']!r}" if "Sid" in statement else "a statement"
