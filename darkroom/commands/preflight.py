"""What would keep a stack from being deployed, found before it is; and its parameter file."""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from darkroom.aws import resource_names, vpc
from darkroom.aws.errors import explained, is_not_found
from darkroom.aws.session import Account, open_account
from darkroom.aws.stack import Stack, find_stack
from darkroom.aws.stack import add_arguments as add_stack_arguments
from darkroom.checks import framework
from darkroom.checks.framework import Check, Finding, fails, ok, warning
from darkroom.cloudformation import parameters
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console import confirm
from darkroom.console.progress import Progress
from darkroom.errors import UsageError

# A larger template cannot be given to CloudFormation directly.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
DIRECT_BYTES = 51_200

# Lambda keeps so much of an account's concurrency for functions without a reservation, or all of it
# where the quota is smaller. https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
UNRESERVED = 100

# What a stack can be updated from. Of the others a first creation that failed is the usual one.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
UPDATABLE = {
    "CREATE_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
    "REVIEW_IN_PROGRESS",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_stack_arguments(parser)
    what = parser.add_argument_group("what is to be deployed")
    what.add_argument(
        "--template",
        metavar="FILE",
        type=Path,
        default=Path("build/stack.json"),
        help="(default: build/stack.json)",
    )
    what.add_argument(
        "--parameters",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="values as `deploy` takes them; more than once, and later ones win",
    )
    what.add_argument(
        "overrides",
        metavar="KEY=VALUE",
        nargs="*",
        help="single values, like those that `darkroom package --upload` prints; they win over files",
    )
    what.add_argument(
        "--write",
        metavar="FILE",
        type=Path,
        help="where to write the values with what was found, if nothing fails, for"
        " `aws cloudformation deploy --parameter-overrides file://FILE`",
    )
    confirm.add_yes(parser)
    framework.add_arguments(parser, list(_checks(None)))


@explained()
def run(arguments: argparse.Namespace) -> int:
    """Look at everything; return 0 when the stack can be deployed as far as can be seen."""
    progress = Progress()
    plan = Plan.read(arguments)
    seen = framework.perform(_checks(plan), skip=arguments.skip, progress=progress)
    status = framework.status(seen, strict=arguments.strict)
    facts = {
        "stack": arguments.stack_name,
        "region": plan.account.region,
        "parameters": plan.written,
    }
    print(
        framework.report(
            seen, title=f"preflight {arguments.stack_name}", output=arguments.output, facts=facts
        )
    )
    if arguments.write and status:
        progress.step(f"{arguments.write}: not written; mend what is above first")
    elif arguments.write:
        _write(arguments.write, plan.written, sure=arguments.yes)
        progress.step(f"{arguments.write}: written; deploy with")
        progress.step(plan.deploy_command(arguments.template, arguments.write))
    return status


@dataclass
class Plan:
    """A stack that is to be created or updated, and where."""

    account: Account
    name: str
    template: dict[str, Any]
    size: int
    given: dict[str, str]
    """Values that the caller gives, as text."""

    problems: list[str]
    """What is wrong with the files of values."""

    found: dict[str, str] = field(default_factory=dict)
    """Values that the checks fill in where the caller gives none."""

    @classmethod
    def read(cls, arguments: argparse.Namespace) -> "Plan":
        """Return what the options say. Raises UsageError for files that cannot be read."""
        try:
            content = arguments.template.read_text(encoding="utf-8")
            template = json.loads(content)
        except OSError as error:
            raise UsageError(
                f"{arguments.template}: cannot be read: {error.strerror};"
                " python generate.py --output build/stack.json writes it"
            ) from None
        except ValueError as error:
            raise UsageError(f"{arguments.template}: is not JSON: {error}") from None
        if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
            raise UsageError(f"{arguments.template}: is no template: it has no Resources")
        known = template.setdefault("Parameters", {})
        given: dict[str, str] = {}
        problems: list[str] = []
        for path in arguments.parameters:
            pairs = parameters.read(path)
            problems += [f"{path}: {problem}" for problem in parameters.wrong(known, pairs)]
            given |= dict(pairs)
        pairs = [_pair(text) for text in arguments.overrides]
        problems += parameters.wrong(known, pairs)
        given |= dict(pairs)
        return cls(
            account=open_account(region=arguments.region, profile=arguments.profile),
            name=arguments.stack_name,
            template=template,
            size=len(content.encode()),
            given=given,
            problems=problems,
        )

    @cached_property
    def stack(self) -> Stack | None:
        """The stack that is there already, to be updated."""
        return find_stack(self.account, self.name)

    @property
    def values(self) -> dict[str, str]:
        """All values, as text: `deploy` keeps those of a stack that is there."""
        before = self.stack.parameters if self.stack else {}
        defaults = {
            name: str(parameter["Default"])
            for name, parameter in self.template["Parameters"].items()
            if "Default" in parameter
        }
        kept = {
            name: value for name, value in before.items() if name in self.template["Parameters"]
        }
        return {**defaults, **kept, **self.given, **self.found}

    @property
    def reading(self) -> ResolvedTemplate:
        """The template as CloudFormation would read it, here and with these values."""
        usable = parameters.usable(self.template["Parameters"], self.values.items())
        return ResolvedTemplate(self.template).with_parameters(
            **usable, **self.account.pseudo_parameters(self.name)
        )

    @property
    def written(self) -> dict[str, str]:
        """What the parameter file is to hold: all that was given or found."""
        own = {**self.given, **self.found}
        return {name: own[name] for name in self.template["Parameters"] if name in own}

    def deploy_command(self, template: Path, file: Path) -> str:
        """Return the command that deploys it."""
        bucket = f" --s3-bucket {self.values['CodeBucket']}" if self.size > DIRECT_BYTES else ""
        return (
            f"  aws cloudformation deploy --stack-name {self.name} --region {self.account.region}"
            f" --template-file {template}{bucket} --capabilities CAPABILITY_IAM"
            f" --parameter-overrides file://{file}"
        )


def _checks(plan: Plan | None) -> dict[str, Check]:
    """Return the checks by name; without a plan, for the names alone."""
    functions: dict[str, Callable[[Plan], Iterator[Finding]]] = {
        "caller": _caller,
        "parameters": _parameters,
        "prefix-list": _prefix_list,
        "zones": _zones,
        "region": _region,
        "stack": _stack,
        "names": _names,
        "concurrency": _concurrency,
        "code": _code,
        "mail": _mail,
        "vpc": existing_network,
        "sources": existing_sources,
    }

    def bound(function: Callable[[Plan], Iterator[Finding]]) -> Check:
        return lambda: function(plan) if plan else ()

    return {name: bound(function) for name, function in functions.items()}


def _caller(plan: Plan) -> Iterator[Finding]:
    """Who deploys, and where."""
    yield ok(f"{plan.account.caller['Arn']}, in {plan.account.region}")


def _parameters(plan: Plan) -> Iterator[Finding]:
    """Values that the template takes, each that it needs, and its size."""
    for problem in plan.problems:
        yield fails(problem, "correct the value")
    if missing := [name for name in plan.template["Parameters"] if name not in plan.values]:
        yield fails(
            f"no value for {', '.join(missing)}",
            "give KEY=VALUE or --parameters; `darkroom package --upload BUCKET` prints those"
            " of the code",
        )
    if not plan.problems and not missing:
        yield ok(f"{len(plan.given)} values are given, and fit the template")
    if plan.size > DIRECT_BYTES:
        yield warning(
            f"the template has {plan.size:,} bytes; CloudFormation takes {DIRECT_BYTES:,} directly",
            "give `deploy` --s3-bucket as well",
        )


def _prefix_list(plan: Plan) -> Iterator[Finding]:
    """Trap 25: S3's addresses, which the worker may reach, by an id that CloudFormation lacks."""
    if "S3PrefixListId" not in plan.template["Parameters"]:
        return
    live = vpc.s3_prefix_list(plan.account)
    if live is None:
        yield fails(
            f"{plan.account.region} has no prefix list com.amazonaws.{plan.account.region}.s3",
            "the worker's security group cannot name S3 here; choose another region",
        )
        return
    given = plan.values["S3PrefixListId"]
    mapped = plan.template.get("Mappings", {}).get("S3PrefixLists", {})
    known = mapped.get(plan.account.region, {}).get("Id", "")
    if given and given != live:
        yield fails(
            f"S3PrefixListId is {given}, but S3's prefix list here is {live}",
            f"S3PrefixListId={live}, or leave it out",
        )
        return
    plan.found["S3PrefixListId"] = live
    if not given and known.startswith("pl-") and known != live:
        yield warning(
            f"the template takes {known} for S3's prefix list, but it is {live}",
            f"S3PrefixListId={live} (--write fills it in)",
        )
    else:
        yield ok(f"S3's prefix list is {live}")


def _zones(plan: Plan) -> Iterator[Finding]:
    """Trap 24: the chosen zones are there, and each interface endpoint is in them."""
    numbers = sorted(
        name
        for name in plan.template["Parameters"]
        if re.fullmatch("AvailabilityZoneIndex[A-H]", name)
    )
    if not numbers:
        return
    zones = vpc.zones(plan.account)
    usable = dict.fromkeys(zones, "")
    for title, endpoint in plan.reading.resources_of_type("EC2::VPCEndpoint").items():
        if endpoint["VpcEndpointType"] == "Interface":
            served = _served(plan.account, endpoint["ServiceName"])
            for zone in zones:
                if zone not in served and not usable[zone]:
                    usable[zone] = f"{title} ({endpoint['ServiceName']}) cannot be in it"
    good = [number for number, zone in enumerate(zones) if not usable[zone]]
    listed = ", ".join(f"{number} ({zones[number]})" for number in good)
    chosen = {name: int(plan.values[name]) for name in numbers}
    wrong = {
        name: "there is no such zone" if number >= len(zones) else usable[zones[number]]
        for name, number in chosen.items()
        if number not in good
    }
    if (
        wrong
        and len(good) >= len(numbers)
        and not plan.stack
        and not set(numbers) & set(plan.given)
    ):
        # Nobody has chosen, and nothing stands in any zone yet.
        chosen, wrong = dict(zip(numbers, good, strict=False)), {}
    for name, reason in wrong.items():
        yield fails(
            f"{name}={chosen[name]}: {reason}",
            f"of the {len(zones)} zones here these will do: {listed or 'none'};"
            f" {len(numbers)} are needed",
        )
    if not wrong:
        plan.found |= {name: str(number) for name, number in chosen.items()}
        yield ok(", ".join(f"{name} is {zones[number]}" for name, number in chosen.items()))


def _served(account: Account, service: str) -> set[str]:
    """Return the zones in which a service can have interface endpoints."""
    details = account.client("ec2").describe_vpc_endpoint_services(ServiceNames=[service])
    return {zone for one in details["ServiceDetails"] for zone in one["AvailabilityZones"]}


def _region(plan: Plan) -> Iterator[Finding]:
    """D2: the template's own rules, of which the first is about regions."""
    broken = plan.reading.broken_rules()
    for sentence in broken:
        yield fails(sentence, "CloudFormation would refuse the template with these words")
    if not broken:
        yield ok(f"the {len(plan.template.get('Rules', {}))} rules of the template hold")


def _stack(plan: Plan) -> Iterator[Finding]:
    """Whether it is created or updated, and whether it can be."""
    if not plan.stack or plan.stack.status == "REVIEW_IN_PROGRESS":
        yield ok("the stack will be created")
    elif plan.stack.status in UPDATABLE:
        yield ok(f"the stack is there ({plan.stack.status}) and will be updated")
    elif plan.stack.status.endswith("_IN_PROGRESS"):
        yield fails(f"the stack is in {plan.stack.status}", "wait until that has ended")
    else:
        yield fails(
            f"the stack is in {plan.stack.status}, from which it cannot be updated",
            f"aws cloudformation delete-stack --stack-name {plan.name}"
            if plan.stack.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
            else f"aws cloudformation continue-update-rollback --stack-name {plan.name}",
        )


def _names(plan: Plan) -> Iterator[Finding]:
    """Traps 29 and 52: nothing else has a name that the stack will give."""
    own = list(plan.stack.resources.values()) if plan.stack else []
    wanted = [
        (kind, name)
        for kind, name in resource_names.given(plan.reading)
        if not any(there == name or there.endswith((f":{name}", f"/{name}")) for there in own)
    ]
    taken = list(resource_names.taken(plan.account, wanted))
    for kind, name, left_by in taken:
        what = f"there is a {kind} {name} already"
        if left_by:
            yield fails(
                f"{what}, which the stack {left_by} left or has",
                f"another NamePrefix; or darkroom teardown --stack-name {left_by}"
                " --delete-data; or a change set with --import-existing-resources",
            )
        else:
            yield fails(what, "another NamePrefix, or delete it if nobody needs it")
    if not taken:
        yield ok(f"{len(wanted)} names are free, {len(own)} are the stack's own")


def _concurrency(plan: Plan) -> Iterator[Finding]:
    """Trap 18: what the account allows, against what the queues take."""
    client = plan.account.client("lambda")
    limit = client.get_account_settings()["AccountLimit"]
    total, left = limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]
    functions = plan.reading.resources_of_type("Lambda::Function")
    wanted = sum(
        int(mapping["ScalingConfig"]["MaximumConcurrency"])
        if "ScalingConfig" in mapping
        else 10 * int(mapping["ProvisionedPollerConfig"]["MaximumPollers"])
        for mapping in plan.reading.resources_of_type("Lambda::EventSourceMapping").values()
    )
    reserved = sum(int(one.get("ReservedConcurrentExecutions", 0)) for one in functions.values())
    if plan.stack:  # what it has reserved it gives back
        for title in functions:
            if name := plan.stack.resources.get(title):
                with suppress(client.exceptions.ResourceNotFoundException):
                    held = client.get_function_concurrency(FunctionName=name)
                    left += held.get("ReservedConcurrentExecutions", 0)
    keeps = min(UNRESERVED, total)
    quota = (
        "ask for more: aws service-quotas request-service-quota-increase --service-code lambda"
        " --quota-code L-B99A9384 --desired-value N"
    )
    if reserved and left - reserved < keeps:
        yield fails(
            f"{reserved} cannot be reserved: of {total} at once {left} are not reserved, and Lambda"
            f" keeps {keeps}",
            f"ReserveConcurrency=false, or {quota}",
        )
    elif not reserved and wanted > left:
        yield warning(
            f"the queues take up to {wanted} at once; the account has {left} that are not reserved:"
            " the rest would be throttled, and age",
            f"a lower MaximumConcurrency, or {quota}",
        )
    else:
        yield ok(f"the queues take up to {wanted} at once, of {left} (quota {total})")


