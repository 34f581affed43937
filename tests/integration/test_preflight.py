"""What is found before a deployment: each fault once, on the embedded AWS or by AWS's answers.

Stubbed is what the embedded AWS has only one answer to: zones, their services, and quotas.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom import cli
from darkroom.aws import resource_names
from darkroom.aws.session import Account
from darkroom.checks.framework import Finding
from darkroom.cloudformation import parameters
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.cloudformation.resource_types import RESOURCE_TYPES
from darkroom.commands import preflight
from darkroom.emulator.ministack import ACCESS_KEY, SECRET_KEY, Emulator
from templates import pipeline, specification

CODE = "darkroom-worker-python3.13-arm64-0123456789ab.zip"
GIVEN = ("CodeBucket=code", f"CodeKey={CODE}", "CriticalAlarmEmail=you@example.com")


def built(description: dict[str, Any] | None = None) -> dict[str, Any]:
    plan = specification.parse(description or {}, origin="test")
    found: dict[str, Any] = json.loads(pipeline.render(pipeline.build(plan)))
    return found


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        s3 = emulator.client("s3")
        here = {"LocationConstraint": emulator.region}
        s3.create_bucket(Bucket="code", CreateBucketConfiguration=here)
        for key in (CODE, "mine.zip"):
            s3.put_object(Bucket="code", Key=key, Body=b"zip")
        botocore.session.Session().create_client(
            "s3",
            region_name="eu-central-1",
            endpoint_url=emulator.url,
            verify=str(emulator.certificate),
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        ).create_bucket(
            Bucket="abroad", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield emulator


@dataclass
class Person:
    """Somebody who is about to deploy a template."""

    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def asks(self, *arguments: str, status: int = 0) -> str:
        self.capture.readouterr()
        assert cli.main(["preflight", "--stack-name", "planned", *arguments]) == status
        return self.capture.readouterr().out

    def sees(
        self, *arguments: str, status: int = 0, only: str = ""
    ) -> dict[str, list[dict[str, str]]]:
        """Check to its findings; of one check alone, which is quicker, or of all."""
        others = [name for name in preflight._checks(None) if only and name != only]
        skips = [text for name in others for text in ("--skip", name)]
        told = json.loads(self.asks(*arguments, *skips, "--output", "json", status=status))
        return {
            name: [one for one in told["checks"] if one["check"] == name]
            for name in (one["check"] for one in told["checks"])
        }

    def has(self, description: dict[str, Any]) -> None:
        Path("build/stack.json").write_text(json.dumps(built(description)))


@pytest.fixture
def person(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Person:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in emulator.environment.items():
        if name.startswith(("AWS_", "NO_PROXY")):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    Path("build").mkdir()
    Path("build/stack.json").write_text(
        pipeline.render(pipeline.build(specification.parse({}, origin="t")))
    )
    return Person(capsys, monkeypatch)


def test_what_is_found_is_written_for_deploy(person: Person) -> None:
    """D4, trap 36: all is well, and the file holds what was given and what was looked up."""
    seen = person.sees(*GIVEN, "--write", "params/prod.json")
    # The embedded AWS makes up its prefix list; what the template knows is another.
    assert {one["verdict"] for name in seen for one in seen[name] if name != "prefix-list"} == {
        "ok"
    }
    pairs = parameters.read(Path("params/prod.json"))
    assert list(parameters.wrong(built()["Parameters"], pairs)) == []
    values = dict(pairs)
    assert values.items() >= {tuple(text.split("=")) for text in GIVEN}
    assert values["S3PrefixListId"].startswith("pl-")
    assert (values["AvailabilityZoneIndexA"], values["AvailabilityZoneIndexB"]) == ("0", "1")
    # Once more, from the file: nothing new; another content is not lost without consent.
    again = person.sees("--parameters", "params/prod.json", "--write", "params/prod.json")
    assert again["prefix-list"][0]["verdict"] == "ok"
    Path("params/prod.json").write_text('["CodeBucket=other"]')
    person.asks(*GIVEN, "--write", "params/prod.json", status=2)
    assert "other" in Path("params/prod.json").read_text()
    person.asks(*GIVEN, "--write", "params/prod.json", "--yes")
    assert "other" not in Path("params/prod.json").read_text()


@pytest.mark.parametrize(
    ("value", "check", "verdict", "told"),
    [
        ("CodeKey=gone.zip", "code", "fails", "there is no s3://code/gone.zip"),
        ("CodeKey=mine.zip", "code", "warning", "does not tell"),
        ("Architecture=x86_64", "code", "fails", "is not for python3.13 on x86_64"),
        ("CodeBucket=nowhere", "code", "fails", "there is no s3://nowhere"),
        ("CodeBucket=abroad", "code", "fails", "is in eu-central-1"),
        ("CriticalAlarmEmail=", "mail", "warning", "go to nobody"),
        ("CriticalAlarmEmail=nobody", "parameters", "fails", "CriticalAlarmEmail is 'nobody'"),
        ("Alarm=x", "parameters", "fails", "Alarm is no parameter"),
        ("AvailabilityZoneIndexB=0", "region", "fails", "same Availability Zone"),
        (
            "AvailabilityZoneIndexB=5",
            "zones",
            "fails",
            "AvailabilityZoneIndexB=5: there is no such zone",
        ),
        ("S3PrefixListId=pl-1234", "prefix-list", "fails", "S3PrefixListId is pl-1234"),
        ("AllowedRegions=us-east-1,us-west-2", "region", "fails", "does not name this region"),
    ],
)
def test_each_fault_is_named(
    person: Person, value: str, check: str, verdict: str, told: str
) -> None:
    """D4: in one sentence with a fix, and nothing is written."""
    given = [one for one in GIVEN if one.split("=")[0] != value.split("=")[0]]
    status = int(verdict == "fails")
    seen = person.sees(*given, value, "--write", "out.json", status=status, only=check)
    (found,) = [one for one in seen[check] if one["verdict"] != "ok"]
    assert found["verdict"] == verdict
    assert told in found["says"]
    assert found["fix"]
    assert Path("out.json").exists() == (verdict == "warning")


def test_what_is_missing_is_named(person: Person) -> None:
    (missing,) = person.sees(status=1, only="parameters")["parameters"]
    assert "CodeBucket, CodeKey" in missing["says"]
    person.asks("--template", "none.json", status=2)
    person.asks("Code", status=2)
    Path("build/stack.json").write_text("[]")
    person.asks(status=2)


def test_who_may_not_look_is_not_told_that_all_is_well(person: Person, emulator: Emulator) -> None:
    """D4: without rights each check fails, and says which call it takes."""
    iam = emulator.client("iam")
    iam.create_user(UserName="newcomer")
    key = iam.create_access_key(UserName="newcomer")["AccessKey"]
    person.patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    person.patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    seen = person.sees(*GIVEN, "--skip", "stack", status=1)
    assert "stack" not in seen
    for name in ("prefix-list", "zones", "concurrency", "names"):
        assert seen[name][-1]["verdict"] == "fails"
        assert f"--skip {name}" in seen[name][-1]["fix"]


def test_names_that_are_taken_are_found(person: Person, emulator: Emulator) -> None:
    """Traps 29, 52: of another stack, or left by an earlier one; the stack's own are no trouble."""
    prefix, account = "taken", "000000000000"
    here = {"LocationConstraint": emulator.region}
    bucket = f"{prefix}-uploads-{account}-{emulator.region}"
    s3, key = emulator.client("s3"), emulator.client("kms").create_key()["KeyMetadata"]["KeyId"]
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=here)
    tags = [{"Key": resource_names.STACK_TAG, "Value": "earlier"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    emulator.client("sqs").create_queue(QueueName=f"{prefix}-work")
    emulator.client("kms").create_alias(AliasName=f"alias/{prefix}", TargetKeyId=key)
    emulator.client("logs").create_log_group(logGroupName=f"/{prefix}/worker")
    emulator.client("sns").create_topic(Name=f"{prefix}-critical-alarms")
    watching = emulator.client("cloudwatch")
    watching.put_metric_alarm(
        AlarmName=f"{prefix}-dead-letters",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="x",
        Namespace="x",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    watching.put_dashboard(
        DashboardName=f"{prefix}-{emulator.region}", DashboardBody='{"widgets": []}'
    )
    found = person.sees(*GIVEN, f"NamePrefix={prefix}", status=1, only="names")["names"]
    says = {one["says"]: one["fix"] for one in found}
    (left,) = [text for text in says if bucket in text]
    assert "the stack earlier left" in left
    assert "teardown --stack-name earlier" in says[left]
    for name in (
        f"SQS::Queue {prefix}-work",
        f"KMS::Alias alias/{prefix}",
        f"Logs::LogGroup /{prefix}/worker",
        f"SNS::Topic {prefix}-critical-alarms",
        f"CloudWatch::Alarm {prefix}-dead-letters",
        f"CloudWatch::Dashboard {prefix}-{emulator.region}",
    ):
        assert any(name in text for text in says), name
    assert len(found) == 7


def test_every_name_that_a_template_gives_is_looked_for() -> None:
    """Trap 52: a new kind of resource with a name cannot be forgotten."""
    template = built(
        {
            "sources": {
                "default": {},
                "scans": {"type": "eventbridge", "prefixes": ["in/"]},
                "feed": {"type": "sns", "prefixes": ["in/"]},
            },
            "logs": {"archive": True},
        }
    )
    reading = ResolvedTemplate(template).with_parameters(NamePrefix="sought")
    named = [
        (resource["Type"], key, value)
        for title, resource in reading.resources.items()
        for key, value in reading.properties(title).items()
        if key.endswith("Name")
        and isinstance(value, str)
        and "sought" in value
        # What belongs to something named is found with that.
        and not (
            isinstance(resource["Properties"][key], dict) and "Ref" in resource["Properties"][key]
        )
    ]
    assert {(kind.removeprefix("AWS::"), key) for kind, key, _ in named} <= {
        (kind, RESOURCE_TYPES[kind].name) for kind in resource_names.EXISTS
    }
    assert len(named) > 15


@pytest.fixture
def network(emulator: Emulator) -> dict[str, str]:
    """An existing VPC that is as it should be: parameters of a stack in it."""
    ec2 = emulator.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    subnets = []
    for number, zone in enumerate("ab"):
        made = ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=emulator.region + zone
        )
        subnets.append(made["Subnet"]["SubnetId"])
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[-1])
    group = ec2.create_security_group(GroupName="doors", Description="x", VpcId=vpc)["GroupId"]
    door = ec2.create_vpc_endpoint(
        VpcId=vpc,
        VpcEndpointType="Gateway",
        ServiceName=f"com.amazonaws.{emulator.region}.s3",
        RouteTableIds=[table],
    )["VpcEndpoint"]["VpcEndpointId"]
    return {
        "VpcId": vpc,
        "SubnetIds": ",".join(subnets),
        "S3EndpointId": door,
        "SqsEndpointSecurityGroupId": group,
        # The embedded AWS forgets private DNS and the group of an interface endpoint.
        "CreateSqsEndpoint": "false",
    }


def given(values: dict[str, str]) -> list[str]:
    return [*GIVEN, *(f"{key}={value}" for key, value in values.items())]


def test_an_existing_network_is_looked_at(
    person: Person, emulator: Emulator, network: dict[str, str]
) -> None:
    """Trap 45, S6: names resolve, subnets are in two zones, and their routes lead to S3."""
    person.has({"network": {"vpc": "existing", "endpoints": "existing"}})
    seen = person.sees(*given(network), only="vpc")["vpc"]
    assert {one["verdict"] for one in seen} == {"ok"}
    assert len(seen) == 4

    ec2 = emulator.client("ec2")
    subnets = network["SubnetIds"].split(",")
    other = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    stranger = ec2.create_subnet(VpcId=other, CidrBlock="10.8.0.0/24")["Subnet"]["SubnetId"]

    def fault(**changed: str) -> str:
        found = person.sees(*given({**network, **changed}), status=1, only="vpc")["vpc"]
        return " ".join(one["says"] for one in found if one["verdict"] == "fails")

    assert "all subnets are in" in fault(SubnetIds=subnets[0])
    assert stranger in fault(SubnetIds=f"{subnets[0]},{stranger}")
    assert "does not exist" in fault(SubnetIds=f"{subnets[0]},subnet-0123456789abcdef0")
    assert "is no gateway endpoint" in fault(S3EndpointId="vpce-0123456789abcdef0")
    ec2.modify_vpc_attribute(VpcId=network["VpcId"], EnableDnsHostnames={"Value": False})
    assert "has enableDnsHostnames off" in fault()
    ec2.modify_vpc_attribute(VpcId=network["VpcId"], EnableDnsHostnames={"Value": True})
    table = ec2.create_route_table(VpcId=network["VpcId"])["RouteTable"]["RouteTableId"]
    third = ec2.create_subnet(
        VpcId=network["VpcId"], CidrBlock="10.9.9.0/24", AvailabilityZone=emulator.region + "c"
    )["Subnet"]["SubnetId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=third)
    assert f"is not in {table}" in fault(SubnetIds=f"{subnets[0]},{third}")


def test_endpoints_that_would_be_added_twice_are_found(
    person: Person, network: dict[str, str]
) -> None:
    """S6: CloudFormation fails half-way at a second route to S3."""
    person.has({"network": {"vpc": "existing"}})
    values = {name: network[name] for name in ("VpcId", "SubnetIds", "CreateSqsEndpoint")}
    found = person.sees(
        *given({**values, "VpcCidr": "10.9.0.0/16", "RouteTableIds": "rtb-0"}), status=1
    )["vpc"]
    (wrong,) = [one for one in found if one["verdict"] == "fails"]
    assert "RouteTableIds is rtb-0; the subnets use" in wrong["says"]
    tables = wrong["fix"].partition("=")[2]
    found = person.sees(
        *given({**values, "VpcCidr": "10.9.0.0/16", "RouteTableIds": tables}), status=1
    )["vpc"]
    assert any("lead to S3 already" in one["says"] for one in found)


def test_existing_sources_are_looked_at(person: Person, emulator: Emulator) -> None:
    """Trap 46, T5: in this region, announcing, with a key that the worker is told of."""
    person.has(
        {
            "sources": {
                "scans": {"type": "eventbridge", "prefixes": ["in/"]},
                "feed": {"type": "sns", "prefixes": ["in/"]},
            }
        }
    )
    s3, sns = emulator.client("s3"), emulator.client("sns")
    here = {"LocationConstraint": emulator.region}
    for name in ("scans", "feed"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=here)
    topic = sns.create_topic(Name="feed")["TopicArn"]
    values = {"ScansBucketName": "scans", "FeedBucketName": "feed", "FeedTopicArn": topic}

    def says(**changed: str) -> str:
        found = person.sees(*given({**values, **changed}), status=1, only="sources")["sources"]
        return " ".join(one["says"] for one in found if one["verdict"] == "fails")

    assert "announces nothing to EventBridge" in says()
    s3.put_bucket_notification_configuration(
        Bucket="scans", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    seen = person.sees(*given(values), only="sources")["sources"]
    assert [one["verdict"] for one in seen] == ["ok"] * 3
    assert "there is no bucket nowhere" in says(ScansBucketName="nowhere")
    assert "is in eu-central-1" in says(ScansBucketName="abroad")
    assert "there is no topic" in says(FeedTopicArn=topic + "x")
    assert "is in us-east-1" in says(FeedTopicArn=topic.replace(emulator.region, "us-east-1"))
    key = emulator.client("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    }
    s3.put_bucket_encryption(Bucket="scans", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert f"is under the key {key}" in says()
    seen = person.sees(*given({**values, "ScansKmsKeyArn": key}), only="sources")["sources"]
    assert seen[0]["verdict"] == "ok"


def test_a_stack_that_cannot_be_updated_is_found(person: Person, emulator: Emulator) -> None:
    """D4: what a first creation that failed leaves has to go first."""
    bad = {"Resources": {"A": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "code"}}}}
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName="planned", TemplateBody=json.dumps(bad))
    try:
        with pytest.raises(Exception, match="ROLLBACK"):
            cloudformation.get_waiter("stack_create_complete").wait(
                StackName="planned", WaiterConfig={"Delay": 1}
            )
        (found,) = person.sees(*GIVEN, status=1, only="stack")["stack"]
        assert "ROLLBACK_COMPLETE" in found["says"]
        assert "delete-stack" in found["fix"]
    finally:
        cloudformation.delete_stack(StackName="planned")
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName="planned", WaiterConfig={"Delay": 1}
        )


@dataclass
class Stubbed:
    """A plan whose AWS gives these answers, in this order and no others."""

    plan: preflight.Plan

    def answers(self, service: str, *answers: tuple[str, dict[str, Any]]) -> None:
        stubber = Stubber(self.plan.account.client(service))
        for operation, answer in answers:
            stubber.add_response(operation, answer)
        stubber.activate()


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stubbed]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

    def make(description: dict[str, Any] | None = None, **values: str) -> Stubbed:
        session = botocore.session.Session()
        session.set_config_variable("region", "us-east-1")
        account = Account(session=session)
        who = {"Account": "111122223333", "Arn": "arn:aws:iam::111122223333:user/me", "UserId": "A"}
        with Stubber(account.client("sts")) as sts:
            sts.add_response("get_caller_identity", who)
            assert account.caller
        plan = preflight.Plan(
            account=account,
            name="planned",
            template=built(description),
            size=1,
            given=values,
            problems=[],
        )
        plan.stack = None
        return Stubbed(plan)

    return make


