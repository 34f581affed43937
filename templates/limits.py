"""Quotas of AWS that the template must stay within, each with its source."""

from dataclasses import dataclass

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_DIRECT_TEMPLATE_BYTES = 51_200  # in a request; a larger template goes through a bucket
MAX_TEMPLATE_BYTES = 1_000_000
MAX_RESOURCES = 500
MAX_PARAMETERS = 200
MAX_OUTPUTS = 200

# All names and values of a function's environment.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_ENVIRONMENT_BYTES = 4096

# https://docs.aws.amazon.com/general/latest/gr/s3.html
MAX_BUCKET_NOTIFICATIONS = 100
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
MAX_BUCKET_NAME_CHARACTERS = 63
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_KEY_BYTES = 1024

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
MAX_EVENT_PATTERN_CHARACTERS = 2048
# Hexadecimal digits and hyphens, also of a multi-Region key (`mrk-`).
# https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-id
MAX_KEY_ID_CHARACTERS = 36
# https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
MAX_TOPIC_NAME_CHARACTERS = 256
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MAX_ROLE_NAME_CHARACTERS = 64


@dataclass(frozen=True, kw_only=True)
class PolicyLimit:
    """How large a policy may be; None where the service documents no limit.

    `conditions` and `principals` count in the whole policy, `actions` in each statement.
    """

    service: str
    characters: int
    statements: int | None = None
    conditions: int | None = None
    principals: int | None = None
    actions: int | None = None


# All inline policies of a role together, without white space.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
ROLE_POLICIES = PolicyLimit(service="IAM", characters=10_240)
# The default; 4,096 on request.
TRUST_POLICY = PolicyLimit(service="IAM", characters=2048)

POLICY_LIMITS = {
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    "AWS::IAM::ManagedPolicy": PolicyLimit(service="IAM", characters=6144),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
    "AWS::SQS::QueuePolicy": PolicyLimit(
        service="SQS", characters=8192, statements=20, conditions=10, principals=50, actions=7
    ),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-iam-policies.html
    "AWS::S3::BucketPolicy": PolicyLimit(service="S3", characters=20_480),
    # https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-limits-endpoints.html
    "AWS::EC2::VPCEndpoint": PolicyLimit(service="VPC", characters=20_480),
    # https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
    "AWS::SNS::TopicPolicy": PolicyLimit(
        service="SNS", characters=30_720, statements=100, principals=200
    ),
    # https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
    "AWS::KMS::Key": PolicyLimit(service="KMS", characters=32_768),
}
"""By the type of the resource that has the policy."""