def _code(plan: Plan) -> Iterator[Finding]:
    """The function's package is there, in this region, for this runtime and processor (trap 38)."""
    bucket, key = plan.values.get("CodeBucket"), plan.values.get("CodeKey")
    if not bucket or not key:
        return
    build = (
        f"darkroom package --upload {bucket} --runtime {plan.values['Runtime']}"
        f" --architecture {plan.values['Architecture']}"
    )
    s3 = plan.account.client("s3")
    try:
        region = resource_names.bucket_region(plan.account, bucket)
        if region != plan.account.region:
            yield fails(
                f"the bucket {bucket} is in {region}; Lambda takes code from its own region only",
                f"a bucket in {plan.account.region}, and {build.replace(bucket, 'BUCKET')}",
            )
            return
        head = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if not is_not_found(error):
            raise
        yield fails(f"there is no s3://{bucket}/{key}", build)
        return
    # The builder names the package by what it is for.
    built_for = re.search(r"(python3\.\d+)-(arm64|x86_64)-[0-9a-f]+\.zip$", key)
    wanted = (plan.values["Runtime"], plan.values["Architecture"])
    if not built_for:
        yield warning(
            f"the name {key} does not tell what it was built for", f"the project's own: {build}"
        )
    elif built_for.groups() != wanted:
        yield fails(f"{key} is not for {' on '.join(wanted)}", build)
    else:
        yield ok(f"s3://{bucket}/{key} is there, {head['ContentLength']:,} bytes")


