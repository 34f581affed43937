"""What the emulator lacks, with AWS's responses; a stub validates the shape of each one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.stack import Stack
from darkroom.checks.deployed import drift, observability, suite
from darkroom.checks.deployed.buckets import lifecycle_rules
from darkroom.checks.deployed.comparison import Target, differ, differ_policies
from darkroom.checks.deployed.functions import check_functions, check_triggers
from darkroom.checks.deployed.network import check_network
from darkroom.checks.deployed.observability import check_logs, check_topics
from darkroom.checks.deployed.subscriptions import check_subscriptions
from darkroom.checks.framework import Finding
from darkroom.cloudformation.identifiers import deployed
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console.progress import Progress
from templates import pipeline, specification
from tests.unit.darkroom.checks.conftest import respond

REGION, ACCOUNT = "eu-west-1", "111122223333"
CALLER = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me", "UserId": "A"}
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
    "WorkerEventSourceMapping": "14e0db71-5d35-4eb5-b481-8945cf9d10c2",
    "WorkerLogGroup": "/darkroom/worker",
    "WorkerLogDelivery": "darkroom.worker",
}


@dataclass
class Stubbed:
    """A stack whose AWS gives these responses, in this order and no others."""

    target: Target

    def answers(self, service: Any, *answers: tuple[str, dict[str, Any]]) -> None:
        respond(self.target.stack.client(service), *answers)


@pytest.fixture
def stubbed() -> Callable[..., Stubbed]:
    def make(
        description: dict[str, Any] | None = None, status: str = "CREATE_COMPLETE", **values: str
    ) -> Stubbed:
        session = botocore.session.Session()
        session.set_config_variable("region", REGION)
        plan = specification.parse(description or {}, origin="test")
        template = json.loads(pipeline.render(pipeline.build(plan)))
        known = {
            **values,
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
            parameters=values,
            resources=PHYSICAL,
            session=session,
        )
        live = ResolvedTemplate(template, known, deployed(PHYSICAL))
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


def subscribers(*arns: str) -> tuple[str, dict[str, Any]]:
    """Return AWS's answer with subscriptions of these ARNs."""
    subscriptions = [
        {"SubscriptionArn": arn, "Protocol": "email", "Endpoint": "you@example.com"} for arn in arns
    ]
    return "list_subscriptions_by_topic", {"Subscriptions": subscriptions}


CONFIRMED, PENDING = f"{PHYSICAL['CriticalAlarmTopic']}:0", "PendingConfirmation"
EXISTING = f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call"


