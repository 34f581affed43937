"""Problems found before a deployment, on the emulator.

tests/unit/darkroom/checks/test_prerequisites.py has those that need responses of AWS itself.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from darkroom import cli
from darkroom.aws import resource_names
from darkroom.checks.names import PREFLIGHT
from darkroom.cloudformation import parameters
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
        abroad: Any = botocore.session.Session().create_client(
            "s3",
            region_name="eu-central-1",
            endpoint_url=emulator.url,
            verify=str(emulator.certificate),
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
        abroad.create_bucket(
            Bucket="abroad", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield emulator


@dataclass
class Operator:
    """A person who is about to deploy a template."""

    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def runs(self, *arguments: str, status: int = 0) -> str:
        self.capture.readouterr()
        assert cli.main(["preflight", "--stack-name", "planned", *arguments]) == status
        return self.capture.readouterr().out

    def findings(
        self, *arguments: str, status: int = 0, only: str = ""
    ) -> dict[str, list[dict[str, str]]]:
        """Findings by check: of one check alone, which is faster, or of all."""
        others = [name for name in PREFLIGHT if only and name != only]
        skips = [text for name in others for text in ("--skip", name)]
        report = json.loads(self.runs(*arguments, *skips, "--format", "json", status=status))
        # The default template is too large for a direct deployment; no test here is about that.
        checks = [one for one in report["checks"] if "--s3-bucket" not in one["remediation"]]
        return {
            name: [one for one in checks if one["check"] == name]
            for name in (one["check"] for one in checks)
        }

    def generates(self, description: dict[str, Any]) -> None:
        Path("build/stack.json").write_text(json.dumps(built(description)))


@pytest.fixture
def operator(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Operator:
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
    return Operator(capsys, monkeypatch)


def test_discovered_values_are_written_for_deploy(operator: Operator, emulator: Emulator) -> None:
    """D4, pitfall 36: all passes, and the file holds the given and the discovered values."""
    given = (*GIVEN, "Environment=prod")
    found = operator.findings(*given, "--output", "params/prod.json")
    # The emulator makes up its prefix list; what the template knows is another.
    assert {one["verdict"] for name in found for one in found[name] if name != "prefix-list"} == {
        "pass"
    }
    pairs = parameters.read_file(Path("params/prod.json"))
    assert list(parameters.problems(built()["Parameters"], pairs)) == []
    values = dict(pairs)
    assert values.items() >= {tuple(text.split("=")) for text in GIVEN}
    assert values["AllowedRegions"] == emulator.region
    assert values["S3PrefixListId"].startswith("pl-")
    assert (values["AvailabilityZoneIndexA"], values["AvailabilityZoneIndexB"]) == ("0", "1")
    # Once more, from the file: nothing new; another content is not lost without consent.
    again = operator.findings("--parameters", "params/prod.json", "--output", "params/prod.json")
    assert again["prefix-list"][0]["verdict"] == "pass"
    Path("params/prod.json").write_text('["CodeBucket=other"]')
    operator.runs(*GIVEN, "--output", "params/prod.json", status=2)
    assert "other" in Path("params/prod.json").read_text()
    operator.runs(*GIVEN, "--output", "params/prod.json", "--yes")
    assert "other" not in Path("params/prod.json").read_text()


@pytest.mark.parametrize(
    ("value", "check", "verdict", "message"),
    [
        ("CodeKey=gone.zip", "code", "fail", "there is no s3://code/gone.zip"),
        ("CodeKey=mine.zip", "code", "warn", "does not contain its runtime"),
        ("Architecture=x86_64", "code", "fail", "is not for python3.13 on x86_64"),
        ("CodeBucket=nowhere", "code", "fail", "there is no s3://nowhere"),
        ("CodeBucket=abroad", "code", "fail", "is in eu-central-1"),
        ("CriticalAlarmEmail=", "alarm-email", "warn", "go to nobody"),
        (
            "ExistingCriticalTopicArn=arn:aws:sns:eu-west-1:000000000000:gone",
            "alarm-topics",
            "fail",
            "there is no topic",
        ),
        ("CriticalAlarmEmail=nobody", "parameters", "fail", "CriticalAlarmEmail is 'nobody'"),
        ("Alarm=x", "parameters", "fail", "Alarm is not a parameter"),
        ("AvailabilityZoneIndexB=0", "rules", "fail", "values must differ"),
        (
            "AvailabilityZoneIndexB=5",
            "availability-zones",
            "fail",
            "AvailabilityZoneIndexB=5: there is no such zone",
        ),
        ("S3PrefixListId=pl-1234", "prefix-list", "fail", "S3PrefixListId is pl-1234"),
        ("AllowedUploadCidrs=0.0.0.0/0", "parameters", "fail", "AllowedUploadCidrs is '0.0.0.0/0'"),
        ("AllowedUploadCidrs=::/1", "upload-cidrs", "fail", "more than half of all IPv6"),
        ("AllowedRegions=us-east-1,us-west-2", "rules", "fail", "does not include this Region"),
    ],
)
def test_each_problem_is_reported(
    operator: Operator, value: str, check: str, verdict: str, message: str
) -> None:
    """D4: in one sentence with a remediation, and nothing is written."""
    given = [one for one in GIVEN if one.split("=")[0] != value.split("=")[0]]
    status = int(verdict == "fail")
    found = operator.findings(*given, value, "--output", "out.json", status=status, only=check)
    (problem,) = [one for one in found[check] if one["verdict"] != "pass"]
    assert problem["verdict"] == verdict
    assert message in problem["message"]
    assert problem["remediation"]
    assert Path("out.json").exists() == (verdict == "warn")


def test_missing_values_and_files_are_named(operator: Operator) -> None:
    (missing,) = operator.findings(status=1, only="parameters")["parameters"]
    assert "CodeBucket, CodeKey" in missing["message"]
    operator.runs("--template", "none.json", status=2)
    operator.runs("Code", status=2)
    Path("build/stack.json").write_text("[]")
    operator.runs(status=2)


def test_a_check_without_permission_fails(operator: Operator, emulator: Emulator) -> None:
    """D4: without permissions each check fails, and names the call that it makes."""
    iam = emulator.client("iam")
    iam.create_user(UserName="newcomer")
    key = iam.create_access_key(UserName="newcomer")["AccessKey"]
    operator.patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    operator.patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    found = operator.findings(*GIVEN, "--skip", "stack", status=1)
    assert "stack" not in found
    for name in ("prefix-list", "availability-zones", "concurrency", "names"):
        assert found[name][-1]["verdict"] == "fail"
        assert f"--skip {name}" in found[name][-1]["remediation"]


def test_names_that_are_taken_are_found(operator: Operator, emulator: Emulator) -> None:
    """Pitfalls 29, 52: of another stack, or left by an earlier one; the stack's own may exist."""
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
    found = operator.findings(*GIVEN, f"NamePrefix={prefix}", status=1, only="names")["names"]
    messages = {one["message"]: one["remediation"] for one in found}
    (left,) = [text for text in messages if bucket in text]
    assert "which the stack earlier has or left" in left
    assert "darkroom delete --stack-name earlier" in messages[left]
    for name in (
        f"SQS::Queue {prefix}-work",
        f"KMS::Alias alias/{prefix}",
        f"Logs::LogGroup /{prefix}/worker",
        f"SNS::Topic {prefix}-critical-alarms",
        f"CloudWatch::Alarm {prefix}-dead-letters",
        f"CloudWatch::Dashboard {prefix}-{emulator.region}",
    ):
        assert any(name in text for text in messages), name
    assert len(found) == 7


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
    group = ec2.create_security_group(GroupName="endpoints", Description="x", VpcId=vpc)["GroupId"]
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc,
        VpcEndpointType="Gateway",
        ServiceName=f"com.amazonaws.{emulator.region}.s3",
        RouteTableIds=[table],
    )["VpcEndpoint"]["VpcEndpointId"]
    return {
        "VpcId": vpc,
        "SubnetIds": ",".join(subnets),
        "S3EndpointId": endpoint,
        "SqsEndpointId": endpoint,
        "SqsEndpointSecurityGroupId": group,
        # The emulator forgets private DNS and the group of an interface endpoint.
        "CreateSqsEndpoint": "false",
    }


