"""What the commands themselves ask of AWS, by command."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from darkroom.iam.evaluator import like
from darkroom.iam.roles.permissions import ALL_RESOURCES, Permission
from darkroom.iam.roles.role_template import OWN_KEY, Grant
from darkroom.iam.roles.service_reference import is_for_all_resources, takes_arn
from darkroom.iam.roles.stack_arns import CODE_BUCKET, LISTINGS, STACK_NAME, stack_arns

_HERE = "${AWS::Region}:${AWS::AccountId}"
_STACK = f"arn:${{AWS::Partition}}:cloudformation:{_HERE}:stack/${{{STACK_NAME}}}/*"
_CODE = f"arn:${{AWS::Partition}}:s3:::${{{CODE_BUCKET}}}"
_TOPICS = f"arn:${{AWS::Partition}}:sns:{_HERE}:*"

ARCHIVE, THUMBNAILS, UPLOADS = "LogArchiveBucket", "ThumbnailBucket", "UploadBucket"
DEAD_LETTER_QUEUES, WORK_QUEUES = "DeadLetterQueue", "WorkQueue"
"""How the logical ids of buckets and queues end."""

ALL_BUCKETS = "Bucket"


USES_OF_KEYS = frozenset({"kms:Decrypt", "kms:GenerateDataKey"})
"""What a key must have the stack's tag for. Others only look at a key, or at whether there is one.
"""


@dataclass(frozen=True)
class Access:
    """Actions that one command, or a part of it, takes.

    Attributes:
        actions: On whatever of the stack they apply to; on `*` where IAM has no narrower resource.
        parts: Actions on some queues, or on the objects of some buckets, by how the logical ids of
            those end.
        code: Actions on the bucket of packages and templates, and on its objects.
        outside: ARNs outside the stack that the actions apply to as well.
    """

    actions: Sequence[str] = ()
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    code: Sequence[str] = ()
    outside: Sequence[str] = ()


STACK = Access(
    actions=(
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeStacks",
        "cloudformation:GetTemplate",
        "cloudformation:ListStackResources",
    )
)
"""What every command needs to find a stack's resources."""

PACKAGE = Access(code=("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject"))

PREFLIGHT = Access(
    actions=(
        "apigateway:GET",
        "cloudfront:ListDistributions",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetDashboard",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeManagedPrefixLists",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcAttribute",
        "ec2:DescribeVpcEndpointServices",
        "ec2:DescribeVpcEndpoints",
        "ec2:GetManagedPrefixListEntries",
        "events:DescribeRule",
        "firehose:DescribeDeliveryStream",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "lambda:GetAccountSettings",
        "lambda:GetFunctionConcurrency",
        "lambda:GetFunctionConfiguration",
        "logs:DescribeLogGroups",
        "s3:GetBucketNotification",
        "s3:GetBucketTagging",
        "s3:GetEncryptionConfiguration",
        "s3:ListBucket",
        "sns:GetTopicAttributes",
        "sqs:GetQueueUrl",
    ),
    outside=(_TOPICS,),
)

CHANGE_SETS = Access(
    actions=(
        "cloudformation:CancelUpdateStack",
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteChangeSet",
        "cloudformation:DeleteStack",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:GetStackPolicy",
        "cloudformation:ListChangeSets",
        "cloudformation:SetStackPolicy",
        "cloudformation:TagResource",
        "cloudformation:UpdateTerminationProtection",
    )
)

TRIAL = Access(
    actions=(
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "lambda:GetEventSourceMapping",
        "lambda:GetFunctionConfiguration",
        "lambda:InvokeFunction",
        "lambda:UpdateEventSourceMapping",
        "s3:ListBucketVersions",
    )
)
"""How `deploy` tries a new worker, besides CANARY."""

VERIFY = Access(
    actions=(
        "apigateway:GET",
        "cloudformation:DescribeStackDriftDetectionStatus",
        "cloudformation:DescribeStackResourceDrifts",
        "cloudformation:DetectStackDrift",
        "cloudtrail:LookupEvents",
        "cloudwatch:DescribeAlarms",
        "ec2:DescribeFlowLogs",
        "ec2:DescribeManagedPrefixLists",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcAttribute",
        "ec2:DescribeVpcEndpoints",
        "firehose:DescribeDeliveryStream",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "kms:GetKeyRotationStatus",
        "lambda:GetEventSourceMapping",
        "lambda:GetFunctionCodeSigningConfig",
        "lambda:GetFunctionConcurrency",
        "lambda:GetFunctionConfiguration",
        "lambda:GetFunctionRecursionConfig",
        "logs:DescribeLogGroups",
        "logs:DescribeSubscriptionFilters",
        "route53resolver:GetFirewallConfig",
        "route53resolver:GetFirewallRuleGroupAssociation",
        "route53resolver:ListFirewallDomains",
        "route53resolver:ListFirewallRules",
        "s3:GetBucketNotification",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:ListBucket",
        "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        "sqs:GetQueueAttributes",
    ),
    parts={ARCHIVE: ("s3:GetObject",)},
)