def zones_of_us_east_1(stubbed: Stubbed, served: str, default: str = "") -> list[Finding]:
    region = "us-east-1"
    stubbed.answers(
        "ec2",
        (
            "describe_availability_zones",
            {"AvailabilityZones": [{"ZoneName": region + letter} for letter in "fabcde"]},
        ),
        (
            "describe_subnets",
            {
                "Subnets": [
                    {"AvailabilityZone": region + letter, "DefaultForAz": True}
                    for letter in default
                ]
            },
        ),
        (
            "describe_vpc_endpoint_services",
            {
                "ServiceDetails": [
                    {
                        "ServiceName": f"com.amazonaws.{region}.sqs",
                        "AvailabilityZones": [region + letter for letter in served],
                    }
                ]
            },
        ),
    )
    return list(preflight._zones(stubbed.plan))


def test_zones_without_the_endpoint_are_passed_over(stubbed: Callable[..., Stubbed]) -> None:
    """Trap 24: numbers count zones by name; where nobody chose, those that do are taken."""
    one = stubbed()
    (found,) = zones_of_us_east_1(one, served="bdf")
    assert found.verdict == "ok"
    assert one.plan.found == {"AvailabilityZoneIndexA": "1", "AvailabilityZoneIndexB": "3"}


def test_chosen_zones_are_not_changed(stubbed: Callable[..., Stubbed]) -> None:
    """Trap 24: what somebody chose and cannot be is said, with what can."""
    one = stubbed(AvailabilityZoneIndexA="0", AvailabilityZoneIndexB="1")
    (found,) = zones_of_us_east_1(one, served="bdf")
    assert found.verdict == "fails"
    assert "AvailabilityZoneIndexA=0: SqsEndpoint (com.amazonaws.us-east-1.sqs)" in found.says
    assert "1 (us-east-1b), 3 (us-east-1d), 5 (us-east-1f)" in found.fix
    assert not one.plan.found


