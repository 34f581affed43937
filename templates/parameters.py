"""What an operator may set, what follows from it, the rules it must satisfy, its console groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from troposphere import (
    AWSHelperFn,
    Condition,
    Equals,
    FindInMap,
    If,
    Join,
    Not,
    NoValue,
    Or,
    Parameter,
    Ref,
    Template,
)
from troposphere.awslambda import ProvisionedPollerConfig, ScalingConfig

from templates import naming, specification
from templates.specification import Lane, Network, Source

# The S3 prefix lists that two independent public sources agree on (trap 25); CloudFormation cannot
# look them up. Elsewhere the operator gives the id; `aws ec2 describe-managed-prefix-lists` shows
# it. Sources: the mappings in AWS customers' published templates, e.g. on GitHub the CDK constants
# S3_ENDPOINT_PREFIX_LIST_IDS and the Troposphere mapping AWSRegions2S3PrefixListID.
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

# The other regions of the partitions this stack is for. They stand in the mapping as well, so that
# a given id is enough there: CloudFormation may look up both branches of an Fn::If.
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

# CloudFront has no origin access control in China's partition and is not in GovCloud's.
# https://docs.amazonaws.cn/en_us/aws/latest/userguide/cloudfront.html
WITHOUT_DELIVERY = ("cn-north-1", "cn-northwest-1", "us-gov-east-1", "us-gov-west-1")
UNKNOWN_PREFIX_LIST = "unknown"

PREFIX_LIST_MAPPING = "S3PrefixLists"

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653]

# A private range of RFC 1918, /16 to /24: a VPC's largest, and the smallest that holds four /26.
OCTET = r"(25[0-5]|(2[0-4]|1?\d)?\d)"
PRIVATE_CIDR = (
    rf"^(10\.{OCTET}|172\.(1[6-9]|2\d|3[01])|192\.168)\.{OCTET}\.{OCTET}/(1[6-9]|2[0-4])$"
)
YES_NO = {"AllowedValues": ["true", "false"]}


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """How much of one lane's work is done at once, and with what memory each."""

    memory_megabytes: Ref
    scaling: dict[str, Any]
    """What the event source mapping is told: a maximum, or pollers that stand ready."""

    reserved_concurrency: AWSHelperFn
    maximum: Ref
    """Of batches worked on at once, in multiples of `batches_each`."""

    batches_each: int


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A bucket that is not the stack's own, and what the stack is told of it."""

    bucket: Ref
    key_arn: Ref
    has_key: str
    """Condition: the bucket is under a customer managed key."""

    topic_arn: Ref | None
    """Of a topic that passes the bucket's notifications on."""


@dataclass(frozen=True, kw_only=True)
class OwnVpc:
    """What a VPC of the stack's own is told."""

    cidr: Ref
    zone_numbers: tuple[Ref, ...]


@dataclass(frozen=True, kw_only=True)
class ExistingVpc:
    """What the stack is told of a VPC that is there already."""

    vpc: Ref
    subnets: Ref
    cidr: Ref | None
    route_tables: Ref | None
    """Both for endpoints that the stack adds."""

    storage_endpoint: Ref | None
    endpoint_security_group: Ref | None
    """Both of endpoints that the VPC has."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What the distribution is told; None for what its structure leaves out."""

    price_class: Ref
    domain: Ref | None
    certificate: Ref | None
    web_acl: Ref | None


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """References to the parameters, and what is drawn from them."""

    code_bucket: Ref
    code_key: Ref
    runtime: Ref
    architecture: Ref
    code_signing: If
    capacity: Mapping[str, Capacity]
    """By lane."""

    foreign: Mapping[str, Foreign]
    """By source, for those whose bucket is not the stack's own."""

    network: OwnVpc | ExistingVpc
    delivery: Delivery | None
    s3_prefix_list: If
    noncurrent_days: Ref
    log_retention_days: Ref
    alarm_key: Ref
    archive_retention_days: Ref | None
    alarm_email: Ref
    ticket_email: If
    permissions_boundary: If
    tracing: Ref
    environment: Ref
    upload_ranges: Ref

    has_queue_endpoint: str
    """Condition: the network has a door to SQS, so that the worker can ask for back-off."""

    requires_endpoint: str
    """Condition: the buckets refuse the worker's role outside its network."""

    limits_uploads: str
    """Condition: uploads come from the given ranges only."""

    watches_uploads: str
    """Condition: uploads are counted, so that those that nobody announces are noticed."""

    has_alarm_key: str
    """Condition: the topics have a key of their own, which outlives a disabled one."""

    traces: str
    """Condition: Lambda sends a trace of some invocations to X-Ray."""

    has_alarm_email: str
    """Condition: what stops the work goes to somebody's mailbox."""

    has_ticket_email: str
    """Condition: what can wait a day goes to somebody's mailbox."""


