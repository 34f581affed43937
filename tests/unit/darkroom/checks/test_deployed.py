"""What the embedded AWS does not have, by AWS's own answers: a stub checks each one's shape."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.stack import Stack
from darkroom.checks.framework import Finding
from darkroom.cloudformation.identifiers import deployed
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.commands import verify
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
    """A stack whose AWS gives these answers, in this order and no others."""

    target: verify.Target

    def answers(self, service: str, *answers: tuple[str, dict[str, Any]]) -> None:
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
        return Stubbed(verify.Target(stack, live, Progress(), 1.0))

    return make


def on(attribute: str) -> tuple[str, dict[str, Any]]:
    return "describe_vpc_attribute", {attribute: {"Value": True}}


def network(stubbed: Stubbed, **changed: Any) -> list[Finding]:
    """What is found where all is well but for what is changed."""
    live = stubbed.target.template
    wanted = live.resources_of_type("EC2::VPCEndpoint")
    doors = {
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
        *(("describe_vpc_endpoints", {"VpcEndpoints": [door]}) for door in doors.values()),
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
    return list(verify._network(stubbed.target))


def test_a_network_as_deployed_is_well(stubbed: Callable[..., Stubbed]) -> None:
    """S6: endpoints, ways out and flow log, with what the template says of them."""
    assert {one.verdict for one in network(stubbed())} == {"ok"}


OPEN = {"Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}]}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"dns": False}, "vpc-0a has enableDnsSupport off"),
        ({"policy": OPEN}, "S3Endpoint (vpce-0a): its policy is [another"),
        ({"state": "pendingAcceptance"}, "its state is pendingacceptance"),
        ({"private": False}, "SqsEndpoint (vpce-0b): private DNS is false"),
        ({"tables": []}, "RouteTableIds is [], not [rtb-0a]"),
        ({"listed": "pl-new"}, "S3's prefix list is [pl-6da54004], not [pl-new]"),
        ({"ranges": [{"CidrIp": "0.0.0.0/0"}]}, "other addresses is [0.0.0.0/0], not []"),
        ({"delivered": "FAILED"}, "FlowLog (fl-0a): its delivery is FAILED"),
    ],
)
def test_each_change_of_the_network_is_told(
    stubbed: Callable[..., Stubbed], changed: dict[str, Any], told: str
) -> None:
    """S6, traps 25, 26, 45: whatever was opened or moved."""
    found = network(stubbed(), **changed)
    assert told in " ".join(one.says for one in found if one.verdict == "fails")


def test_a_policy_is_compared_by_what_it_means(stubbed: Callable[..., Stubbed]) -> None:
    """S6: AWS orders and packs lists its own way; a condition more or less is another policy."""
    one = stubbed()
    endpoint = one.target.template.resources_of_type("EC2::VPCEndpoint")["S3Endpoint"]
    policy = endpoint["PolicyDocument"]
    turned = json.loads(json.dumps(policy))
    for statement in turned["Statement"]:
        statement["Action"] = list(reversed(statement["Action"]))
        if len(statement["Action"]) == 1:
            (statement["Action"],) = statement["Action"]
    turned["Statement"].reverse()
    assert verify._policies(policy, json.dumps(turned))[2] == set()
    del turned["Statement"][0]["Condition"]
    assert len(verify._policies(policy, json.dumps(turned))[2]) == 1


def test_arns_are_those_that_aws_makes(stubbed: Callable[..., Stubbed]) -> None:
    live = stubbed().target.template
    assert live.resolve({"Fn::GetAtt": ["WorkQueue", "Arn"]}).endswith(f":{ACCOUNT}:work")
    assert live.resolve({"Fn::Sub": "${UploadBucket.Arn}/x"}) == "arn:aws:s3:::uploads/x"
    assert live.resolve({"Fn::GetAtt": ["WorkQueue", "QueueName"]}) == "work"


def test_who_has_not_confirmed_hears_nothing(stubbed: Callable[..., Stubbed]) -> None:
    """Trap 35: both topics, each with its own sentence."""
    one = stubbed()

    def page(*heard: str) -> tuple[str, dict[str, Any]]:
        subscriptions = [
            {"SubscriptionArn": arn, "Protocol": "email", "Endpoint": "you@example.com"}
            for arn in heard
        ]
        return "list_subscriptions_by_topic", {"Subscriptions": subscriptions}

    one.answers("sns", page("PendingConfirmation", "arn:aws:sns:x:y:z"), page())
    pending, confirmed, nobody = verify._mail(one.target)
    assert (pending.verdict, confirmed.verdict, nobody.verdict) == ("fails", "ok", "warning")
    assert "has not confirmed" in pending.says
    assert "WarningAlarmTopic goes to nobody" in nobody.says


def test_drift_is_waited_for_and_told_page_by_page(
    stubbed: Callable[..., Stubbed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D4: detection takes its time, and may fail for some types."""
    monkeypatch.setattr(verify, "DRIFT_PAUSE_SECONDS", 0)
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
    failed, modified, deleted = verify._drift(one.target)
    assert "no right to read [X]" in failed.says
    assert "WorkQueue (workqueue) is modified: /VisibilityTimeout" in modified.says
    assert "Vpc (vpc) is deleted" in deleted.says


@pytest.mark.parametrize(
    ("destination", "status", "encrypted", "told"),
    [
        ("", "ACTIVE", "ENABLED", ""),
        ("arn:elsewhere", "ACTIVE", "ENABLED", "where it leads is []"),
        ("", "CREATING", "ENABLED", "its state is CREATING, not ACTIVE"),
        ("", "ACTIVE", "DISABLED", "encryption is DISABLED, not ENABLED"),
    ],
)
def test_the_archive_is_wired(
    stubbed: Callable[..., Stubbed], destination: str, status: str, encrypted: str, told: str
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
    fails = " ".join(one.says for one in verify._logs(one.target) if one.verdict == "fails")
    assert told in fails
    assert bool(told) == bool(fails)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("UPDATE_COMPLETE", "ok"),
        ("UPDATE_ROLLBACK_COMPLETE", "fails"),
        ("UPDATE_IN_PROGRESS", "fails"),
        ("DELETE_FAILED", "fails"),
    ],
)
def test_a_stack_that_was_rolled_back_is_not_what_was_deployed(
    stubbed: Callable[..., Stubbed], status: str, verdict: str
) -> None:
    """D4: CloudFormation's own word counts first."""
    (found,) = verify._stack(stubbed(status=status).target)
    assert found.verdict == verdict
