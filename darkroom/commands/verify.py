"""Whether a deployed stack is as its template says, and whether a picture comes through."""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from darkroom.aws import deployed_template, queues, vpc
from darkroom.aws.errors import explained
from darkroom.aws.stack import Stack, open_stack
from darkroom.aws.stack import add_arguments as add_stack_arguments
from darkroom.checks import framework
from darkroom.checks.canary import Canary
from darkroom.checks.framework import Check, Finding, fails, ok, warning
from darkroom.cloudformation.policy_documents import documents
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.commands import preflight
from darkroom.console import option_types
from darkroom.console.progress import Progress

PUT_BACK = (
    "put it back by hand: CloudFormation changes nothing where its template has not changed;"
    " darkroom readiness then tells whether it is right"
)
READY = {
    "CREATE_COMPLETE",
    "IMPORT_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
}
DRIFT_PAUSE_SECONDS = 2.0
ABSENT = object()

Differences = Iterator[tuple[str, Any, Any]]
"""What, as the template wants it, as it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_stack_arguments(parser)
    framework.add_arguments(parser, list(_checks(None)))
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=option_types.positive,
        default=180,
        help="for the canary; a first cold start takes some (default: 180)",
    )


@explained()
def run(arguments: argparse.Namespace) -> int:
    """Look at the live stack; return 0 when it is ready."""
    progress = Progress()
    stack = open_stack(arguments)
    target = Target(stack, deployed_template.read(stack), progress, arguments.timeout)
    seen = framework.perform(_checks(target), skip=arguments.skip, progress=progress)
    print(
        framework.report(
            seen,
            title=f"readiness {stack.name}",
            output=arguments.output,
            facts={"stack": stack.name, "region": stack.region},
        )
    )
    return framework.status(seen, strict=arguments.strict)


@dataclass(frozen=True)
class Target:
    """A stack and its template."""

    stack: Stack
    template: ResolvedTemplate
    progress: Progress
    timeout: float

    def of(self, kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield logical id, physical id and properties of each resource of a type."""
        for title, properties in self.template.resources_of_type(kind).items():
            yield title, self.stack.resources.get(title, f"<{title}>"), properties


def _checks(target: Target | None) -> dict[str, Check]:
    """Return the checks by name; without a target, for the names alone."""
    functions: dict[str, Callable[[Target], Iterator[Finding]]] = {
        "stack": _stack,
        "key": _key,
        "buckets": _buckets,
        "queues": _queues,
        "functions": _functions,
        "triggers": _triggers,
        "network": _network,
        "sources": lambda target: preflight.existing_sources(_plan(target)),
        "logs": _logs,
        "alarms": _alarms,
        "topics": _topics,
        "mail": _mail,
        "drift": _drift,
        "canary": _canary,
    }

    def bound(function: Callable[[Target], Iterator[Finding]]) -> Check:
        return lambda: function(target) if target else ()

    return {name: bound(function) for name, function in functions.items()}


def _plan(target: Target) -> preflight.Plan:
    """Return the stack as if it were to be deployed once more, for the checks of both."""
    plan = preflight.Plan(
        account=target.stack,
        name=target.stack.name,
        template=target.template.template,
        size=0,
        given=dict(target.stack.parameters),
        problems=[],
    )
    plan.stack = target.stack
    return plan


def _judged(title: str, name: str, differences: Differences, fix: str = PUT_BACK) -> Finding:
    """Return whether a resource is as the template says, with all in which it is not."""
    found = [
        f"{what} is {_shown(is_)}, not {_shown(wanted)}"
        for what, wanted, is_ in differences
        if wanted != is_
    ]
    if found:
        return fails(f"{title} ({name}): {'; '.join(found)}", fix)
    return ok(f"{title} ({name}) is as the template says")