CANARY = Access(
    actions=("kms:Decrypt", "kms:GenerateDataKey"),
    parts={
        WORK_QUEUES: ("sqs:SendMessage",),
        UPLOADS: ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject"),
        THUMBNAILS: ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject"),
    },
)
"""The picture that `verify` puts, and takes away again."""

UNANNOUNCED = Access(actions=("s3:ListBucketVersions",))

DELETE = Access(
    actions=(
        "cloudformation:DeleteStack",
        "cloudformation:ListStacks",
        "ec2:DescribeNetworkInterfaces",
        "kms:DescribeKey",
        "lambda:GetEventSourceMapping",
        "lambda:UpdateEventSourceMapping",
        "s3:DeleteBucket",
        "s3:GetBucketTagging",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "sqs:GetQueueAttributes",
    ),
    parts={ALL_BUCKETS: ("s3:DeleteObject", "s3:DeleteObjectVersion")},
)

LOGS = Access(
    actions=("kms:Decrypt", "logs:FilterLogEvents", "s3:ListBucket"),
    parts={ARCHIVE: ("s3:GetObject",)},
)

DEAD_LETTERS = Access(
    actions=(
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "lambda:GetFunctionConfiguration",
        "logs:FilterLogEvents",
        "s3:ListBucket",
        "sqs:GetQueueAttributes",
    ),
    parts={
        DEAD_LETTER_QUEUES: (
            "sqs:CancelMessageMoveTask",
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:ListMessageMoveTasks",
            "sqs:ReceiveMessage",
            "sqs:StartMessageMoveTask",
        ),
        WORK_QUEUES: ("sqs:SendMessage",),
        UPLOADS: ("s3:GetObject", "s3:GetObjectVersion"),
    },
)
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html"""

BACKFILL = Access(
    actions=(
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "lambda:GetFunctionConfiguration",
        "s3:GetBucketVersioning",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "sqs:GetQueueAttributes",
    ),
    parts={
        THUMBNAILS: ("s3:DeleteObject", "s3:GetObject"),
        WORK_QUEUES: ("sqs:SendMessage",),
    },
)
"""`backfill` and `rejections`: they read records, send events, and delete what is tried again."""


def access_permissions(
    template: Mapping[str, Any], accesses: Sequence[Access]
) -> frozenset[Permission]:
    """Return what commands do themselves; nothing for what the template lacks, such as an API.

    Args:
        template: The pipeline's, as JSON has it.
        accesses: Of the commands.
    """
    found = frozenset(_permissions(template, accesses))
    return found - covered(found, by=found)


def covered(permissions: frozenset[Permission], *, by: frozenset[Permission]) -> Set[Permission]:
    """Return the permissions that are there already: in `by`, or within a wider ARN of it."""
    patterns: dict[str, list[str]] = defaultdict(list)
    for one in by:
        if one.arn != ALL_RESOURCES and one.arn.endswith(":*"):
            patterns[one.action].append(one.arn)
    return (permissions & by if permissions is not by else frozenset()) | {
        one
        for one in permissions
        if any(one.arn != wider and like(wider, one.arn) for wider in patterns[one.action])
    }


def _permissions(template: Mapping[str, Any], accesses: Sequence[Access]) -> Iterator[Permission]:
    own = {arn for arns in stack_arns(template).values() for arn in arns} | {_STACK}
    for access in accesses:
        for action in access.actions:
            if action in LISTINGS:
                yield Permission(action, LISTINGS[action])
            elif is_for_all_resources(action):
                yield Permission(action, ALL_RESOURCES)
            else:
                for arn in own | {*access.outside}:
                    if takes_arn(action, arn):
                        yield Permission(action, arn)
        for ending, actions in access.parts.items():
            for action, arn in product(actions, _parts(template, ending)):
                yield Permission(action, arn)
        for action in access.code:
            yield Permission(action, _CODE if takes_arn(action, _CODE) else f"{_CODE}/*")


def access_grants(permissions: Iterable[Permission]) -> Iterator[Grant]:
    """Yield statements for what commands do themselves: one for the actions on the same ARNs."""
    arns: dict[str, set[str]] = defaultdict(set)
    for permission in permissions:
        arns[permission.action].add(permission.arn)
    together: dict[tuple[str, tuple[str, ...], bool], list[str]] = defaultdict(list)
    for action, resources in sorted(arns.items()):
        key = action.partition(":")[0], tuple(sorted(resources)), action in USES_OF_KEYS
        together[key].append(action)
    numbers: Counter[str] = Counter()
    for (service, resource_arns, is_limited), actions in sorted(together.items()):
        numbers[service] += 1
        yield Grant(
            sid=f"Call{service.capitalize()}{numbers[service]}",
            actions=actions,
            resources=resource_arns,
            condition={"StringEquals": OWN_KEY} if is_limited else None,
        )


def _parts(template: Mapping[str, Any], ending: str) -> list[str]:
    """Return the ARNs of queues, or of the objects of buckets, whose logical ids end so."""
    found = []
    for title, arns in stack_arns(template).items():
        kind = template["Resources"][title]["Type"]
        if title.endswith(ending) and kind in {"AWS::S3::Bucket", "AWS::SQS::Queue"}:
            found += [f"{arn}/*" if kind == "AWS::S3::Bucket" else arn for arn in arns]
    return found