def _mail(plan: Plan) -> Iterator[Finding]:
    """Trap 35: somebody hears of alarms. How addresses are spelled, the template itself says."""
    if address := plan.values.get("CriticalAlarmEmail"):
        yield ok(f"alarms go to {address}, once it has confirmed its subscription")
    else:
        yield warning(
            "alarms go to nobody: CriticalAlarmEmail is empty",
            "CriticalAlarmEmail=you@example.com, or subscribe something else to the topic",
        )


def existing_network(plan: Plan) -> Iterator[Finding]:
    """Trap 45, S6: an existing VPC has what the worker needs."""
    values = plan.values
    if not values.get("VpcId") or not values.get("SubnetIds"):
        return
    account, ec2 = plan.account, plan.account.client("ec2")
    network, chosen = values["VpcId"], values["SubnetIds"].split(",")
    try:
        subnets = ec2.describe_subnets(SubnetIds=chosen)["Subnets"]
    except ClientError as error:
        if not error.response["Error"]["Code"].endswith((".NotFound", ".Malformed")):
            raise
        yield fails(error.response["Error"]["Message"], "correct SubnetIds")
        return
    yield from vpc.dns(account, network)
    strangers = [one["SubnetId"] for one in subnets if one["VpcId"] != network]
    zones = sorted({one["AvailabilityZone"] for one in subnets})
    if strangers:
        yield fails(f"{', '.join(strangers)} are not in {network}", "correct SubnetIds or VpcId")
        return
    if len(zones) < 2:
        yield fails(f"all subnets are in {zones[0]}", "subnets in two or more zones (R3)")
    else:
        yield ok(f"the subnets are in {', '.join(zones)}")
    tables = vpc.route_tables(account, network, chosen)
    yield from _ways_to_s3(plan, network, tables)
    yield from _ways_to_sqs(plan, network)