def _shown(value: Any) -> str:
    if isinstance(value, set | frozenset):
        return f"[{', '.join(sorted(map(_shown, value)))}]"
    return "missing" if value is None else value if isinstance(value, str) else json.dumps(value)


def _stack(target: Target) -> Iterator[Finding]:
    """CloudFormation's own word."""
    status = target.stack.status
    if status in READY:
        yield ok(f"{target.stack.name} is in {status}")
    else:
        yield fails(
            f"{target.stack.name} is in {status}",
            f"aws cloudformation describe-stack-events --stack-name {target.stack.name}",
        )


def _key(target: Target) -> Iterator[Finding]:
    """S4, trap 30: what everything is encrypted with is there, and rotates."""
    kms = target.stack.client("kms")
    for title, name, properties in target.of("KMS::Key"):
        state = kms.describe_key(KeyId=name)["KeyMetadata"]["KeyState"]
        rotates = kms.get_key_rotation_status(KeyId=name)["KeyRotationEnabled"]
        policy = kms.get_key_policy(KeyId=name, PolicyName="default")["Policy"]
        yield _judged(
            title,
            name,
            iter(
                [
                    ("its state", "Enabled", state),
                    ("rotation", properties["EnableKeyRotation"], rotates),
                    _policies(properties["KeyPolicy"], policy),
                ]
            ),
            "aws kms cancel-key-deletion, enable-key, enable-key-rotation, put-key-policy",
        )


def _buckets(target: Target) -> Iterator[Finding]:
    """S1, S2, T3: closed, encrypted, versioned, announcing, tidied up."""
    s3 = target.stack.client("s3")
    policies = {
        properties["Bucket"]: properties["PolicyDocument"]
        for _, _, properties in target.of("S3::BucketPolicy")
    }
    for title, name, properties in target.of("S3::Bucket"):
        yield _judged(title, name, _bucket(s3, name, properties, policies.get(name)))


def _bucket(s3: Any, name: str, wanted: Mapping[str, Any], policy: Any) -> Differences:
    closed = _asked(s3.get_public_access_block, "PublicAccessBlockConfiguration", Bucket=name)
    for one, value in wanted["PublicAccessBlockConfiguration"].items():
        yield one, value, (closed or {}).get(one)
    owned = _asked(s3.get_bucket_ownership_controls, "OwnershipControls", Bucket=name)
    yield (
        "ownership of objects",
        {one["ObjectOwnership"] for one in wanted["OwnershipControls"]["Rules"]},
        {one["ObjectOwnership"] for one in (owned or {}).get("Rules", [])},
    )
    versioned = s3.get_bucket_versioning(Bucket=name).get("Status")
    yield "versioning", wanted["VersioningConfiguration"]["Status"], versioned
    encrypted = _asked(s3.get_bucket_encryption, "ServerSideEncryptionConfiguration", Bucket=name)
    yield (
        "encryption",
        _encryption(wanted["BucketEncryption"]["ServerSideEncryptionConfiguration"]),
        _encryption((encrypted or {}).get("Rules", [])),
    )
    announced = s3.get_bucket_notification_configuration(Bucket=name)
    yield (
        "what it announces",
        _announcements(
            (one["Queue"], [one["Event"]], one.get("Filter", {}).get("S3Key", {}).get("Rules", []))
            for one in wanted.get("NotificationConfiguration", {}).get("QueueConfigurations", [])
        ),
        _announcements(
            (
                one["QueueArn"],
                one["Events"],
                one.get("Filter", {}).get("Key", {}).get("FilterRules", []),
            )
            for one in announced.get("QueueConfigurations", [])
        ),
    )
    tidied = _asked(s3.get_bucket_lifecycle_configuration, "Rules", Bucket=name)
    yield (
        "lifecycle",
        _lifecycle(wanted.get("LifecycleConfiguration", {}).get("Rules", [])),
        _lifecycle(tidied or []),
    )
    yield _policies(policy, _asked(s3.get_bucket_policy, "Policy", Bucket=name))


