"""What the emulator lacks, with AWS's responses; a stub validates the shape of each one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.stack import Stack
from darkroom.checks.deployed import drift, suite
from darkroom.checks.deployed.comparison import Target, differ, differ_policies
from darkroom.checks.deployed.network import check_network
from darkroom.checks.deployed.observability import check_logs, check_subscriptions
from darkroom.checks.framework import Finding
from darkroom.cloudformation.identifiers import deployed
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console.progress import Progress
from templates import pipeline, specification

REGION, ACCOUNT = "eu-west-1", "111122223333"
PHYSICAL = {
    "S3Endpoint": "vpce-0a",
    "SqsEndpoint": "vpce-0b",
    "PrivateRouteTable": "rtb-0a",
    "PrivateSubnetA": "subnet-0a",
    "PrivateSubnetB": "subnet-0b",
    "WorkerSecurityGroup": "sg-0a",
    "EndpointSecurityGroup": "sg-0b",
    "FlowLog": "fl-0a",
    "Vpc": "vpc-0a",
    "WorkerRole": "worker-role",
    "UploadBucket": "uploads",
    "ThumbnailBucket": "thumbnails",
    "WorkQueue": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/work",
    "CriticalAlarmTopic": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
    "WarningAlarmTopic": f"arn:aws:sns:{REGION}:{ACCOUNT}:warning-alarms",
    "WorkerLogGroup": "/darkroom/worker",
    "WorkerLogDelivery": "darkroom.worker",
}


@dataclass
class Stubbed:
    """A stack whose AWS gives these responses, in this order and no others."""

    target: Target

    def answers(self, service: Any, *answers: tuple[str, dict[str, Any]]) -> None:
        stubber = Stubber(self.target.stack.client(service))
        for operation, answer in answers:
            stubber.add_response(operation, answer)
        stubber.activate()


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stubbed]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

    def make(description: dict[str, Any] | None = None, status: str = "CREATE_COMPLETE") -> Stubbed:
        session = botocore.session.Session()
        session.set_config_variable("region", REGION)
        plan = specification.parse(description or {}, origin="test")
        template = json.loads(pipeline.render(pipeline.build(plan)))
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::URLSuffix": "amazonaws.com",
        }
        stack = Stack(
            name="checked",
            id="arn",
            status=status,
            outputs={},
            parameters={},
            resources=PHYSICAL,
            session=session,
        )
        live = ResolvedTemplate(template, pseudo, deployed(PHYSICAL))
        return Stubbed(Target(stack=stack, template=live, progress=Progress(), timeout=1.0))

    return make


def network(stubbed: Stubbed, **changed: Any) -> list[Finding]:
    """Findings in a network as deployed, except for what is changed."""
    live = stubbed.target.template
    wanted = live.resources_of_type("EC2::VPCEndpoint")
    endpoints = {
        title: {
            "VpcEndpointId": PHYSICAL[title],
            "VpcEndpointType": properties["VpcEndpointType"],
            "State": changed.get("state", "available"),
            # AWS gives back the text, with lists of one as they are.
            "PolicyDocument": json.dumps(changed.get("policy", properties["PolicyDocument"])),
            "RouteTableIds": changed.get("tables", properties.get("RouteTableIds", [])),
            "SubnetIds": properties.get("SubnetIds", []),
            "PrivateDnsEnabled": changed.get("private", True),
        }
        for title, properties in wanted.items()
    }
    listed = changed.get("listed", "pl-6da54004")
    stubbed.answers(
        "ec2",
        ("describe_vpc_attribute", {"EnableDnsSupport": {"Value": changed.get("dns", True)}}),
        ("describe_vpc_attribute", {"EnableDnsHostnames": {"Value": True}}),
        *(
            ("describe_vpc_endpoints", {"VpcEndpoints": [endpoint]})
            for endpoint in endpoints.values()
        ),
        ("describe_managed_prefix_lists", {"PrefixLists": [{"PrefixListId": listed}]}),
        (
            "describe_security_groups",
            {
                "SecurityGroups": [
                    {
                        "GroupId": "sg-0a",
                        "IpPermissionsEgress": [
                            {
                                "IpProtocol": "tcp",
                                "PrefixListIds": [{"PrefixListId": "pl-6da54004"}],
                                "IpRanges": changed.get("ranges", []),
                            }
                        ],
                    }
                ]
            },
        ),
        (
            "describe_flow_logs",
            {
                "FlowLogs": [
                    {
                        "FlowLogId": "fl-0a",
                        "FlowLogStatus": "ACTIVE",
                        "DeliverLogsStatus": changed.get("delivered", "SUCCESS"),
                    }
                ]
            },
        ),
    )
    return list(check_network(stubbed.target))


def test_a_network_as_deployed_passes(stubbed: Callable[..., Stubbed]) -> None:
    """S6: endpoints, egress and flow log are as in the template."""
    assert {one.verdict for one in network(stubbed())} == {"pass"}


OPEN = {"Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dns": False}, "vpc-0a has enableDnsSupport off"),
        ({"policy": OPEN}, "S3Endpoint (vpce-0a): the policy lacks the statement ReadUploads"),
        ({"state": "pendingAcceptance"}, "state is pendingacceptance"),
        ({"private": False}, "SqsEndpoint (vpce-0b): private DNS is false, not true"),
        ({"tables": []}, "route tables: rtb-0a missing"),
        ({"listed": "pl-new"}, "S3's prefix list: pl-6da54004 instead of pl-new"),
        (
            {"ranges": [{"CidrIp": "0.0.0.0/0"}]},
            "egress to addresses: 0.0.0.0/0 not in the template",
        ),
        ({"delivered": "FAILED"}, "FlowLog (fl-0a): delivery is FAILED"),
    ],
)
def test_each_change_of_the_network_is_reported(
    stubbed: Callable[..., Stubbed], changed: dict[str, Any], message: str
) -> None:
    """S6, pitfalls 25, 26, 45: whatever was opened or moved."""
    found = network(stubbed(), **changed)
    assert message in " ".join(one.message for one in found if one.verdict == "fail")


def test_a_policy_is_compared_by_its_meaning(stubbed: Callable[..., Stubbed]) -> None:
    """S6: AWS reorders and unwraps lists; a missing condition is a difference that is named."""
    one = stubbed()
    endpoint = one.target.template.resources_of_type("EC2::VPCEndpoint")["S3Endpoint"]
    policy = endpoint["PolicyDocument"]
    turned = json.loads(json.dumps(policy))
    for statement in turned["Statement"]:
        statement["Action"] = list(reversed(statement["Action"]))
        if len(statement["Action"]) == 1:
            (statement["Action"],) = statement["Action"]
    turned["Statement"].reverse()
    assert differ_policies(policy, json.dumps(turned)) == []
    sid = turned["Statement"][0]["Sid"]
    del turned["Statement"][0]["Condition"]
    (changed,) = differ_policies(policy, json.dumps(turned))
    assert changed.message == f"Condition of the policy statement {sid} changed"
    del turned["Statement"][0]
    (lacking,) = differ_policies(policy, json.dumps(turned))
    assert lacking.message == f"the policy lacks the statement {sid}"
    turned["Statement"] += [*policy["Statement"], {**OPEN["Statement"][0], "Sid": "All"}]
    (additional,) = differ_policies(policy, json.dumps(turned))
    assert additional.message == "the policy has the additional statement All"
    (none,) = differ_policies(policy, None)
    assert none.message == "there is no policy"


def test_arns_are_those_that_aws_makes(stubbed: Callable[..., Stubbed]) -> None:
    live = stubbed().target.template
    assert live.resolve({"Fn::GetAtt": ["WorkQueue", "Arn"]}).endswith(f":{ACCOUNT}:work")
    assert live.resolve({"Fn::Sub": "${UploadBucket.Arn}/x"}) == "arn:aws:s3:::uploads/x"
    assert live.resolve({"Fn::GetAtt": ["WorkQueue", "QueueName"]}) == "work"


def test_unconfirmed_subscriptions_fail(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 35: each topic has its own sentence, and its own parameter."""
    one = stubbed()

    def page(*arns: str) -> tuple[str, dict[str, Any]]:
        subscriptions = [
            {"SubscriptionArn": arn, "Protocol": "email", "Endpoint": "you@example.com"}
            for arn in arns
        ]
        return "list_subscriptions_by_topic", {"Subscriptions": subscriptions}

    one.answers("sns", page("PendingConfirmation", "arn:aws:sns:x:y:z"), page())
    pending, confirmed, nobody = check_subscriptions(one.target)
    assert (pending.verdict, confirmed.verdict, nobody.verdict) == ("fail", "pass", "warn")
    assert "has not confirmed" in pending.message
    assert "WarningAlarmTopic notifies nobody" in nobody.message
    assert "WarningAlarmEmail" in nobody.remediation


