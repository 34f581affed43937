"""Facts about the Regions that CloudFormation cannot look up."""

# The S3 prefix lists that two independent public sources agree on (pitfall 25). Elsewhere the
# operator sets the id, which `aws ec2 describe-managed-prefix-lists` prints. Sources: mappings in
# published templates, on GitHub the CDK constants S3_ENDPOINT_PREFIX_LIST_IDS and the Troposphere
# mapping AWSRegions2S3PrefixListID.
S3_PREFIX_LISTS = {
    "ap-northeast-1": "pl-61a54008",
    "ap-northeast-2": "pl-78a54011",
    "ap-northeast-3": "pl-a4a540cd",
    "ap-south-1": "pl-78a54011",
    "ap-southeast-1": "pl-6fa54006",
    "ap-southeast-2": "pl-6ca54005",
    "ca-central-1": "pl-7da54014",
    "eu-central-1": "pl-6ea54007",
    "eu-north-1": "pl-c3aa4faa",
    "eu-west-1": "pl-6da54004",
    "eu-west-2": "pl-7ca54015",
    "eu-west-3": "pl-23ad484a",
    "sa-east-1": "pl-6aa54003",
    "us-east-1": "pl-63a5400a",
    "us-east-2": "pl-7ba54012",
    "us-west-1": "pl-6ba54002",
    "us-west-2": "pl-68a54001",
}

# The other Regions of the supported partitions. They are in the mapping as well, because
# CloudFormation may resolve both branches of an Fn::If.
OTHER_REGIONS = (
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "us-gov-east-1",
    "us-gov-west-1",
)

# In China CloudFront has no origin access control; GovCloud has no CloudFront.
# https://docs.amazonaws.cn/en_us/aws/latest/userguide/cloudfront.html
REGIONS_WITHOUT_CLOUDFRONT = ("cn-north-1", "cn-northwest-1", "us-gov-east-1", "us-gov-west-1")
UNKNOWN_PREFIX_LIST = "-"

# Lambda stops recursive loops in the partition `aws` but for these, and only there has the API that
# sets `RecursiveLoop`; GovCloud and China have neither (pitfall 67).
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html#invocation-recursion-regions
# https://github.com/aws/aws-lambda-roadmap/issues/18
REGIONS_WITHOUT_RECURSION_API = ("ap-southeast-6", "mx-central-1")

# The services whose interface endpoints in China have names that begin with `cn.` (pitfall 68), as
# `aws ec2 describe-vpc-endpoint-services` lists them in either Region; each is in no other form in
# the other. Source: the AWS CDK, aws-ec2/lib/vpc-endpoint.ts, VPC_ENDPOINT_SERVICE_EXCEPTIONS.
CHINA_PREFIX_SERVICES = frozenset(
    {
        *("account", "application-autoscaling", "appmesh-envoy-management", "athena"),
        *("autoscaling", "awsconnector", "backup", "batch", "cassandra", "cloudcontrolapi"),
        *("cloudformation", "codedeploy-commands-secure", "databrew", "dms", "ebs", "ec2"),
        *("ecr.api", "ecr.dkr", "eks", "elasticache", "elasticbeanstalk", "elasticfilesystem"),
        *("elasticfilesystem-fips", "emr-containers", "execute-api", "fsx", "imagebuilder"),
        *("iot.data", "iotsitewise.api", "iotsitewise.data", "kinesis-streams", "lambda"),
        *("license-manager", "monitoring", "polly", "rds", "redshift", "redshift-data", "s3"),
        *("sagemaker.api", "sagemaker.featurestore-runtime", "sagemaker.runtime"),
        *("securityhub", "servicecatalog", "sms", "sqs", "states", "sts", "sync-states"),
        *("synthetics", "transcribe", "transcribestreaming", "transfer", "workspaces", "xray"),
    }
)
CHINA_SUFFIX_SERVICES = frozenset({"transcribe"})
"""Their names end in `.cn` as well."""

PREFIX_LIST_MAPPING = "S3PrefixLists"


def interface_endpoint_service(service: str, region: str, *, is_china: bool) -> str:
    """Return the name of a service's interface endpoints, for `create-vpc-endpoint`.

    Args:
        service: The last part of its name in most Regions, e.g. `sqs` or `ecr.api`.
        region: The Region, or what CloudFormation replaces by it.
        is_china: Whether the Region is one of China's.
    """
    prefix = "cn." if is_china and service in CHINA_PREFIX_SERVICES else ""
    suffix = ".cn" if is_china and service in CHINA_SUFFIX_SERVICES else ""
    return f"{prefix}com.amazonaws.{region}.{service}{suffix}"
