"""What CloudFormation takes to create, read, update and delete the resources of one template."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darkroom.iam.roles.service_reference import (
    HANDLERS,
    handler_actions,
    is_for_all_resources,
    takes_arn,
)
from darkroom.iam.roles.stack_arns import LISTINGS, stack_arns

ALL_RESOURCES = "*"

NOT_GRANTED: Mapping[str, str] = {
    "iam:CreateServiceLinkedRole": "flow logs to S3 and to an own role take none",
    "iam:DeleteRolePermissionsBoundary": "a role would be free of its boundary",
    "logs:DeleteIndexPolicy": "account-wide",
    "logs:DeleteResourcePolicy": "account-wide",
    "logs:PutIndexPolicy": "account-wide",
    "logs:PutResourcePolicy": "account-wide",
}
"""Actions of the schemas that nobody gets, with the reason."""

ONLY_WITH: Mapping[str, str] = {
    "iam:AttachRolePolicy": "ManagedPolicyArns",
    "iam:DetachRolePolicy": "ManagedPolicyArns",
    "cloudfront:CreateConnectionGroup": "TenantConfig",
    "logs:PutBearerTokenAuthentication": "BearerTokenAuthenticationEnabled",
    "logs:PutDataProtectionPolicy": "DataProtectionPolicy",
    "logs:PutLogGroupDeletionProtection": "DeletionProtectionEnabled",
    "s3:CreateBucketMetadataTableConfiguration": "MetadataTableConfiguration",
    "s3:DeleteBucketMetadataTableConfiguration": "MetadataTableConfiguration",
    "s3:DeleteBucketWebsite": "WebsiteConfiguration",
    "s3:PutAccelerateConfiguration": "AccelerateConfiguration",
    "s3:PutAnalyticsConfiguration": "AnalyticsConfigurations",
    "s3:PutBucketAbac": "AbacStatus",
    "s3:PutBucketAcl": "AccessControl",
    "s3:PutBucketCORS": "CorsConfiguration",
    "s3:PutBucketWebsite": "WebsiteConfiguration",
    "s3:PutIntelligentTieringConfiguration": "IntelligentTieringConfigurations",
    "s3:PutInventoryConfiguration": "InventoryConfigurations",
    "s3:PutReplicationConfiguration": "ReplicationConfiguration",
    "s3:UpdateBucketMetadataAnnotationTableConfiguration": "MetadataConfiguration",
    "s3:UpdateBucketMetadataInventoryTableConfiguration": "MetadataConfiguration",
    "s3:UpdateBucketMetadataJournalTableConfiguration": "MetadataConfiguration",
    "sns:PutDataProtectionPolicy": "DataProtectionPolicy",
    "vpce:AllowMultiRegion": "ServiceRegion",
}
"""Actions that change one property, which this is: granted if a resource of the template has it.

A schema has the actions of all properties, and these open a bucket, copy it elsewhere, or reach
beyond what the template describes.
"""


@dataclass(frozen=True)
class Permission:
    """One action on one ARN, as `Fn::Sub` writes it, or on ALL_RESOURCES."""

    action: str
    arn: str

    @property
    def service(self) -> str:
        """The prefix of the action."""
        return self.action.partition(":")[0]


def resource_permissions(
    template: Mapping[str, Any], handlers: Sequence[str] = HANDLERS
) -> Mapping[str, frozenset[Permission]]:
    """Return what the handlers of each resource take, by logical id.

    An action applies to all ARNs of the template that it can apply to: a function's handlers read
    its role, a subscription's its topic.
    """
    arns = sorted({arn for owned in stack_arns(template).values() for arn in owned})
    services = {arn.removeprefix("arn:${AWS::Partition}:").partition(":")[0] for arn in arns}
    has = {
        property_name
        for resource in template["Resources"].values()
        for property_name in resource.get("Properties", {})
    }
    return {
        title: frozenset(
            _permissions(handler_actions(resource["Type"], handlers), arns, services, has)
        )
        for title, resource in template["Resources"].items()
    }


def _permissions(
    actions: Iterable[str], arns: list[str], services: set[str], properties: set[str]
) -> Iterator[Permission]:
    for action in actions:
        if action in NOT_GRANTED or ONLY_WITH.get(action, "") not in properties | {""}:
            continue
        if action in LISTINGS:
            yield Permission(action, LISTINGS[action])
        elif is_for_all_resources(action):
            # Others belong to properties that would need a resource outside the stack.
            if action.partition(":")[0] in services:
                yield Permission(action, ALL_RESOURCES)
        else:
            yield from (Permission(action, arn) for arn in arns if takes_arn(action, arn))


def by_service(
    permissions: frozenset[Permission],
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield service, actions and ARNs: what takes ARNs, and what takes none, apart.

    One statement may have all actions of a service on all its ARNs, because an action has no effect
    on an ARN that it cannot apply to.
    """
    grouped: dict[tuple[str, bool], list[Permission]] = defaultdict(list)
    for one in permissions:
        grouped[one.service, one.arn == ALL_RESOURCES].append(one)
    for (service, _), group in sorted(grouped.items()):
        yield service, sorted({one.action for one in group}), sorted({one.arn for one in group})