def add_parameters(
    template: Template,
    *,
    structure: Network,
    lanes: Mapping[str, Lane],
    sources: Mapping[str, Source],
    delivery: specification.Delivery | None,
    keeps_logs: bool,
) -> Parameters:
    """Add parameters, conditions, rules and console groups for a network of this `structure`.

    `keeps_logs` says whether there are buckets that keep logs.
    """
    general = _Group(template, "General")
    code = _Group(template, "Function package (python -m ops package prints both)")
    capacity = _Group(template, "Capacity")
    existing = _Group(template, "Sources that are there already")
    place = _Group(template, "Network")
    published = _Group(template, "Delivery")
    keeping = _Group(template, "Retention and alarms")
    controls = _Group(template, "Account controls")

    general.add(
        naming.NAME_PREFIX,
        "Leads every name in the stack; another one for each stack in an account and region",
        Default="darkroom",
        AllowedPattern="^[a-z][a-z0-9-]*[a-z0-9]$",
        ConstraintDescription="lower-case letters, digits and hyphens, as in a bucket name",
        MaxLength=naming.NAME_PREFIX_LENGTH,
    )
    environment = general.add(
        "Environment",
        "Tag on every resource, for example dev or prod",
        Default="dev",
        AllowedPattern="^[A-Za-z0-9_.:/=+@-]{1,64}$",
    )
    code_bucket = code.add(
        "CodeBucket",
        "Bucket with the function package, in this region",
        AllowedPattern="^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    )
    code_key = code.add(
        "CodeKey",
        "Key of the function package; it names the content, so that new code is a new key",
        AllowedPattern=r"^.{1,1020}\.zip$",  # S3's keys end at 1,024
    )
    runtime = code.add(
        "Runtime",
        "Python the package was built for",
        Default="python3.13",
        AllowedValues=["python3.12", "python3.13", "python3.14"],
    )
    architecture = code.add(
        "Architecture",
        "Processor the package was built for",
        Default="arm64",
        AllowedValues=["arm64", "x86_64"],
    )
    signing = code.add(
        "CodeSigningConfigArn",
        "Code signing configuration the package must satisfy; empty for none",
        Default="",
        AllowedPattern=r"^$|^arn:[a-z-]+:lambda:.+:code-signing-config:csc-[a-z0-9]{17}$",
    )
    reserves = ""
    if not all(lane.provisioned_pollers for lane in lanes.values()):
        reserve = capacity.add(
            "ReserveConcurrency",
            "Reserve that many for the function; fails in accounts with a quota of 10 in all",
            Default="false",
            **YES_NO,
        )
        reserves = _true(template, "ReservesConcurrency", reserve)
    foreign = {
        name: _add_foreign(template, existing, name, source)
        for name, source in sources.items()
        if source.type != "bucket"
    }
    network = (
        _add_own_vpc(template, place, structure.zones)
        if structure.vpc == "own"
        else _add_existing_vpc(template, place, adds_endpoints=structure.endpoints == "own")
    )
    queue_endpoint = place.add(
        "QueueEndpoint",
        "Door to SQS for retry back-off (about 7 USD a month and zone); without it a failed"
        " message waits out its visibility timeout",
        Default="true",
        **YES_NO,
    )
    prefix_list = place.add(
        "S3PrefixListId",
        "Prefix list of S3 in this region; may stay empty in the regions the template knows",
        Default="",
        AllowedPattern="^$|^pl-[0-9a-f]+$",
    )
    noncurrent_days = keeping.add(
        "NoncurrentVersionDays",
        "Days until an overwritten or deleted version is gone",
        Type="Number",
        Default=30,
        MinValue=1,
        MaxValue=3650,
    )
    retention = keeping.add(
        "LogRetentionDays",
        "Days that logs are kept",
        Type="Number",
        Default=30,
        AllowedValues=RETENTION_DAYS,
    )
    archive_retention = None
    if keeps_logs:
        archive_retention = keeping.add(
            "ArchiveRetentionDays",
            "Days that logs are kept in S3, beyond their log groups",
            Type="Number",
            Default=365,
            MinValue=1,
            MaxValue=36500,
        )
    watch_uploads = keeping.add(
        "WatchUploads",
        "Count uploads (S3 request metrics, at most 5 USD a month) to notice lost events",
        Default="true",
        **YES_NO,
    )
    email, ticket_email = (
        keeping.add(
            name,
            description,
            Default="",
            AllowedPattern=r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$",
        )
        for name, description in (
            ("AlarmEmail", "Address that alarms go to, once it has confirmed; empty for none"),
            ("TicketEmail", "Address for what can wait a day; empty for AlarmEmail"),
        )
    )
    alarm_key = keeping.add(
        "AlarmKeyArn",
        "Another key for the alarm topics, so that they tell of a disabled one; empty for the"
        " stack's own",
        Default="",
        AllowedPattern=r"^$|^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/.+$",
    )
    tracing = keeping.add(
        "Tracing",
        "Active: Lambda sends traces of some invocations to X-Ray, for a charge",
        Default="PassThrough",
        AllowedValues=["PassThrough", "Active"],
    )
    regions = controls.add(
        "AllowedRegions",
        "Regions the stack may be deployed to, with commas; * for any",
        Type="CommaDelimitedList",
        Default="*",
    )
    require_endpoint = controls.add(
        "RequireEndpoint",
        "Refuse the worker's role outside of its network, so that stolen credentials are of no use",
        Default="true",
        **YES_NO,
    )
    upload_ranges = controls.add(
        "UploadRanges",
        "Public address ranges that uploads may come from, with commas; empty for any",
        Type="CommaDelimitedList",
        Default="",
    )
    boundary = controls.add(
        "PermissionsBoundaryArn",
        "Permissions boundary on every role; empty for none",
        Default="",
        AllowedPattern=r"^$|^arn:[a-z-]+:iam::(\d{12}|aws):policy/.+$",
    )

    template.add_rule(
        "RegionIsAllowed",
        _rule(
            "AllowedRegions does not name this region.",
            Or(_contains(regions, "*"), _contains(regions, Ref("AWS::Region"))),
        ),
    )
    template.add_rule(
        "S3PrefixListIsKnown",
        _rule(
            "The S3 prefix list of this region is not known: give S3PrefixListId"
            " (aws ec2 describe-managed-prefix-lists).",
            Or(
                Not(Equals(prefix_list, "")),
                _contains(list(S3_PREFIX_LISTS), Ref("AWS::Region")),
            ),
        ),
    )
    template.add_rule(
        "UploadRangesLimit",
        _rule(
            "UploadRanges holds a range that is everybody: leave it empty for no limit.",
            *(Not(_contains(upload_ranges, everybody)) for everybody in ("0.0.0.0/0", "::/0")),
        ),
    )
    if len(foreign) > 1:
        template.add_rule(
            "SourcesDiffer",
            _differ(
                "Two sources name the same bucket; give one source both prefixes.",
                [one.bucket for one in foreign.values()],
            ),
        )
    template.add_mapping(
        PREFIX_LIST_MAPPING,
        {
            region: {"Id": S3_PREFIX_LISTS.get(region, UNKNOWN_PREFIX_LIST)}
            for region in sorted((*S3_PREFIX_LISTS, *OTHER_REGIONS))
        },
    )

    return Parameters(
        code_bucket=code_bucket,
        code_key=code_key,
        runtime=runtime,
        architecture=architecture,
        code_signing=_given(template, "HasCodeSigning", signing),
        capacity={
            name: _add_capacity(capacity, name, lane, reserves) for name, lane in lanes.items()
        },
        foreign=foreign,
        network=network,
        delivery=_add_delivery(template, published, delivery) if delivery else None,
        s3_prefix_list=_given(
            template,
            "HasS3PrefixList",
            prefix_list,
            otherwise=FindInMap(PREFIX_LIST_MAPPING, Ref("AWS::Region"), "Id"),
        ),
        noncurrent_days=noncurrent_days,
        log_retention_days=retention,
        watches_uploads=_true(template, "WatchesUploads", watch_uploads),
        alarm_key=alarm_key,
        has_alarm_key=_condition(template, "HasAlarmKey", Not(Equals(alarm_key, ""))),
        archive_retention_days=archive_retention,
        alarm_email=email,
        ticket_email=_given(template, "HasTicketEmail", ticket_email, otherwise=email),
        permissions_boundary=_given(template, "HasPermissionsBoundary", boundary),
        tracing=tracing,
        traces=_condition(template, "TracesInvocations", Equals(tracing, "Active")),
        environment=environment,
        upload_ranges=upload_ranges,
        requires_endpoint=_true(template, "RequiresEndpoint", require_endpoint),
        limits_uploads=_condition(
            template, "LimitsUploads", Not(Equals(Join("", upload_ranges), ""))
        ),
        has_queue_endpoint=_true(template, "HasQueueEndpoint", queue_endpoint),
        has_alarm_email=_condition(template, "HasAlarmEmail", Not(Equals(email, ""))),
        has_ticket_email=_condition(
            template, "SendsTickets", Or(Condition("HasAlarmEmail"), Condition("HasTicketEmail"))
        ),
    )


@dataclass(frozen=True)
class _Group:
    """A heading in the console and the parameters under it."""

    template: Template
    heading: str

    def add(self, title: str, description: str, **settings: Any) -> Ref:
        parameter = Parameter(title, Description=description, **{"Type": "String", **settings})
        self.template.add_parameter(parameter)
        self.template.add_parameter_to_group(parameter, self.heading)
        return Ref(parameter)


def _add_own_vpc(template: Template, group: _Group, zones: int) -> OwnVpc:
    cidr = group.add(
        "VpcCidr",
        "Private address range of the network, /16 to /24",
        Default="10.0.0.0/24",
        AllowedPattern=PRIVATE_CIDR,
        ConstraintDescription="a private range from /16 to /24, like 10.0.0.0/24",
    )
    numbers = tuple(
        group.add(
            f"Zone{chr(ord('A') + index)}",
            "Number of an Availability Zone in the region's list, from 0; each a different one",
            Type="Number",
            Default=index,
            MinValue=0,
            MaxValue=7,
        )
        for index in range(zones)
    )
    sentence = "Two Zone parameters name the same Availability Zone."
    template.add_rule("ZonesDiffer", _differ(sentence, numbers))
    return OwnVpc(cidr=cidr, zone_numbers=numbers)


def _add_existing_vpc(template: Template, group: _Group, *, adds_endpoints: bool) -> ExistingVpc:
    vpc = group.add(
        "VpcId",
        "VPC to work in; DNS support and DNS host names must be on",
        Type="AWS::EC2::VPC::Id",
    )
    subnets = group.add(
        "SubnetIds",
        "Private subnets of it, in two or more Availability Zones",
        Type="List<AWS::EC2::Subnet::Id>",
    )
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html
    their_vpcs = {"Fn::ValueOf": [subnets.data["Ref"], "VpcId"]}
    template.add_rule(
        "SubnetsAreInTheVpc",
        _rule(
            "SubnetIds names a subnet that is not in VpcId.",
            {"Fn::EachMemberEquals": [their_vpcs, vpc]},
        ),
    )
    if not adds_endpoints:
        return ExistingVpc(
            vpc=vpc,
            subnets=subnets,
            cidr=None,
            route_tables=None,
            storage_endpoint=group.add(
                "StorageEndpointId",
                "The VPC's gateway endpoint for S3, in the route tables of the subnets",
                AllowedPattern="^vpce-[0-9a-f]+$",
            ),
            endpoint_security_group=group.add(
                "QueueEndpointSecurityGroupId",
                "Security group of the VPC's endpoint for SQS",
                Type="AWS::EC2::SecurityGroup::Id",
            ),
        )
    return ExistingVpc(
        vpc=vpc,
        subnets=subnets,
        cidr=group.add(
            "VpcCidr",
            "Private address range of the VPC: who may use the endpoints that are added",
            AllowedPattern=PRIVATE_CIDR,
            ConstraintDescription="a private range from /16 to /24, like 10.0.0.0/24",
        ),
        route_tables=group.add(
            "RouteTableIds",
            "Route tables of the subnets, with commas: the way to S3 is added to them",
            Type="CommaDelimitedList",
        ),
        storage_endpoint=None,
        endpoint_security_group=None,
    )


def _add_delivery(template: Template, group: _Group, structure: specification.Delivery) -> Delivery:
    template.add_rule(
        "DeliveryIsAvailable",
        _rule(
            "There is no CloudFront of this kind in this region's partition.",
            Not(_contains(list(WITHOUT_DELIVERY), Ref("AWS::Region"))),
        ),
    )
    return Delivery(
        price_class=group.add(
            "PriceClass",
            "Where CloudFront holds copies; PriceClass_100 is North America and Europe",
            Default="PriceClass_100",
            AllowedValues=["PriceClass_100", "PriceClass_200", "PriceClass_All"],
        ),
        domain=group.add(
            "DomainName",
            "Name of the distribution; its DNS record is yours to set",
            AllowedPattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$",
        )
        if structure.domain
        else None,
        certificate=group.add(
            "CertificateArn",
            "Certificate of that name, in us-east-1",
            AllowedPattern=r"^arn:[a-z-]+:acm:us-east-1:\d{12}:certificate/.+$",
        )
        if structure.domain
        else None,
        web_acl=group.add(
            "WebAclArn",
            "Web ACL of scope CLOUDFRONT",
            AllowedPattern=r"^arn:[a-z-]+:wafv2:us-east-1:\d{12}:global/webacl/.+$",
        )
        if structure.web_acl
        else None,
    )


def _add_capacity(group: _Group, lane: str, settings: Lane, reserves: str) -> Capacity:
    memory = group.add(
        naming.title(lane, "MemorySize"),
        "Megabytes for the function; 1769 are one processor core",
        Type="Number",
        Default=1792,
        MinValue=512,
        MaxValue=10240,
    )
    if settings.provisioned_pollers:
        # Lambda takes either a maximum or pollers (trap 17). What these may call for at once is
        # not a number to reserve.
        return Capacity(
            memory_megabytes=memory,
            scaling={
                "ProvisionedPollerConfig": ProvisionedPollerConfig(
                    MinimumPollers=group.add(
                        naming.title(lane, "MinimumPollers"),
                        "Pollers that stand ready, 2 to 200; each is paid for by the hour",
                        Type="Number",
                        Default=2,
                        MinValue=2,
                        MaxValue=200,
                    ),
                    MaximumPollers=group.add(
                        naming.title(lane, "MaximumPollers"),
                        "Pollers at most, 2 to 2000; each takes up to 10 batches at once",
                        Type="Number",
                        Default=10,
                        MinValue=2,
                        MaxValue=2000,
                    ),
                )
            },
            reserved_concurrency=NoValue,
            maximum=Ref(naming.title(lane, "MaximumPollers")),
            batches_each=10,
        )
    concurrency = group.add(
        naming.title(lane, "MaximumConcurrency"),
        "Batches worked on at once, 2 to 1000",
        Type="Number",
        Default=10,
        MinValue=2,
        MaxValue=1000,
    )
    return Capacity(
        memory_megabytes=memory,
        scaling={"ScalingConfig": ScalingConfig(MaximumConcurrency=concurrency)},
        # The same number, so that it is never below what the pollers ask for (trap 17); unset
        # unless asked for, because it fails in new accounts (trap 18).
        reserved_concurrency=If(reserves, concurrency, NoValue),
        maximum=concurrency,
        batches_each=1,
    )


def _add_foreign(template: Template, group: _Group, name: str, source: Source) -> Foreign:
    key = group.add(
        naming.title(name, "KeyArn"),
        f"Customer managed key of the bucket of source {name}; empty for none",
        Default="",
        AllowedPattern=r"^$|^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/.+$",
    )
    topic = None
    if source.type == "topic":
        topic = group.add(
            naming.title(name, "TopicArn"),
            f"Topic of source {name}, in this region, which passes the bucket's notifications on",
            AllowedPattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$",
        )
    return Foreign(
        bucket=group.add(
            naming.title(name, "BucketName"),
            f"Bucket of source {name}, in this region; not one of the stack's own",
            AllowedPattern="^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        ),
        key_arn=key,
        has_key=_condition(template, naming.title(name, "HasKey"), Not(Equals(key, ""))),
        topic_arn=topic,
    )


def _condition(template: Template, title: str, test: AWSHelperFn) -> str:
    template.add_condition(title, test)
    return title


def _true(template: Template, title: str, parameter: Ref) -> str:
    return _condition(template, title, Equals(parameter, "true"))


def _given(
    template: Template, title: str, parameter: Ref, *, otherwise: AWSHelperFn = NoValue
) -> If:
    """Return the parameter where it is not empty, and `otherwise` where it is."""
    return If(_condition(template, title, Not(Equals(parameter, ""))), parameter, otherwise)


def _rule(sentence: str, *tests: Any) -> dict[str, Any]:
    return {"Assertions": [{"Assert": test, "AssertDescription": sentence} for test in tests]}


def _contains(values: Any, value: Any) -> dict[str, Any]:
    return {"Fn::Contains": [values, value]}


def _differ(sentence: str, values: Sequence[Ref]) -> dict[str, Any]:
    return _rule(sentence, *(Not(Equals(one, other)) for one, other in combinations(values, 2)))