def test_drift_is_awaited_and_read_page_by_page(
    stubbed: Callable[..., Stubbed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D4: detection takes its time, and may fail for some types."""
    monkeypatch.setattr(drift, "PAUSE_SECONDS", 0)
    one = stubbed()
    now = {"StackId": "arn", "StackDriftDetectionId": "d", "Timestamp": 0}

    def drifted(title: str, status: str) -> dict[str, Any]:
        return {
            "StackId": "arn",
            "LogicalResourceId": title,
            "PhysicalResourceId": title.lower(),
            "ResourceType": "AWS::SQS::Queue",
            "StackResourceDriftStatus": status,
            "Timestamp": 0,
            "PropertyDifferences": [
                {
                    "PropertyPath": "/VisibilityTimeout",
                    "ExpectedValue": "1",
                    "ActualValue": "2",
                    "DifferenceType": "NOT_EQUAL",
                }
            ],
        }

    one.answers(
        "cloudformation",
        ("detect_stack_drift", {"StackDriftDetectionId": "d"}),
        (
            "describe_stack_drift_detection_status",
            {**now, "DetectionStatus": "DETECTION_IN_PROGRESS"},
        ),
        (
            "describe_stack_drift_detection_status",
            {
                **now,
                "DetectionStatus": "DETECTION_FAILED",
                "DetectionStatusReason": "no right to read [X]",
            },
        ),
        (
            "describe_stack_resource_drifts",
            {"StackResourceDrifts": [drifted("WorkQueue", "MODIFIED")], "NextToken": "n"},
        ),
        ("describe_stack_resource_drifts", {"StackResourceDrifts": [drifted("Vpc", "DELETED")]}),
    )
    failed, modified, deleted = drift.check_drift(one.target)
    assert "no right to read [X]" in failed.message
    assert "WorkQueue (workqueue) is modified: /VisibilityTimeout" in modified.message
    assert "Vpc (vpc) is deleted" in deleted.message


@pytest.mark.parametrize(
    ("destination", "status", "encrypted", "message"),
    [
        ("", "ACTIVE", "ENABLED", ""),
        ("arn:elsewhere", "ACTIVE", "ENABLED", "destination: arn:aws:firehose"),
        ("", "CREATING", "ENABLED", "state is CREATING, not ACTIVE"),
        ("", "ACTIVE", "DISABLED", "encryption is DISABLED, not ENABLED"),
    ],
)
def test_the_archive_is_connected(
    stubbed: Callable[..., Stubbed], destination: str, status: str, encrypted: str, message: str
) -> None:
    """O6: the log group leads to a stream that is active and encrypted."""
    one = stubbed({"logs": {"archive": True}})
    live = one.target.template
    ((_, subscription),) = live.resources_of_type("Logs::SubscriptionFilter").items()
    groups = live.resources_of_type("Logs::LogGroup")
    described = [
        {
            "logGroupName": PHYSICAL.get(title, f"<{title}>"),
            "retentionInDays": int(properties["RetentionInDays"]),
            "kmsKeyId": properties["KmsKeyId"],
        }
        for title, properties in groups.items()
    ]
    filters = [{"destinationArn": destination or subscription["DestinationArn"]}]
    one.answers(
        "logs",
        *(("describe_log_groups", {"logGroups": [group]}) for group in described),
        ("describe_subscription_filters", {"subscriptionFilters": filters}),
    )
    arn = f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/darkroom.worker"
    one.answers(
        "firehose",
        (
            "describe_delivery_stream",
            {
                "DeliveryStreamDescription": {
                    "DeliveryStreamName": "darkroom.worker",
                    "DeliveryStreamARN": arn,
                    "DeliveryStreamStatus": status,
                    "DeliveryStreamEncryptionConfiguration": {"Status": encrypted},
                    "DeliveryStreamType": "DirectPut",
                    "VersionId": "1",
                    "Destinations": [],
                    "HasMoreDestinations": False,
                }
            },
        ),
    )
    assert subscription["DestinationArn"] == arn
    failures = [found.message for found in check_logs(one.target) if found.verdict == "fail"]
    assert message in " ".join(failures)
    assert bool(message) == bool(failures)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("UPDATE_COMPLETE", "pass"),
        ("UPDATE_ROLLBACK_COMPLETE", "fail"),
        ("UPDATE_IN_PROGRESS", "fail"),
        ("DELETE_FAILED", "fail"),
    ],
)
def test_a_stack_that_was_rolled_back_is_not_what_was_deployed(
    stubbed: Callable[..., Stubbed], status: str, verdict: str
) -> None:
    """D4: the status of the last deployment comes first."""
    (found,) = suite.check_status(stubbed(status=status).target)
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("expected", "actual", "message"),
    [
        ({"a", "b"}, {"b"}, "x: a missing"),
        (set(), {"c"}, "x: c not in the template"),
        ({"a"}, {"b"}, "x: b instead of a"),
        (1, 2, "x is 2, not 1"),
        (True, None, "x is not set, but true in the template"),
        (None, 3, "x is 3, but not set in the template"),
    ],
)
def test_a_difference_is_a_clause(expected: Any, actual: Any, message: str) -> None:
    (found,) = differ("x", expected, actual)
    assert found.message == message
    assert differ("x", expected, expected) == []
