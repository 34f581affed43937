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
UNKNOWN_PREFIX_LIST = "unknown"

PREFIX_LIST_MAPPING = "S3PrefixLists"