def _ways_to_s3(plan: Plan, network: str, tables: set[str]) -> Iterator[Finding]:
    """The subnets' route tables lead to S3 through an endpoint: the VPC's, or the one added."""
    service = f"com.amazonaws.{plan.account.region}.s3"
    there = vpc.endpoints(plan.account, network, service, "Gateway")
    led = {table for one in there for table in one.get("RouteTableIds", [])}
    if "RouteTableIds" in plan.template["Parameters"]:
        given = set(plan.values.get("RouteTableIds", "").split(","))
        own = plan.stack and set(plan.stack.resources.values()) & {
            one["VpcEndpointId"] for one in there
        }
        if given != tables:
            yield fails(
                f"RouteTableIds is {','.join(sorted(given))}; the subnets use"
                f" {','.join(sorted(tables))}",
                f"RouteTableIds={','.join(sorted(tables))}",
            )
        elif led & tables and not own:
            yield fails(
                f"{', '.join(sorted(led & tables))} lead to S3 already, through"
                f" {', '.join(one['VpcEndpointId'] for one in there)}",
                'network.endpoints = "existing" in the specification, with that as S3EndpointId',
            )
        else:
            yield ok("the way to S3 can be added to the subnets' route tables")
        return
    endpoint = plan.values.get("S3EndpointId", "")
    named = [one for one in there if one["VpcEndpointId"] == endpoint]
    if not named:
        listed = ", ".join(one["VpcEndpointId"] for one in there) or "none"
        yield fails(f"{endpoint} is no gateway endpoint for S3 in {network}", f"it has: {listed}")
    elif missing := tables - set(named[0].get("RouteTableIds", [])):
        yield fails(
            f"{endpoint} is not in {', '.join(sorted(missing))}, which the subnets use",
            f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {endpoint} --add-route-table-ids"
            f" {' '.join(sorted(missing))}",
        )
    else:
        yield ok(f"the subnets reach S3 through {endpoint}")