def test_zones_are_those_with_a_default_subnet(stubbed: Callable[..., Stubbed]) -> None:
    """Trap 24: Fn::GetAZs leaves out the others, so that the numbers mean other zones."""
    one = stubbed()
    (found,) = zones_of_us_east_1(one, served="abcdef", default="df")
    assert (
        "AvailabilityZoneIndexA is us-east-1d, AvailabilityZoneIndexB is us-east-1f" in found.says
    )
    (found,) = zones_of_us_east_1(
        stubbed(AvailabilityZoneIndexB="2"), served="abcdef", default="df"
    )
    assert "AvailabilityZoneIndexB=2: there is no such zone" in found.says


@pytest.mark.parametrize(
    ("quota", "left", "values", "verdict"),
    [
        (10, 10, {"MaximumConcurrency": "10"}, "ok"),
        (10, 10, {"MaximumConcurrency": "11"}, "warning"),
        (10, 10, {"MaximumConcurrency": "2", "ReserveConcurrency": "true"}, "fails"),
        (1000, 1000, {"MaximumConcurrency": "900", "ReserveConcurrency": "true"}, "ok"),
        (1000, 1000, {"MaximumConcurrency": "901", "ReserveConcurrency": "true"}, "fails"),
        (1000, 100, {"MaximumConcurrency": "2", "ReserveConcurrency": "true"}, "fails"),
        (1000, 40, {"MaximumConcurrency": "41"}, "warning"),
    ],
)
def test_the_accounts_quota_bounds_concurrency(
    stubbed: Callable[..., Stubbed], quota: int, left: int, values: dict[str, str], verdict: str
) -> None:
    """Trap 18: Lambda keeps a hundred unreserved, or all of a new account's ten."""
    one = stubbed(**values)
    limit = {"ConcurrentExecutions": quota, "UnreservedConcurrentExecutions": left}
    one.answers("lambda", ("get_account_settings", {"AccountLimit": limit}))
    (found,) = preflight._concurrency(one.plan)
    assert found.verdict == verdict