def _encryption(rules: list[Mapping[str, Any]]) -> set[str]:
    # What the template calls ServerSide…, the interface calls ApplyServerSide….
    return {
        f"{by_default.get('SSEAlgorithm')} under {by_default.get('KMSMasterKeyID')}"
        + (" with a bucket key" if rule.get("BucketKeyEnabled") else "")
        for rule in rules
        for by_default in [
            rule.get("ServerSideEncryptionByDefault")
            or rule.get("ApplyServerSideEncryptionByDefault", {})
        ]
    }


def _announcements(configurations: Any) -> set[str]:
    return {
        " ".join(
            [*sorted(events), *sorted(f"{r['Name'].lower()}={r['Value']}" for r in rules), queue]
        )
        for queue, events, rules in configurations
    }


def _lifecycle(rules: list[Mapping[str, Any]]) -> set[str]:
    """Return the rules as text; template and interface name the days of expiry differently."""
    return {
        " ".join(
            [
                str(rule.get("Id", rule.get("ID"))),
                rule["Status"],
                f"noncurrent={rule.get('NoncurrentVersionExpiration', {}).get('NoncurrentDays')}",
                f"days={rule.get('ExpirationInDays', rule.get('Expiration', {}).get('Days'))}",
            ]
        )
        for rule in rules
    }


def _queues(target: Target) -> Iterator[Finding]:
    """S2, S4, R1: encrypted, with redrive, open to their senders alone."""
    sqs = target.stack.client("sqs")
    policies = {
        queue: properties["PolicyDocument"]
        for _, _, properties in target.of("SQS::QueuePolicy")
        for queue in properties["Queues"]
    }
    for title, url, properties in target.of("SQS::Queue"):
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        wanted = {
            "KmsMasterKeyId": properties["KmsMasterKeyId"],
            "MessageRetentionPeriod": str(properties["MessageRetentionPeriod"]),
            **(
                {"VisibilityTimeout": str(properties["VisibilityTimeout"])}
                if "VisibilityTimeout" in properties
                else {}
            ),
        }
        differences = [(name, value, found.get(name)) for name, value in wanted.items()]
        differences += [
            (name, _plain(properties[name]), _plain(json.loads(found.get(name, "{}"))))
            for name in ("RedrivePolicy", "RedriveAllowPolicy")
            if name in properties
        ]
        differences.append(_policies(policies.get(url), found.get("Policy")))
        yield _judged(title, url.rpartition("/")[2], iter(differences))


def _functions(target: Target) -> Iterator[Finding]:
    """R4, S6: active, in its network, with its limits."""
    client = target.stack.client("lambda")
    for title, name, properties in target.of("Lambda::Function"):
        found = client.get_function_configuration(FunctionName=name)
        network, wanted = found.get("VpcConfig", {}), properties["VpcConfig"]
        reserved = client.get_function_concurrency(FunctionName=name)
        # A function that nobody called for weeks is Inactive, and wakes by itself.
        state = found.get("State")
        yield _judged(
            title,
            name,
            iter(
                [
                    ("its state", "Active", "Active" if state == "Inactive" else state),
                    ("its last update", "Successful", found.get("LastUpdateStatus")),
                    ("memory", int(properties["MemorySize"]), found["MemorySize"]),
                    ("timeout", properties["Timeout"], found["Timeout"]),
                    ("subnets", set(wanted["SubnetIds"]), set(network.get("SubnetIds", []))),
                    (
                        "security groups",
                        set(wanted["SecurityGroupIds"]),
                        set(network.get("SecurityGroupIds", [])),
                    ),
                    ("key", properties["KmsKeyArn"], found.get("KMSKeyArn")),
                    (
                        "log group",
                        properties["LoggingConfig"]["LogGroup"],
                        found.get("LoggingConfig", {}).get("LogGroup"),
                    ),
                    (
                        "reserved concurrency",
                        _number(properties.get("ReservedConcurrentExecutions")),
                        reserved.get("ReservedConcurrentExecutions"),
                    ),
                ]
            ),
        )


