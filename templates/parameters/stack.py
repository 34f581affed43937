"""All parameters of the stack, what follows from them, and the rules they must satisfy."""

from collections.abc import Mapping
from dataclasses import dataclass

from troposphere import Condition, Equals, FindInMap, If, Join, Not, Or, Ref, Template

from templates import naming, specification
from templates.parameters.builder import (
    YES_NO,
    Group,
    condition,
    contains,
    differ,
    given,
    is_true,
    rule,
)
from templates.parameters.capacity import Capacity, add_capacity
from templates.parameters.cdn import CdnParameters, add_cdn_parameters
from templates.parameters.network import ExistingVpc, OwnVpc, add_existing_vpc, add_own_vpc
from templates.parameters.regions import (
    OTHER_REGIONS,
    PREFIX_LIST_MAPPING,
    S3_PREFIX_LISTS,
    UNKNOWN_PREFIX_LIST,
)
from templates.parameters.sources import Foreign, add_foreign
from templates.specification import Network, ProcessingQueue, Source

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653]


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """References to the parameters, and what is drawn from them."""

    code_bucket: Ref
    code_key: Ref
    runtime: Ref
    architecture: Ref
    code_signing: If
    capacity: Mapping[str, Capacity]
    """By queue."""

    foreign: Mapping[str, Foreign]
    """By source, for those whose bucket is not the stack's own."""

    network: OwnVpc | ExistingVpc
    cdn: CdnParameters | None
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
    upload_ranges: Ref | None
    """None, and no condition about uploads, without a bucket of the stack's own."""

    has_sqs_endpoint: str
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
    queues: Mapping[str, ProcessingQueue],
    sources: Mapping[str, Source],
    cdn: specification.Cdn | None,
    keeps_logs: bool,
) -> Parameters:
    """Add parameters, conditions, rules and console groups for a network of this `structure`.

    `keeps_logs` says whether there are buckets that keep logs.
    """
    general = Group(template, "General")
    code = Group(template, "Function package (darkroom package prints both)")
    capacity = Group(template, "Capacity")
    existing = Group(template, "Sources that are there already")
    place = Group(template, "Network")
    published = Group(template, "CloudFront")
    keeping = Group(template, "Retention and alarms")
    controls = Group(template, "Account controls")

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
    if not all(queue.provisioned_mode for queue in queues.values()):
        reserve = capacity.add(
            "ReserveConcurrency",
            "Reserve that many for the function; fails in accounts with a quota of 10 in all",
            Default="false",
            **YES_NO,
        )
        reserves = is_true(template, "ReservesConcurrency", reserve)
    foreign = {
        name: add_foreign(template, existing, name, source)
        for name, source in sources.items()
        if source.type != "s3"
    }
    network = (
        add_own_vpc(template, place, structure.availability_zones)
        if structure.vpc == "create"
        else add_existing_vpc(template, place, adds_endpoints=structure.endpoints == "create")
    )
    queue_endpoint = place.add(
        "CreateSqsEndpoint",
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
        "NoncurrentVersionRetentionDays",
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
            "LogArchiveRetentionDays",
            "Days that logs are kept in S3, beyond their log groups",
            Type="Number",
            Default=365,
            MinValue=1,
            MaxValue=36500,
        )
    has_uploads = len(foreign) < len(sources)
    watches_uploads = limits_uploads = ""
    upload_ranges = None
    if has_uploads:
        watch_uploads = keeping.add(
            "EnableUploadMetrics",
            "Count uploads (S3 request metrics, at most 5 USD a month) to notice lost events",
            Default="true",
            **YES_NO,
        )
        watches_uploads = is_true(template, "UploadMetricsEnabled", watch_uploads)
    email, ticket_email = (
        keeping.add(
            name,
            description,
            Default="",
            AllowedPattern=r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$",
        )
        for name, description in (
            (
                "CriticalAlarmEmail",
                "Address that alarms go to, once it has confirmed; empty for none",
            ),
            ("WarningAlarmEmail", "Address for what can wait a day; empty for CriticalAlarmEmail"),
        )
    )
    alarm_key = keeping.add(
        "AlarmTopicKmsKeyArn",
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
        "EnforceVpcEndpoint",
        "Refuse the worker's role outside of its network, so that stolen credentials are of no use",
        Default="true",
        **YES_NO,
    )
    if has_uploads:
        upload_ranges = controls.add(
            "AllowedUploadCidrs",
            "Public address ranges that uploads may come from, with commas; empty for any",
            Type="CommaDelimitedList",
            Default="",
        )
        everybody = ("0.0.0.0/0", "::/0")
        template.add_rule(
            "AllowedUploadCidrsLimit",
            rule(
                "AllowedUploadCidrs holds a range that is everybody: leave it empty for no limit.",
                Not(Or(*(contains(upload_ranges, one) for one in everybody))),
            ),
        )
        limits_uploads = condition(
            template, "RestrictsUploadCidrs", Not(Equals(Join("", upload_ranges), ""))
        )
    boundary = controls.add(
        "PermissionsBoundaryArn",
        "Permissions boundary on every role; empty for none",
        Default="",
        AllowedPattern=r"^$|^arn:[a-z-]+:iam::(\d{12}|aws):policy/.+$",
    )

    template.add_rule(
        "RegionIsAllowed",
        rule(
            "AllowedRegions does not name this region.",
            Or(contains(regions, "*"), contains(regions, Ref("AWS::Region"))),
        ),
    )
    template.add_rule(
        "S3PrefixListIsKnown",
        rule(
            "The S3 prefix list of this region is not known: give S3PrefixListId"
            " (aws ec2 describe-managed-prefix-lists).",
            Or(
                Not(Equals(prefix_list, "")),
                contains(list(S3_PREFIX_LISTS), Ref("AWS::Region")),
            ),
        ),
    )
    if len(foreign) > 1:
        template.add_rule(
            "SourcesDiffer",
            differ(
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
        code_signing=given(template, "HasCodeSigning", signing),
        capacity={
            name: add_capacity(capacity, name, queue, reserves) for name, queue in queues.items()
        },
        foreign=foreign,
        network=network,
        cdn=add_cdn_parameters(template, published, cdn) if cdn else None,
        s3_prefix_list=given(
            template,
            "HasS3PrefixList",
            prefix_list,
            otherwise=FindInMap(PREFIX_LIST_MAPPING, Ref("AWS::Region"), "Id"),
        ),
        noncurrent_days=noncurrent_days,
        log_retention_days=retention,
        watches_uploads=watches_uploads,
        alarm_key=alarm_key,
        has_alarm_key=condition(template, "HasAlarmTopicKey", Not(Equals(alarm_key, ""))),
        archive_retention_days=archive_retention,
        alarm_email=email,
        ticket_email=given(template, "HasWarningAlarmEmail", ticket_email, otherwise=email),
        permissions_boundary=given(template, "HasPermissionsBoundary", boundary),
        tracing=tracing,
        traces=condition(template, "TracingActive", Equals(tracing, "Active")),
        environment=environment,
        upload_ranges=upload_ranges,
        requires_endpoint=is_true(template, "EnforcesVpcEndpoint", require_endpoint),
        limits_uploads=limits_uploads,
        has_sqs_endpoint=is_true(template, "HasSqsEndpoint", queue_endpoint),
        has_alarm_email=condition(template, "HasCriticalAlarmEmail", Not(Equals(email, ""))),
        has_ticket_email=condition(
            template,
            "SendsWarnings",
            Or(Condition("HasCriticalAlarmEmail"), Condition("HasWarningAlarmEmail")),
        ),
    )