def given(values: dict[str, str]) -> list[str]:
    return [*GIVEN, *(f"{key}={value}" for key, value in values.items())]


def test_an_existing_network_is_checked(
    operator: Operator, emulator: Emulator, network: dict[str, str]
) -> None:
    """Pitfall 45, S6: names resolve, subnets are in two zones, and their routes lead to S3."""
    operator.generates({"network": {"vpc": "existing", "endpoints": "existing"}})
    found = operator.findings(*given(network), only="vpc")["vpc"]
    assert {one["verdict"] for one in found} == {"pass"}
    assert len(found) == 5

    ec2 = emulator.client("ec2")
    subnets = network["SubnetIds"].split(",")
    other = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    elsewhere = ec2.create_subnet(VpcId=other, CidrBlock="10.8.0.0/24")["Subnet"]["SubnetId"]

    def problem(**changed: str) -> str:
        found = operator.findings(*given({**network, **changed}), status=1, only="vpc")["vpc"]
        return " ".join(one["message"] for one in found if one["verdict"] == "fail")

    assert "all subnets are in" in problem(SubnetIds=subnets[0])
    assert elsewhere in problem(SubnetIds=f"{subnets[0]},{elsewhere}")
    assert "does not exist" in problem(SubnetIds=f"{subnets[0]},subnet-0123456789abcdef0")
    assert "is not a gateway endpoint" in problem(S3EndpointId="vpce-0123456789abcdef0")
    ec2.modify_vpc_attribute(VpcId=network["VpcId"], EnableDnsHostnames={"Value": False})
    assert "has enableDnsHostnames off" in problem()
    ec2.modify_vpc_attribute(VpcId=network["VpcId"], EnableDnsHostnames={"Value": True})
    table = ec2.create_route_table(VpcId=network["VpcId"])["RouteTable"]["RouteTableId"]
    third = ec2.create_subnet(
        VpcId=network["VpcId"], CidrBlock="10.9.9.0/24", AvailabilityZone=emulator.region + "c"
    )["Subnet"]["SubnetId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=third)
    assert f"is not in {table}" in problem(SubnetIds=f"{subnets[0]},{third}")


def test_endpoints_that_would_be_added_twice_are_found(
    operator: Operator, network: dict[str, str]
) -> None:
    """S6: CloudFormation fails half-way at a second route to S3."""
    operator.generates({"network": {"vpc": "existing"}})
    values = {name: network[name] for name in ("VpcId", "SubnetIds", "CreateSqsEndpoint")}
    found = operator.findings(
        *given({**values, "VpcCidr": "10.9.0.0/16", "RouteTableIds": "rtb-0"}), status=1
    )["vpc"]
    (wrong,) = [one for one in found if one["verdict"] == "fail"]
    assert "RouteTableIds is rtb-0; the subnets use" in wrong["message"]
    tables = wrong["remediation"].partition("=")[2]
    found = operator.findings(
        *given({**values, "VpcCidr": "10.9.0.0/16", "RouteTableIds": tables}), status=1
    )["vpc"]
    assert any("already have a route to S3" in one["message"] for one in found)


def test_existing_sources_are_checked(operator: Operator, emulator: Emulator) -> None:
    """Pitfall 46, T5: in this region, with notifications, with a key that the worker may use."""
    operator.generates(
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

    def problem(**changed: str) -> str:
        found = operator.findings(*given({**values, **changed}), status=1, only="sources")[
            "sources"
        ]
        return " ".join(one["message"] for one in found if one["verdict"] == "fail")

    assert "sends no notifications to EventBridge" in problem()
    s3.put_bucket_notification_configuration(
        Bucket="scans", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    found = operator.findings(*given(values), only="sources")["sources"]
    assert [one["verdict"] for one in found] == ["pass"] * 3
    assert "there is no bucket nowhere" in problem(ScansBucketName="nowhere")
    assert "is in eu-central-1" in problem(ScansBucketName="abroad")
    assert "there is no topic" in problem(FeedTopicArn=topic + "x")
    assert "is in us-east-1" in problem(FeedTopicArn=topic.replace(emulator.region, "us-east-1"))
    key = emulator.client("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    }
    s3.put_bucket_encryption(Bucket="scans", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert f"is encrypted with {key}" in problem()
    found = operator.findings(*given({**values, "ScansKmsKeyArn": key}), only="sources")["sources"]
    assert found[0]["verdict"] == "pass"


def test_a_stack_that_cannot_be_updated_is_found(operator: Operator, emulator: Emulator) -> None:
    """D4: what a first creation that failed leaves has to go first."""
    bad = {"Resources": {"A": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "code"}}}}
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName="planned", TemplateBody=json.dumps(bad))
    try:
        with pytest.raises(Exception, match="ROLLBACK"):
            cloudformation.get_waiter("stack_create_complete").wait(
                StackName="planned", WaiterConfig={"Delay": 1}
            )
        (found,) = operator.findings(*GIVEN, status=1, only="stack")["stack"]
        assert "ROLLBACK_COMPLETE" in found["message"]
        assert "delete-stack" in found["remediation"]
    finally:
        cloudformation.delete_stack(StackName="planned")
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName="planned", WaiterConfig={"Delay": 1}
        )