def _triggers(target: Target) -> Iterator[Finding]:
    """T1, R4: the queue is polled, by as many as wanted."""
    client = target.stack.client("lambda")
    for title, name, properties in target.of("Lambda::EventSourceMapping"):
        found = client.get_event_source_mapping(UUID=name)
        wanted = properties.get("ScalingConfig", {}).get("MaximumConcurrency")
        yield _judged(
            title,
            name,
            iter(
                [
                    ("its state", "Enabled", found["State"]),
                    ("batch size", properties["BatchSize"], found["BatchSize"]),
                    (
                        "maximum concurrency",
                        _number(wanted),
                        _number(found.get("ScalingConfig", {}).get("MaximumConcurrency")),
                    ),
                    (
                        "how it answers",
                        set(properties["FunctionResponseTypes"]),
                        set(found.get("FunctionResponseTypes", [])),
                    ),
                ]
            ),
            f"aws lambda update-event-source-mapping --uuid {name} --enabled, or the option of what"
            " differs",
        )


def _network(target: Target) -> Iterator[Finding]:
    """S6, traps 25 and 45: names resolve, doors are open to the right calls, S3 is where it was."""
    stack = target.stack
    for _, name, _ in target.of("EC2::VPC"):
        yield from vpc.dns(stack, name)
    yield from preflight.existing_network(_plan(target))
    for title, name, properties in target.of("EC2::VPCEndpoint"):
        (found,) = stack.client("ec2").describe_vpc_endpoints(VpcEndpointIds=[name])["VpcEndpoints"]
        differences = [
            ("its state", "available", found["State"].lower()),
            _policies(properties.get("PolicyDocument"), found.get("PolicyDocument")),
        ]
        differences += [
            (listed, set(properties[listed]), set(found.get(listed, [])))
            for listed in ("SubnetIds", "RouteTableIds")
            if listed in properties
        ]
        if "PrivateDnsEnabled" in properties:
            wanted = properties["PrivateDnsEnabled"]
            differences.append(("private DNS", wanted, found.get("PrivateDnsEnabled")))
        yield _judged(title, name, iter(differences))
    yield from _ways_out(target)
    for title, name, _ in target.of("EC2::FlowLog"):
        (found,) = stack.client("ec2").describe_flow_logs(FlowLogIds=[name])["FlowLogs"]
        status = [("its state", "ACTIVE", found["FlowLogStatus"])]
        if "DeliverLogsStatus" in found:  # only once there was something to deliver
            status.append(("its delivery", "SUCCESS", found["DeliverLogsStatus"]))
        yield _judged(title, name, iter(status))


def _ways_out(target: Target) -> Iterator[Finding]:
    """Trap 25: the worker's security group names S3 as it is today."""
    groups = {
        name: title
        for title, name, properties in target.of("EC2::SecurityGroup")
        if any("DestinationPrefixListId" in rule for rule in properties["SecurityGroupEgress"])
    }
    if not groups:
        return
    today = vpc.s3_prefix_list(target.stack)
    found = target.stack.client("ec2").describe_security_groups(GroupIds=list(groups))
    for group in found["SecurityGroups"]:
        rules = group.get("IpPermissionsEgress", [])
        lists = {one["PrefixListId"] for rule in rules for one in rule.get("PrefixListIds", [])}
        ranges = {
            one[key]
            for rule in rules
            for kind, key in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"))
            for one in rule.get(kind, [])
        }
        yield _judged(
            groups[group["GroupId"]],
            group["GroupId"],
            iter(
                [
                    ("S3's prefix list", {today} - {None}, lists),
                    ("what it lets out to other addresses", set(), ranges),
                ]
            ),
            f"deploy with S3PrefixListId={today}",
        )