def _ways_to_sqs(plan: Plan, network: str) -> Iterator[Finding]:
    """An interface endpoint for SQS: the VPC's, or none that one to be added would be against."""
    if plan.values.get("CreateSqsEndpoint") != "true":
        return
    lead = "cn." if plan.account.region.startswith("cn-") else ""
    service = f"{lead}com.amazonaws.{plan.account.region}.sqs"
    there = vpc.endpoints(plan.account, network, service, "Interface")
    private = [one for one in there if one.get("PrivateDnsEnabled")]
    if "SqsEndpointSecurityGroupId" in plan.template["Parameters"]:
        group = plan.values.get("SqsEndpointSecurityGroupId")
        behind = [
            one["VpcEndpointId"]
            for one in private
            if group in (member["GroupId"] for member in one.get("Groups", []))
        ]
        if behind:
            yield ok(f"the worker reaches SQS through {behind[0]}")
        else:
            yield fails(
                f"{network} has no endpoint for SQS with private DNS and the group {group}",
                "CreateSqsEndpoint=false, or the group of an endpoint that there is: "
                + (", ".join(one["VpcEndpointId"] for one in there) or "none"),
            )
        return
    own = set(plan.stack.resources.values()) if plan.stack else set()
    if others := [one["VpcEndpointId"] for one in private if one["VpcEndpointId"] not in own]:
        yield fails(
            f"{others[0]} has SQS's private name in {network} already; a second one cannot",
            'network.endpoints = "existing" in the specification, or CreateSqsEndpoint=false',
        )
    else:
        yield ok("an endpoint for SQS can be added")


