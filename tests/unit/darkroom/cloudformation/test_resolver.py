"""darkroom/cloudformation: templates are resolved as CloudFormation resolves them."""

import copy
from typing import Any

import pytest

from darkroom.cloudformation.identifiers import PREDICTED, deployed
from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.references import references
from darkroom.cloudformation.resolver import ResolvedTemplate

QUEUE_URL = "https://sqs.eu-west-1.amazonaws.com/111122223333/pictures-work"
TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Prefix": {"Type": "String", "Default": "pictures"},
        "Stage": {"Type": "String", "Default": "dev"},
        "Ids": {"Type": "CommaDelimitedList", "Default": "a,b"},
        "Topic": {"Type": "String"},
    },
    "Conditions": {
        "IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
        "IsNotProd": {"Fn::Not": [{"Condition": "IsProd"}]},
        "Both": {"Fn::And": [{"Condition": "IsProd"}, {"Condition": "IsNotProd"}]},
        "Either": {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "IsNotProd"}]},
    },
    "Mappings": {"Prefixes": {"eu-west-1": {"s3": "pl-1"}}},
    "Rules": {
        "ProdNeedsTopic": {
            "RuleCondition": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
            "Assertions": [
                {
                    "Assert": {"Fn::Contains": [["t1", "t2"], {"Ref": "Topic"}]},
                    "AssertDescription": "Topic must be t1 or t2",
                }
            ],
        }
    },
    "Resources": {
        "WorkQueue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": {"Fn::Sub": "${Prefix}-work"}},
        },
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "AlarmTopic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "alarms"}},
        "Key": {"Type": "AWS::KMS::Key"},
        "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupName": "group"}},
        "ProdLog": {
            "Type": "AWS::Logs::LogGroup",
            "Condition": "IsProd",
            "Properties": {"LogGroupName": "/prod"},
        },
        "Mapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {"EventSourceArn": {"Fn::GetAtt": ["WorkQueue", "Arn"]}},
        },
    },
}


@pytest.fixture
def template() -> ResolvedTemplate:
    return ResolvedTemplate(copy.deepcopy(TEMPLATE))


def sub(text: str, **variables: Any) -> dict[str, Any]:
    return {"Fn::Sub": [text, variables] if variables else text}


def get_att(title: str, attribute: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [title, attribute]}


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Stage"}, "dev"),
        ({"Ref": "Ids"}, ["a", "b"]),
        ({"Ref": "Topic"}, "<Topic>"),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "WorkQueue"}, "pictures-work"),
        ({"Ref": "Bucket"}, "<Bucket>"),
        ({"Ref": "Group"}, "<Group>"),  # Ref returns the id, whatever the group is called
        (get_att("WorkQueue", "QueueName"), "pictures-work"),
        (get_att("WorkQueue", "Arn"), "<WorkQueue.Arn>"),
        ({"Fn::GetAtt": "WorkQueue.Arn"}, "<WorkQueue.Arn>"),
        (sub("${Prefix}/${WorkQueue.Arn}/${AWS::Partition}"), "pictures/<WorkQueue.Arn>/aws"),
        (sub("${!Literal} ${One}", One={"Ref": "Stage"}), "${Literal} dev"),
        ({"Fn::Join": ["-", [{"Ref": "Prefix"}, "x", 1]]}, "pictures-x-1"),
        ({"Fn::Split": [",", "a,b"]}, ["a", "b"]),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "a,b"]}]}, "b"),
        (
            {"Fn::Select": [0, {"Fn::GetAZs": ""}]},  # only AWS knows the zones
            {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
        ),
        ({"Fn::If": ["IsProd", "yes", {"Ref": "Stage"}]}, "dev"),
        ({"a": 1, "b": {"Fn::If": ["IsProd", 2, {"Ref": "AWS::NoValue"}]}}, {"a": 1}),
        ([1, {"Ref": "AWS::NoValue"}, [{"Ref": "AWS::NoValue"}]], [1, []]),
        ({"Fn::FindInMap": ["Prefixes", {"Ref": "AWS::Region"}, "s3"]}, "pl-1"),
        ({"Fn::FindInMap": ["Prefixes", "eu-west-9", "s3"]}, "<Prefixes.eu-west-9.s3>"),
        ({"Fn::Base64": {"Ref": "Stage"}}, {"Fn::Base64": "dev"}),
    ],
    ids=str,
)
def test_functions_are_resolved(template: ResolvedTemplate, value: Any, resolved: Any) -> None:
    """D2: every function that templates use; what only AWS knows stays as it is written."""
    assert template.resolve(value) == resolved


def test_parameters_change_values_and_conditions(template: ResolvedTemplate) -> None:
    """R4: conditions, the resources under them, and the rules follow the parameters."""
    prod = template.with_parameters(Stage="prod", Topic="t1")
    assert [template.condition(one) for one in ("IsProd", "IsNotProd", "Both", "Either")] == [
        False,
        True,
        False,
        True,
    ]
    assert prod.condition("IsProd")
    assert template.resources_of_type("Logs::LogGroup") == {}
    assert prod.resources_of_type("Logs::LogGroup") == {"ProdLog": {"LogGroupName": "/prod"}}
    assert prod.with_parameters(Stage="dev").parameter("Topic") == "t1"  # the others stay
    china = template.with_parameters(**{"AWS::Region": "cn-north-1"})
    assert china.pseudo("Region") == "cn-north-1"


def test_broken_rules_are_described(template: ResolvedTemplate) -> None:
    """R4: a rule whose condition does not hold is not checked."""
    assert template.broken_rules() == []
    assert template.with_parameters(Stage="prod", Topic="t2").broken_rules() == []
    broken = template.with_parameters(Stage="prod", Topic="t3").broken_rules()
    assert broken == ["Topic must be t1 or t2"]