def test_a_region_without_the_list_is_told(stubbed: Callable[..., Stubbed]) -> None:
    """Trap 25: never a guess."""
    one = stubbed()
    one.answers("ec2", ("describe_managed_prefix_lists", {"PrefixLists": []}))
    (found,) = preflight._prefix_list(one.plan)
    assert found.verdict == "fails"


def test_another_accounts_topic_may_hide(stubbed: Callable[..., Stubbed]) -> None:
    """T5: that it cannot be seen is no proof that it is not there."""
    one = stubbed()
    client = Stubber(one.plan.account.client("sns"))
    client.add_client_error("get_topic_attributes", "AuthorizationError", http_status_code=403)
    client.activate()
    (found,) = preflight._foreign_topic(one.plan, "arn:aws:sns:us-east-1:444455556666:theirs")
    assert found.verdict == "warning"


@pytest.mark.parametrize(
    ("endpoints", "private", "group", "verdict"),
    [
        ("existing", True, "sg-1", "ok"),
        ("existing", True, "sg-2", "fails"),
        ("existing", False, "sg-1", "fails"),
        ("create", True, "sg-1", "fails"),  # a second private name for SQS in a VPC is refused
        ("create", False, "sg-1", "ok"),
    ],
)
def test_the_networks_endpoint_for_sqs_is_the_one_that_is_meant(
    stubbed: Callable[..., Stubbed], endpoints: str, private: bool, group: str, verdict: str
) -> None:
    """Trap 45, S6: with private DNS and behind the named group; or none in the way of our own."""
    one = stubbed(
        {"network": {"vpc": "existing", "endpoints": endpoints}}, SqsEndpointSecurityGroupId=group
    )
    there = {
        "VpcEndpointId": "vpce-1",
        "VpcEndpointType": "Interface",
        "ServiceName": "com.amazonaws.us-east-1.sqs",
        "State": "available",
        "PrivateDnsEnabled": private,
        "Groups": [{"GroupId": "sg-1", "GroupName": "doors"}],
    }
    gone = {**there, "State": "deleted", "PrivateDnsEnabled": True}
    one.answers("ec2", ("describe_vpc_endpoints", {"VpcEndpoints": [gone, there]}))
    (found,) = preflight._ways_to_sqs(one.plan, "vpc-1")
    assert found.verdict == verdict