def existing_sources(plan: Plan) -> Iterator[Finding]:
    """Trap 46: existing buckets and topics are here, and announce."""
    parameters_ = plan.template["Parameters"]
    for name in (name for name in parameters_ if name.endswith("BucketName")):
        lead = name.removesuffix("BucketName")
        bucket = plan.values.get(name)
        if not bucket or f"{lead}KmsKeyArn" not in parameters_:
            continue
        topic = plan.values.get(f"{lead}TopicArn")
        yield from _foreign_bucket(plan, bucket, key_parameter=f"{lead}KmsKeyArn", topic=topic)
        if topic:
            yield from _foreign_topic(plan, topic)


def _foreign_bucket(
    plan: Plan, bucket: str, *, key_parameter: str, topic: str | None
) -> Iterator[Finding]:
    s3 = plan.account.client("s3")
    try:
        region = resource_names.bucket_region(plan.account, bucket)
    except ClientError as error:
        if not is_not_found(error):
            raise
        yield fails(f"there is no bucket {bucket}", "correct its name")
        return
    if region != plan.account.region:
        yield fails(
            f"the bucket {bucket} is in {region}: the worker's endpoint leads to"
            f" {plan.account.region} alone",
            f"a stack in {region}, or a replication of the bucket to here",
        )
        return
    if not topic:
        announces = s3.get_bucket_notification_configuration(Bucket=bucket)
        if "EventBridgeConfiguration" not in announces:
            yield fails(
                f"the bucket {bucket} announces nothing to EventBridge",
                "turn that on beside what it announces already; after the deployment the stack's"
                " output …EnableEventBridgeCommand is the command",
            )
            return
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    keys = {
        rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in rules
    } - {None}
    if keys and not plan.values.get(key_parameter):
        yield fails(
            f"the bucket {bucket} is under the key {', '.join(sorted(map(str, keys)))}, which the"
            " worker could not use",
            f"{key_parameter}=its ARN, and a statement for the worker's role in its policy",
        )
    else:
        yield ok(f"the bucket {bucket} is here and announces")


def _foreign_topic(plan: Plan, topic: str) -> Iterator[Finding]:
    region = topic.split(":")[3]
    if region != plan.account.region:
        yield fails(f"the topic {topic} is in {region}", f"a topic in {plan.account.region}")
        return
    try:
        plan.account.client("sns").get_topic_attributes(TopicArn=topic)
    except ClientError as error:
        if is_not_found(error):
            yield fails(f"there is no topic {topic}", "correct its ARN")
        elif topic.split(":")[4] != plan.account.caller["Account"]:
            yield warning(
                f"the topic {topic} is another account's, and hides itself",
                "have its owner allow this account sns:Subscribe",
            )
        else:
            raise
    else:
        yield ok(f"the topic {topic} is there")


def _write(file: Path, values: dict[str, str], *, sure: bool) -> None:
    """Write a parameter file; ask before another content is replaced."""
    content = json.dumps([f"{key}={value}" for key, value in values.items()], indent=2) + "\n"
    if file.exists() and file.read_text(encoding="utf-8") != content:
        confirm.confirm(f"{file}: is there, with other content", word="yes", yes=sure)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} is no KEY=VALUE")
    return key, value