def _logs(target: Target) -> Iterator[Finding]:
    """O1, O6: kept, encrypted, and on their way to the archive where there is one."""
    client = target.stack.client("logs")
    for title, name, properties in target.of("Logs::LogGroup"):
        groups = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        found = next((one for one in groups if one["logGroupName"] == name), None)
        if not found:
            yield fails(f"{title} ({name}) is not there", PUT_BACK)
            continue
        retention = _number(properties["RetentionInDays"])
        yield _judged(
            title,
            name,
            iter(
                [
                    ("retention", retention, found.get("retentionInDays")),
                    ("key", properties["KmsKeyId"], found.get("kmsKeyId")),
                ]
            ),
        )
    for title, name, properties in target.of("Logs::SubscriptionFilter"):
        group = properties["LogGroupName"]
        filters = client.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
        destinations = {one["destinationArn"] for one in filters}
        wanted = {properties["DestinationArn"]}
        yield _judged(title, name, iter([("where it leads", wanted, wanted & destinations)]))
    firehose = target.stack.client("firehose")
    for title, name, _ in target.of("KinesisFirehose::DeliveryStream"):
        stream = firehose.describe_delivery_stream(DeliveryStreamName=name)
        found = stream["DeliveryStreamDescription"]
        encryption = found.get("DeliveryStreamEncryptionConfiguration", {}).get("Status")
        state = [("its state", "ACTIVE", found["DeliveryStreamStatus"])]
        yield _judged(title, name, iter([*state, ("encryption", "ENABLED", encryption)]))


def _alarms(target: Target) -> Iterator[Finding]:
    """O2: there, armed, with somewhere to go; one that rings is told."""
    client = target.stack.client("cloudwatch")
    wanted = {
        name: (title, properties) for title, name, properties in target.of("CloudWatch::Alarm")
    }
    pages = client.get_paginator("describe_alarms").paginate(AlarmNames=list(wanted))
    found = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
    unwell = 0
    for name, (title, properties) in wanted.items():
        if not (alarm := found.get(name)):
            unwell += 1
            yield fails(f"{title} ({name}) is not there", PUT_BACK)
            continue
        judged = _judged(
            title,
            name,
            iter(
                [
                    ("whether it acts", True, alarm["ActionsEnabled"]),
                    ("where it goes", set(properties["AlarmActions"]), set(alarm["AlarmActions"])),
                ]
            ),
            f"aws cloudwatch enable-alarm-actions --alarm-names {name}, or put its actions back",
        )
        if judged.verdict == "fails":
            unwell += 1
            yield judged
        elif alarm["StateValue"] == "ALARM":
            unwell += 1
            yield warning(
                f"{title} ({name}) rings: {properties['AlarmDescription']}", "docs/alarms.md"
            )
    if wanted and not unwell:
        yield ok(f"{len(wanted)} alarms are armed, and none rings")


def _topics(target: Target) -> Iterator[Finding]:
    """O5: encrypted, and open to CloudWatch's alarms."""
    sns = target.stack.client("sns")
    policies = {
        arn: properties["PolicyDocument"]
        for _, _, properties in target.of("SNS::TopicPolicy")
        for arn in properties["Topics"]
    }
    for title, arn, properties in target.of("SNS::Topic"):
        found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        key = properties["KmsMasterKeyId"]
        yield _judged(
            title,
            arn,
            iter(
                [
                    ("key", key, found.get("KmsMasterKeyId")),
                    _policies(policies.get(arn), found.get("Policy")),
                ]
            ),
        )


