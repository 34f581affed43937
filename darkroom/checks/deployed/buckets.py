"""Checks of the deployed stack's key and buckets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from darkroom.checks.deployed.comparison import (
    Difference,
    Target,
    configured,
    differ,
    differ_policies,
    judge,
)
from darkroom.checks.framework import Finding

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# Where S3 sends notifications: a property of the template, and with `Arn` of the API.
_DESTINATIONS = ("Queue", "Topic")


def check_key(target: Target) -> Iterator[Finding]:
    """Pitfall 30: the key that encrypts everything is enabled and rotates."""
    kms = target.stack.client("kms")
    for title, name, properties in target.resources("KMS::Key"):
        state = kms.describe_key(KeyId=name)["KeyMetadata"].get("KeyState")
        rotates = kms.get_key_rotation_status(KeyId=name)["KeyRotationEnabled"]
        policy = kms.get_key_policy(KeyId=name, PolicyName="default")["Policy"]
        differences = [
            *differ("state", "Enabled", state),
            *differ("rotation", properties["EnableKeyRotation"], rotates),
            *differ_policies(properties["KeyPolicy"], policy),
        ]
        yield from judge(
            target,
            "key",
            (title, name),
            differences,
            "aws kms cancel-key-deletion, enable-key, enable-key-rotation, put-key-policy",
        )


def check_buckets(target: Target) -> Iterator[Finding]:
    """Buckets are private, encrypted and versioned, send notifications and expire old versions."""
    s3 = target.stack.client("s3")
    policies = {
        properties["Bucket"]: properties["PolicyDocument"]
        for _, _, properties in target.resources("S3::BucketPolicy")
    }
    for title, name, properties in target.resources("S3::Bucket"):
        differences = list(_differences(s3, name, properties, policies.get(name)))
        yield from judge(target, "buckets", (title, name), differences)


def _differences(
    s3: "S3Client", name: str, expected: Mapping[str, Any], policy: object
) -> Iterator[Difference]:
    access = configured(
        lambda: s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    )
    for option, value in expected["PublicAccessBlockConfiguration"].items():
        yield from differ(option, value, dict(access or {}).get(option))
    ownership = configured(
        lambda: s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    )
    yield from differ(
        "object ownership",
        {rule["ObjectOwnership"] for rule in expected["OwnershipControls"]["Rules"]},
        {rule["ObjectOwnership"] for rule in ownership or []},
    )
    status = s3.get_bucket_versioning(Bucket=name).get("Status")
    yield from differ("versioning", expected["VersioningConfiguration"]["Status"], status)
    encryption = configured(
        lambda: s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    )
    yield from differ(
        "encryption",
        _encryption(expected["BucketEncryption"]["ServerSideEncryptionConfiguration"]),
        _encryption(encryption or []),
    )
    yield from _notifications(s3, name, expected.get("NotificationConfiguration", {}))
    rules = configured(lambda: s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"])
    yield from differ(
        "lifecycle",
        lifecycle_rules(expected.get("LifecycleConfiguration", {}).get("Rules", [])),
        lifecycle_rules(rules or []),
    )
    yield from differ_policies(
        policy, configured(lambda: s3.get_bucket_policy(Bucket=name)["Policy"])
    )


def _encryption(rules: Sequence[Mapping[str, Any]]) -> set[str]:
    # The template's ServerSideEncryptionByDefault is ApplyServerSideEncryptionByDefault in the API.
    return {
        f"{default.get('SSEAlgorithm')} with {default.get('KMSMasterKeyID', 'no key')}"
        + (" and a bucket key" if rule.get("BucketKeyEnabled") else "")
        for rule in rules
        for default in [
            rule.get("ServerSideEncryptionByDefault")
            or rule.get("ApplyServerSideEncryptionByDefault", {})
        ]
    }


def _notifications(s3: "S3Client", name: str, expected: Mapping[str, Any]) -> Iterable[Difference]:
    actual: Mapping[str, Any] = s3.get_bucket_notification_configuration(Bucket=name)
    eventbridge = "EventBridgeConfiguration"
    yield from differ("EventBridge", eventbridge in expected, eventbridge in actual)
    yield from differ(
        "notifications",
        {
            _notification(
                entry[kind],
                [entry["Event"]],
                entry.get("Filter", {}).get("S3Key", {}).get("Rules", []),
            )
            for kind in _DESTINATIONS
            for entry in expected.get(f"{kind}Configurations", [])
        },
        {
            _notification(
                entry[f"{kind}Arn"],
                entry["Events"],
                entry.get("Filter", {}).get("Key", {}).get("FilterRules", []),
            )
            for kind in _DESTINATIONS
            for entry in actual.get(f"{kind}Configurations", [])
        },
    )


def _notification(target: str, events: Sequence[str], rules: Sequence[Mapping[str, Any]]) -> str:
    filters = sorted(f"{rule['Name'].lower()}={rule['Value']}" for rule in rules)
    return " ".join([*sorted(events), *filters, "to", target])


def lifecycle_rules(rules: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the rules as text; template and API name days and prefixes differently."""
    return {
        " ".join(
            [
                str(rule.get("Id", rule.get("ID"))),
                rule["Status"],
                f"noncurrent={rule.get('NoncurrentVersionExpiration', {}).get('NoncurrentDays')}",
                f"days={rule.get('ExpirationInDays', rule.get('Expiration', {}).get('Days'))}",
                f"prefix={rule.get('Prefix') or rule.get('Filter', {}).get('Prefix', '')}",
                *(
                    f"{one['StorageClass']}={one.get('TransitionInDays', one.get('Days'))}"
                    for one in rule.get("Transitions", [])
                ),
            ]
        )
        for rule in rules
    }
