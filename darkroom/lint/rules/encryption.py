"""Rules about keys: what is encrypted with which, and which service may use it."""

from collections.abc import Iterator

from darkroom.cloudformation.model import TemplateModel, kms_key_setting
from darkroom.iam.evaluator import Request, allowed
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
# What a log group's key is used for: its documentation asks for each of these, with a star.
LOG_ACTIONS = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:DescribeKey",
)


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
def kms_cmk_encryption(stack: TemplateModel) -> Problems:
    """Data at rest is encrypted with a customer managed key.

    AWS's own keys cannot be shared with S3, revoked, audited by use, or kept from an account.
    """
    for title, resource in stack.active_resources():
        kind = stack.type_of(title)
        properties = stack.properties(title)
        if kind not in AT_REST:
            continue
        if kind == "Lambda::Function" and not properties.get("Environment", {}).get("Variables"):
            continue
        if kind == "KinesisFirehose::DeliveryStream" and "KinesisStreamSourceConfiguration" in (
            resource.get("Properties", {})
        ):
            continue  # the stream it reads encrypts
        if title in stack.access_log_buckets():
            continue  # S3 delivers access logs under its own key alone
        value = kms_key_setting(kind, properties)
        if not value:
            yield title, "is not encrypted with a customer managed key"
        elif str(value).startswith("alias/aws/") or value == "AWS_OWNED_CMK":
            yield title, f"is encrypted with {value}, which is AWS's and not yours"


@rule(
    "DR-KMS-003",
    "warning",
    remediation="Set EnableKeyRotation to true.",
    source=f"{KMS}/rotate-keys.html",
    requirements=("S4",),
    pitfalls=(30,),
)
def kms_key_rotation(stack: TemplateModel) -> Problems:
    """A symmetric key rotates.

    A key that never changes protects ever more data with the same secret.
    """
    for title, properties in stack.resources_of_type("KMS::Key").items():
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
def kms_key_alias(stack: TemplateModel) -> Problems:
    """A key has an alias.

    Nobody recognises a key by its id, and so keys in use get scheduled for deletion.
    """
    known = {
        stack.logical_id(one.get("TargetKeyId"), "KMS::Key")
        for one in stack.resources_of_type("KMS::Alias").values()
    }
    for title in stack.resources_of_type("KMS::Key"):
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
def kms_key_root_access(stack: TemplateModel) -> Problems:
    """The account's root may administer a key.

    Without the root statement a lost role makes the data unreadable for ever.
    """
    for title in stack.resources_of_type("KMS::Key"):
        root = f"arn:{stack.pseudo('Partition')}:iam::{stack.account}:root"
        for action in ("kms:PutKeyPolicy", "kms:Decrypt", "kms:ScheduleKeyDeletion"):
            if not allowed(stack.statements(title), Request(action=action, principal=root)):
                yield title, f"does not let the account {action}"


def _feeds(stack: TemplateModel) -> Iterator[tuple[str, str, str, str]]:
    """Yield service, the ARN it acts for, what it writes to, and that resource's key."""
    found = [
        ("s3.amazonaws.com", stack.arn(b), queue) for b, _, queue in stack.queue_notifications()
    ]
    found += [(one.service, one.source, one.queue) for one in deliveries(stack)]
    for title, one in stack.resources_of_type("Events::Rule").items():
        for target in one.get("Targets", []):
            to = stack.logical_id(target.get("Arn"), "SNS::Topic")
            found.append(("events.amazonaws.com", stack.arn(title), to))
    for title, one in stack.resources_of_type("CloudWatch::Alarm").items():
        for action in [*one.get("AlarmActions", []), *one.get("OKActions", [])]:
            to = stack.logical_id(action, "SNS::Topic")
            found.append(("cloudwatch.amazonaws.com", stack.arn(title), to))
    for service, source, to in dict.fromkeys(found):
        if to and (key := stack.kms_key_of(to)):
            yield service, source, to, key


@rule(
    "DR-KMS-006",
    "error",
    remediation="Allow the service kms:GenerateDataKey and kms:Decrypt in the key's policy.",
    source=SQS_KEY,
    requirements=("S4",),
    pitfalls=(3, 4, 47),
)
def kms_producer_access(stack: TemplateModel) -> Problems:
    """A service that sends to an encrypted queue or topic may use its key.

    What a service cannot encrypt it drops: uploads, events and alarms vanish in silence.
    """
    said = set()
    for service, source, to, key in _feeds(stack):
        # EventBridge names no source when it uses a key (trap 47).
        sent = (
            {}
            if service == "events.amazonaws.com"
            else {"aws:SourceArn": source, "aws:SourceAccount": stack.account}
        )
        if stack.type_of(to) == "SQS::Queue":  # what SQS itself adds, whoever it is that sends
            sent["kms:EncryptionContext:aws:sqs:arn"] = stack.arn(to)
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            request = Request(action=action, principal=service, context=sent)
            if not allowed(stack.statements(key), request) and (key, service, action) not in said:
                said.add((key, service, action))
                yield key, f"does not let {service} {action}, which sends to {to}"


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
def kms_logs_access(stack: TemplateModel) -> Problems:
    """CloudWatch Logs may use the key of a log group.

    A log group whose key CloudWatch Logs may not use cannot be created.
    """
    service = f"logs.{stack.pseudo('Region')}.{stack.pseudo('URLSuffix')}"
    for title in stack.resources_of_type("Logs::LogGroup"):
        if not (key := stack.kms_key_of(title)):
            continue
        group = stack.arn(title).removesuffix(":*")
        context = {"kms:EncryptionContext:aws:logs:arn": group}
        for action in LOG_ACTIONS:
            request = Request(action=action, principal=service, context=context)
            if not allowed(stack.statements(key), request):
                yield key, f"does not let {service} {action} for {title}"
                break


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
def kms_cloudfront_access(stack: TemplateModel) -> Problems:
    """A distribution may use the key of its origin bucket, without a circular dependency.

    CloudFront answers 403 for what it cannot decrypt; a key that waits for it is a circle.
    """
    for title, properties in stack.resources_of_type("CloudFront::Distribution").items():
        source = (
            f"arn:{stack.pseudo('Partition')}:cloudfront::{stack.account}:distribution/<{title}>"
        )
        request = Request(
            action="kms:Decrypt",
            principal="cloudfront.amazonaws.com",
            context={"aws:SourceArn": source},
        )
        for origin in properties.get("DistributionConfig", {}).get("Origins", []):
            bucket = str(origin.get("DomainName")).strip("<>").partition(".")[0]
            key = stack.kms_key_of(bucket) if bucket in stack.resources else ""
            if not key or not origin.get("OriginAccessControlId"):
                continue
            if not allowed(stack.statements(key), request):
                yield key, f"does not let {title} read what is in {bucket}"
            if title in stack.dependencies(key):
                yield key, f"waits for {title}, which waits for the key"