def _mail(target: Target) -> Iterator[Finding]:
    """Trap 35: somebody hears of it, and has said so."""
    sns = target.stack.client("sns")
    for title, arn, _ in target.of("SNS::Topic"):
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        heard = [one for page in pages for one in page["Subscriptions"]]
        for one in heard:
            if one["SubscriptionArn"].startswith("arn:"):
                yield ok(f"{title} goes to {one['Endpoint']}")
            else:
                yield fails(
                    f"{one['Endpoint']} has not confirmed, and hears nothing of {title}",
                    "follow the link in the message that AWS sent there; it is good for three days,"
                    f" after which: aws sns subscribe --topic-arn {arn} --protocol"
                    f" {one['Protocol']} --notification-endpoint {one['Endpoint']}",
                )
        if not heard:
            yield warning(
                f"{title} goes to nobody", "deploy with CriticalAlarmEmail, or subscribe to it"
            )


def _drift(target: Target) -> Iterator[Finding]:
    """D4: nobody has changed by hand what CloudFormation knows how to compare."""
    client, name = target.stack.client("cloudformation"), target.stack.name
    detection = client.detect_stack_drift(StackName=name)["StackDriftDetectionId"]
    began = time.monotonic()
    while True:
        found = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if found["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            break
        target.progress.update(
            f"CloudFormation compares what there is, {time.monotonic() - began:.0f} s so far"
        )
        time.sleep(DRIFT_PAUSE_SECONDS)
    if found["DetectionStatus"] == "DETECTION_FAILED":
        yield fails(
            f"drift could not be told of all: {found.get('DetectionStatusReason', 'no reason')}",
            "grant the read rights of the types that are named, or --skip drift",
        )
    drifted: list[Any] = []
    more: dict[str, str] = {}
    while True:  # botocore has no paginator for it
        page = client.describe_stack_resource_drifts(
            StackName=name, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"], **more
        )
        drifted += page["StackResourceDrifts"]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    for one in drifted:
        paths = ", ".join(
            difference["PropertyPath"] for difference in one.get("PropertyDifferences", [])
        )
        yield fails(
            f"{one['LogicalResourceId']} ({one.get('PhysicalResourceId', '?')}) is"
            f" {one['StackResourceDriftStatus'].lower()}{': ' if paths else ''}{paths}",
            PUT_BACK,
        )
    if not drifted and found["DetectionStatus"] == "DETECTION_COMPLETE":
        yield ok("nothing has drifted from the template")


def _canary(target: Target) -> Iterator[Finding]:
    """T1, P1: a picture comes through, by each bucket of the stack's own."""
    own = {name for _, name, _ in target.of("S3::Bucket")}
    for bucket, source in queues.find_sources(target.stack).items():
        if bucket in own:
            yield from Canary(
                s3=target.stack.client("s3"),
                source=source,
                thumbnail_bucket=target.stack.output("ThumbnailBucketName"),
                timeout=target.timeout,
                progress=target.progress,
            ).sing()


def _asked(call: Callable[..., Any], key: str, **arguments: str) -> Any:
    """Return what is configured, or None where S3 says that nothing is."""
    try:
        return call(**arguments).get(key)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code.startswith("NoSuch") or code.endswith("NotFoundError"):
            return None
        raise


def _policies(wanted: Any, found: str | None) -> tuple[str, Any, Any]:
    """Return both policies in one form: the statements that only one of them has, by their Sid."""
    ours, theirs = _statements(wanted), _statements(json.loads(found or "{}"))
    differing = {sid for sid in {*ours, *theirs} if ours.get(sid) != theirs.get(sid)}
    return "its policy", set(), {f"another {sid}" for sid in differing}


def _statements(policy: Any) -> dict[str, Any]:
    return {
        statement.get("Sid", json.dumps(statement, sort_keys=True)): _plain(statement)
        for document in documents(policy)
        for statement in document["Statement"]
    }


def _plain(value: Any) -> Any:
    """Return a value in which it does not matter whether one stands in a list, or in what order."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    items = value if isinstance(value, list) else [value]
    plain = sorted({str(item).lower() if isinstance(item, bool) else str(item) for item in items})
    return plain[0] if len(plain) == 1 else plain


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