def test_unconfirmed_subscriptions_fail(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 35: each topic has its own sentence, and its own parameter."""
    one = stubbed()
    one.answers("sns", subscribers(PENDING, CONFIRMED), subscribers())
    confirmed, pending, nobody = check_subscriptions(one.target)
    assert (confirmed.verdict, pending.verdict, nobody.verdict) == ("pass", "fail", "warn")
    assert "has not confirmed" in pending.message
    assert "WarningAlarmTopic notifies nobody" in nobody.message
    assert "WarningAlarmEmail" in nobody.remediation
    announced = stubbed({"events": {"topic": True}})
    announced.answers("sns", subscribers(), subscribers(), subscribers())
    unread = {one.message: one.remediation for one in check_subscriptions(announced.target)}
    assert unread["RecordTopic notifies nobody"] == "subscribe to it"


@pytest.mark.parametrize(
    ("environment", "critical", "warning", "verdicts"),
    [
        ("dev", [], [], ["warn", "warn"]),
        ("prod", [], [CONFIRMED], ["fail", "pass"]),
        ("production", [PENDING], [], ["fail", "warn"]),
        ("prod", ["Deleted"], [], ["fail", "warn"]),
        ("prod", [CONFIRMED], [], ["pass", "warn"]),
    ],
)
def test_production_has_a_subscriber(
    stubbed: Callable[..., Stubbed],
    environment: str,
    critical: list[str],
    warning: list[str],
    verdicts: list[str],
) -> None:
    """O5, pitfall 35: of critical alarms; a deleted subscription is none."""
    one = stubbed(Environment=environment)
    one.answers("sns", subscribers(*critical), subscribers(*warning))
    assert [found.verdict for found in check_subscriptions(one.target)] == verdicts


@pytest.mark.parametrize(
    ("environment", "arns", "verdict", "message"),
    [
        ("prod", [CONFIRMED, CONFIRMED, PENDING], "pass", "notifies 2 subscribers"),
        ("prod", [], "fail", "notifies nobody, and Environment is prod"),
        ("prod", [PENDING], "fail", "you@example.com has not confirmed the subscription"),
        ("dev", [PENDING], "warn", "you@example.com has not confirmed the subscription"),
        ("dev", [], "warn", "notifies nobody"),
    ],
)
def test_an_existing_topic_has_a_subscriber(
    stubbed: Callable[..., Stubbed], environment: str, arns: list[str], verdict: str, message: str
) -> None:
    """O5, pitfall 35: a subscription that is not confirmed is named as such."""
    one = stubbed(Environment=environment, ExistingCriticalTopicArn=EXISTING)
    one.answers("sns", subscribers(CONFIRMED), subscribers(*arns))
    own, existing = check_subscriptions(one.target)
    assert own.message.startswith("WarningAlarmTopic notifies")
    assert existing.verdict == verdict
    assert existing.message.startswith(f"ExistingCriticalTopicArn: {EXISTING} ")
    assert message in existing.message


def test_an_existing_topic_that_no_alarm_can_use_is_reported(
    stubbed: Callable[..., Stubbed],
) -> None:
    """O5, pitfall 32: `verify` finds a policy that someone has changed since."""
    one = stubbed(ExistingCriticalTopicArn=EXISTING, ExistingWarningTopicArn=f"{EXISTING}-2")
    respond(one.target.stack.client("sts"), ("get_caller_identity", CALLER))
    attributes = ("get_topic_attributes", {"Attributes": {"Policy": json.dumps({"Statement": []})}})
    one.answers("sns", attributes, attributes)
    found = [one for one in check_topics(one.target) if one.verdict == "fail"]
    assert ["does not let 5 of 5 alarms" in found[0].message, len(found)] == [True, 2]


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


def test_a_property_that_drift_detection_does_not_read_is_a_warning(
    stubbed: Callable[..., Stubbed],
) -> None:
    """D4: CloudFormation reports every code signing configuration as removed (roadmap #954)."""
    one = stubbed()

    def drifted(*paths: str, kind: str = "REMOVE") -> dict[str, Any]:
        differences = [
            {
                "PropertyPath": path,
                "ExpectedValue": "arn:aws:lambda:eu-west-1:1:code-signing-config:csc-1",
                "ActualValue": "null",
                "DifferenceType": kind,
            }
            for path in paths
        ]
        return {
            "StackId": "arn",
            "LogicalResourceId": "Worker",
            "PhysicalResourceId": "worker",
            "ResourceType": "AWS::Lambda::Function",
            "StackResourceDriftStatus": "MODIFIED",
            "Timestamp": 0,
            "PropertyDifferences": differences,
        }

    path = "/CodeSigningConfigArn"
    drifts = [drifted(path), drifted(path, "/Timeout"), drifted(path, kind="NOT_EQUAL")]
    status = {"StackId": "arn", "StackDriftDetectionId": "d", "Timestamp": 0}
    one.answers(
        "cloudformation",
        ("detect_stack_drift", {"StackDriftDetectionId": "d"}),
        (
            "describe_stack_drift_detection_status",
            {**status, "DetectionStatus": "DETECTION_COMPLETE"},
        ),
        ("describe_stack_resource_drifts", {"StackResourceDrifts": drifts}),
    )
    alone, timeout, beside, changed = drift.check_drift(one.target)
    assert [alone.verdict, beside.verdict] == ["warn", "warn"]
    assert "cloudformation-coverage-roadmap/issues/954" in alone.message
    assert timeout.verdict == changed.verdict == "fail"
    assert timeout.message == "Worker (worker) is modified: /Timeout"
    assert changed.message == f"Worker (worker) is modified: {path}"


def trigger(stubbed: Stubbed, **changed: Any) -> list[Finding]:
    """Findings about an event source mapping as deployed, except for what is changed."""
    ((_, properties),) = stubbed.target.template.resources_of_type(
        "Lambda::EventSourceMapping"
    ).items()
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{properties['FunctionName']}"
    scaling: dict[str, Any] = {
        key: {name: int(value) for name, value in properties[key].items()}
        for key in ("ScalingConfig", "ProvisionedPollerConfig")
        if key in properties
    }
    answer: dict[str, Any] = {
        "UUID": PHYSICAL["WorkerEventSourceMapping"],
        "State": "Enabled",
        "BatchSize": properties["BatchSize"],
        "MaximumBatchingWindowInSeconds": properties["MaximumBatchingWindowInSeconds"],
        "EventSourceArn": properties["EventSourceArn"],
        "FunctionArn": function,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        **scaling,
        **changed,
    }
    stubbed.answers("lambda", ("get_event_source_mapping", answer))
    return list(check_triggers(stubbed.target))


POLLERS = {"queues": {"default": {"provisioned_mode": True}}}


@pytest.mark.parametrize("description", [{}, POLLERS])
def test_a_trigger_as_deployed_passes(
    stubbed: Callable[..., Stubbed], description: dict[str, Any]
) -> None:
    """D4: with maximum concurrency, or with provisioned pollers."""
    (found,) = trigger(stubbed(description))
    assert found.verdict == "pass"


@pytest.mark.parametrize(
    ("description", "changed", "message"),
    [
        ({}, {"EventSourceArn": "arn:aws:sqs:eu-west-1:1:other"}, "queue is arn:aws:sqs"),
        ({}, {"FunctionArn": "arn:aws:lambda:eu-west-1:1:function:other"}, "function is other"),
        ({}, {"MaximumBatchingWindowInSeconds": 300}, "batching window is 300, not 5"),
        ({}, {"ScalingConfig": {"MaximumConcurrency": 3}}, "maximum concurrency is 3"),
        (
            POLLERS,
            {"ProvisionedPollerConfig": {"MinimumPollers": 2, "MaximumPollers": 200}},
            "maximum pollers is 200, not 10",
        ),
        (POLLERS, {"ProvisionedPollerConfig": {}}, "minimum pollers is not set, but 2"),
    ],
)
def test_each_change_of_a_trigger_is_reported(
    stubbed: Callable[..., Stubbed], description: dict[str, Any], changed: Any, message: str
) -> None:
    """D4: drift detection does not cover event source mappings (roadmap #2260)."""
    (found,) = trigger(stubbed(description), **changed)
    assert found.verdict == "fail"
    assert message in found.message


@pytest.mark.parametrize(
    ("state", "signing", "verdicts"),
    [
        ("Active", "arn:signing", ["pass"]),
        ("Inactive", "arn:signing", ["pass", "warn"]),
        ("Active", "arn:other", ["fail"]),
    ],
)
def test_an_inactive_function_is_a_warning(
    stubbed: Callable[..., Stubbed], state: str, signing: str, verdicts: list[str]
) -> None:
    """D4: its first invocation fails; and its code signing is compared, which drift is not."""
    one = stubbed(CodeSigningConfigArn="arn:signing")
    ((_, wanted),) = one.target.template.resources_of_type("Lambda::Function").items()
    one.answers(
        "lambda",
        (
            "get_function_configuration",
            {
                "State": state,
                "LastUpdateStatus": "Successful",
                "MemorySize": int(wanted["MemorySize"]),
                "Timeout": wanted["Timeout"],
                "VpcConfig": wanted["VpcConfig"],
                "KMSKeyArn": wanted["KmsKeyArn"],
                "LoggingConfig": {"LogGroup": wanted["LoggingConfig"]["LogGroup"]},
            },
        ),
        ("get_function_concurrency", {}),
        (
            "get_function_code_signing_config",
            {"CodeSigningConfigArn": signing, "FunctionName": "worker"},
        ),
        ("get_function_recursion_config", {"RecursiveLoop": "Terminate"}),
    )
    found = list(check_functions(one.target))
    assert [finding.verdict for finding in found] == verdicts
    if state == "Inactive":
        assert "the next invocation fails" in found[1].message
        assert "visibility timeout of 365 seconds" in found[1].message


def test_alarms_are_read_in_parts(
    stubbed: Callable[..., Stubbed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D4: DescribeAlarms takes 100 names, and many queues and sources have more alarms."""
    one = stubbed()
    client = one.target.stack.client("cloudwatch")
    request: Any = client.meta.service_model.shape_for("DescribeAlarmsInput")
    limits = {request.members[name].metadata["max"] for name in ("AlarmNames", "MaxRecords")}
    assert limits == {observability.MAX_ALARM_NAMES}
    monkeypatch.setattr(observability, "MAX_ALARM_NAMES", 4)
    alarms = one.target.template.resources_of_type("CloudWatch::Alarm")
    expected = [
        {
            "AlarmName": f"<{title}>",
            "ActionsEnabled": True,
            "AlarmActions": properties["AlarmActions"],
            "StateValue": "OK",
        }
        for title, properties in alarms.items()
    ]
    stubber = Stubber(client)
    for start in range(0, len(expected), 4):
        part = expected[start : start + 4]
        names = [alarm["AlarmName"] for alarm in part]
        stubber.add_response(
            "describe_alarms", {"MetricAlarms": part}, {"AlarmNames": names, "MaxRecords": 4}
        )
    with stubber:
        (found,) = observability.check_alarms(one.target)
    stubber.assert_no_pending_responses()
    assert found.message == f"{len(expected)} alarms are enabled, none is in ALARM"


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


def test_lifecycle_rules_are_compared_with_prefix_and_storage_class() -> None:
    """D6, pitfall 83: the template's names and the API's; a transition that is gone is seen."""
    template = [
        {
            "Id": "Archive1",
            "Status": "Enabled",
            "Prefix": "uploads/",
            "Transitions": [{"StorageClass": "GLACIER_IR", "TransitionInDays": 30}],
        }
    ]
    transition = {"StorageClass": "GLACIER_IR", "Days": 30}
    deployed_rule = {
        "ID": "Archive1",
        "Status": "Enabled",
        "Filter": {"Prefix": "uploads/"},
        "Transitions": [transition],
    }
    assert lifecycle_rules(template) == lifecycle_rules([deployed_rule])
    changes: list[dict[str, Any]] = [
        {"Transitions": []},
        {"Transitions": [{**transition, "StorageClass": "GLACIER"}]},
        {"Transitions": [{**transition, "Days": 31}]},
        {"Filter": {"Prefix": ""}},
    ]
    for changed in changes:
        assert lifecycle_rules(template) != lifecycle_rules([deployed_rule | changed])