def test_a_view_keeps_its_identifiers_with_other_parameters() -> None:
    model = TemplateModel(TEMPLATE).with_parameters(Prefix="other")
    assert isinstance(model, TemplateModel)
    assert model.resolve({"Ref": "WorkQueue"}).endswith("/other-work")


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "WorkQueue"}, QUEUE_URL),
        (get_att("WorkQueue", "QueueUrl"), QUEUE_URL),
        (get_att("WorkQueue", "Arn"), "arn:aws:sqs:eu-west-1:111122223333:pictures-work"),
        ({"Ref": "AlarmTopic"}, "arn:aws:sns:eu-west-1:111122223333:alarms"),
        (get_att("AlarmTopic", "TopicName"), "alarms"),
        (get_att("Bucket", "Arn"), "arn:aws:s3:::<Bucket>"),
        (get_att("Key", "KeyId"), "<Key>"),
        (get_att("Group", "GroupId"), "<Group>"),
        (get_att("Group", "VpcId"), "<Group.VpcId>"),
        (
            get_att("Mapping", "Arn"),
            "arn:aws:lambda:eu-west-1:111122223333:event-source-mapping:<Mapping>",
        ),
        (get_att("Missing", "Arn"), "<Missing.Arn>"),
    ],
    ids=str,
)
def test_names_and_arns_are_predicted(value: Any, resolved: str) -> None:
    """S5: two spellings of one resource are the same text, so policies can be compared."""
    assert ResolvedTemplate(TEMPLATE, identifiers=PREDICTED).resolve(value) == resolved


PHYSICAL_IDS = {
    "WorkQueue": "https://sqs.eu-west-1.amazonaws.com/111122223333/pictures-work-1",
    "AlarmTopic": "arn:aws:sns:eu-west-1:111122223333:alarms-1",
    "Key": "1234",
}


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "WorkQueue"}, PHYSICAL_IDS["WorkQueue"]),
        (get_att("WorkQueue", "QueueName"), "pictures-work-1"),
        (get_att("WorkQueue", "Arn"), "arn:aws:sqs:eu-west-1:111122223333:pictures-work-1"),
        ({"Ref": "AlarmTopic"}, PHYSICAL_IDS["AlarmTopic"]),
        (get_att("AlarmTopic", "TopicArn"), PHYSICAL_IDS["AlarmTopic"]),
        (get_att("AlarmTopic", "TopicName"), "alarms-1"),
        (get_att("Key", "Arn"), "arn:aws:kms:eu-west-1:111122223333:key/1234"),
        ({"Ref": "Bucket"}, "<Bucket>"),
        (get_att("Bucket", "Arn"), "<Bucket.Arn>"),  # not deployed: unknown
    ],
    ids=str,
)
def test_ids_of_a_deployed_stack_are_used(value: Any, resolved: str) -> None:
    """D6: ARNs are built from physical ids; an id that AWS has dropped stays a placeholder."""
    template = ResolvedTemplate(TEMPLATE, identifiers=deployed(PHYSICAL_IDS))
    assert template.resolve(value) == resolved


def test_a_resource_is_found_by_each_of_its_identifiers() -> None:
    """S5: by name, URL, ARN and placeholder, among the types asked for."""
    model = TemplateModel(TEMPLATE)
    for identifier in (
        "pictures-work",
        QUEUE_URL,
        "arn:aws:sqs:eu-west-1:111122223333:pictures-work",
        "<WorkQueue>",
    ):
        assert model.logical_id(identifier) == "WorkQueue"
        assert model.logical_id(identifier, "S3::Bucket") == ""
    assert model.logical_id("another") == ""
    assert [one.queue for one in model.event_source_mappings()] == ["WorkQueue"]


def test_statements_of_a_resource_have_one_shape() -> None:
    """S5: IAM accepts a value or a list; rules read lists."""
    policy = {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {
            "Queues": [{"Ref": "WorkQueue"}],
            "PolicyDocument": {
                "Statement": {
                    "Sid": "Send",
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "sqs:SendMessage",
                    "Condition": {"StringEquals": {"aws:SourceAccount": "1"}},
                }
            },
        },
    }
    content = {**TEMPLATE, "Resources": {**TEMPLATE["Resources"], "Policy": policy}}
    model = TemplateModel(content)
    assert model.resource_policies("WorkQueue") == ["Policy"]
    (statement,) = model.resource_policy_statements("WorkQueue")
    assert statement["Principal"] == {"AWS": ["*"]}
    assert statement["Action"] == ["sqs:SendMessage"]
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ["1"]}}
    written = ResolvedTemplate(content).statement("Policy", "Send")
    assert written["Action"] == "sqs:SendMessage"


def test_references_are_found_in_every_function() -> None:
    """Pitfall 29: what refers to a replaced resource is replaced with it."""
    value = {
        "a": [{"Ref": "One"}, {"Fn::GetAtt": ["Two", "Arn"]}, {"Fn::GetAtt": "Three.Arn"}],
        "b": {"Fn::Sub": ["${Four.Arn} ${x} ${!No}", {"x": {"Ref": "Five"}}]},
        "DependsOn": ["Six"],
        "c": {"Fn::Join": ["", ["${No}", {"Ref": "AWS::Region"}]]},
    }
    assert sorted(references(value)) == sorted(
        ["One", "Two", "Three", "Four", "Five", "Six", "AWS::Region"]
    )


def test_dependencies_are_followed() -> None:
    assert TemplateModel(TEMPLATE).dependencies("Mapping") == {"WorkQueue"}
