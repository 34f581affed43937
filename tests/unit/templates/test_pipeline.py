import json
import re
from pathlib import Path

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from templates import limits, pipeline
from templates.specification import Specification, SpecificationError
from tests.unit.templates.conftest import generate

ROOT = Path(__file__).parents[3]

# Identity actions for which AWS knows no resource, or none that could be named beforehand. Each
# with its reason; a statement that needs none any more fails too.
EVERY_RESOURCE = {
    ("EncryptionKey", "Administer"): "in a key's policy `*` is that key",
    ("EncryptionKey", "CreateServiceGrants"): "in a key's policy `*` is that key",
    ("EncryptionKey", "DeliverLogs"): "in a key's policy `*` is that key",
    ("EncryptionKey", "SendEvents"): "in a key's policy `*` is that key",
    ("EncryptionKey", "PublishAlarms"): "in a key's policy `*` is that key",
    ("EncryptionKey", "EncryptLogs"): "in a key's policy `*` is that key",
    ("WorkerRole", "DescribeNetworkInterfaces"): "EC2's Describe actions know no resource",
    ("WorkerRole", "DenyNetworkInterfacesToCode"): "a refusal of all of them",
    ("WorkerSqsPerimeter", "DenyReceivingToCode"): "a refusal of all queues",
    ("WorkerSqsPerimeter", "DenySqsToCodeOutsideEndpoint"): "a refusal of all queues",
    ("WorkerRole", "SendTraces"): "X-Ray knows no resource for what is sent",
}


def test_the_template_fits_the_quotas(stack: ResolvedTemplate) -> None:
    """D7, pitfall 31: within CloudFormation's quotas for a template in a bucket."""
    size = len(pipeline.render(pipeline.build(Specification())).encode())
    resources, values = stack.resources, stack.template["Parameters"]
    assert size <= limits.MAX_TEMPLATE_BYTES
    assert len(resources) <= limits.MAX_RESOURCES
    assert len(values) <= limits.MAX_PARAMETERS


def test_a_role_policy_fits_its_limit(stack: ResolvedTemplate) -> None:
    """Pitfall 31: 10,240 characters of inline policies a role, without white space."""
    for title, role in stack.resources_of_type("IAM::Role").items():
        size = len(json.dumps(role["Policies"], separators=(",", ":")))
        assert size < 8_000, title  # resolved names are longer than stand-ins


def test_rendering_changes_nothing() -> None:
    """D7: the compact text is the template that troposphere describes."""
    template = pipeline.build(Specification())
    assert json.loads(pipeline.render(template)) == json.loads(template.to_json())


def test_no_action_is_a_wildcard_but_in_a_refusal(stack: ResolvedTemplate) -> None:
    """S5: exact actions, no managed policy, no NotAction."""
    seen = 0
    for title, statement in stack.all_statements():
        assert not {"NotAction", "NotResource", "NotPrincipal"} & set(statement), title
        if statement["Effect"] == "Allow":
            seen += 1
            assert all("*" not in action for action in statement["Action"]), title
    assert seen > 20
    for role in stack.resources_of_type("IAM::Role").values():
        assert "ManagedPolicyArns" not in role


def test_every_resource_only_with_a_reason(stack: ResolvedTemplate) -> None:
    """S5: each `*` resource is justified, and each justification used."""
    found = {
        (title, statement["Sid"])
        for title, statement in stack.with_parameters(Tracing="Active").all_statements()
        if "*" in statement.get("Resource", [])
    }
    assert found == set(EVERY_RESOURCE)


def test_everybody_only_refused_or_behind_a_condition(stack: ResolvedTemplate) -> None:
    """S2, pitfall 32: `*` as principal allows nothing without a condition."""
    for title, statement in stack.all_statements():
        if statement.get("Principal") == "*" and statement["Effect"] == "Allow":
            assert statement["Condition"]["ArnEquals"]["aws:PrincipalArn"], title


def test_a_service_acts_for_this_account_only(stack: ResolvedTemplate) -> None:
    """Pitfall 32, pitfall 47: each service with the condition it really sends."""
    services = {
        (title, statement["Principal"]["Service"][0]): json.dumps(statement.get("Condition"))
        for title, statement in stack.all_statements()
        if "Service" in statement.get("Principal", "")
    }
    assert len(services) >= 7
    unlimited = {name for name, condition in services.items() if "111122223333" not in condition}
    # Only an identity of this account can pass the role to Lambda (pitfall 59).
    assert unlimited == {("WorkerRole", "lambda.amazonaws.com")}


def test_no_account_region_or_partition_is_typed_in(stack: ResolvedTemplate) -> None:
    """D2: the same template in aws, aws-cn and aws-us-gov."""
    resources = json.dumps(stack.template["Resources"])
    assert not re.search(r"(?<![0-9])\d{12}(?![0-9])", resources)
    assert not re.search(r"\b(us|eu|ap|sa|ca|me|af|il|mx|cn)-[a-z]+-\d\b", resources)
    for arn in re.findall(r'"(arn:[^"]*)"', resources):
        assert arn.startswith("arn:${AWS::Partition}:"), arn


@pytest.mark.parametrize(
    ("partition", "region", "suffix"),
    [
        ("aws", "eu-west-1", "amazonaws.com"),
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
    ],
)
def test_arns_follow_the_partition(
    stack: ResolvedTemplate, partition: str, region: str, suffix: str
) -> None:
    """D2: read as each partition would."""
    there = stack.with_parameters(
        **{
            "AWS::Partition": partition,
            "AWS::Region": region,
            "AWS::URLSuffix": suffix,
            "S3PrefixListId": "pl-0123",
        }
    )
    text = json.dumps([there.properties(title) for title in there.resources])
    arns = re.findall(r"arn:[a-z-]+:", text)
    assert arns
    assert set(arns) == {f"arn:{partition}:"}


def test_everything_that_takes_tags_has_them(stack: ResolvedTemplate) -> None:
    """S8: and the values are the deployer's."""
    tagged = stack.with_parameters(NamePrefix="mine", Environment="prod")
    kinds = set()
    for title, resource in stack.resources.items():
        tags = tagged.properties(title).get("Tags")
        if tags:
            kinds.add(resource["Type"])
            assert {tag["Key"]: tag["Value"] for tag in tags} == {
                "Application": "mine",
                "Environment": "prod",
            }
    assert {
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
        "AWS::Lambda::Function",
        "AWS::Lambda::EventSourceMapping",
        "AWS::KMS::Key",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
        "AWS::SNS::Topic",
        "AWS::CloudWatch::Alarm",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCEndpoint",
        "AWS::EC2::FlowLog",
    } <= kinds


def test_a_specification_has_tags_of_its_own() -> None:
    """S8: on every resource that takes tags, beside the stack's two."""
    stack = generate(tags={"Team": "pictures"})
    for title in stack.resources:
        if tags := stack.properties(title).get("Tags"):
            assert {tag["Key"] for tag in tags} == {"Application", "Environment", "Team"}


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"aws:x": "y"}, "without the prefix aws:"),
        ({"environment": "y"}, "is set by the stack itself"),
        ({"Team": "a", "team": "b"}, "has a key twice"),
        ({"a": "<"}, "at most 256 ASCII letters"),
        ({f"t{number}": "" for number in range(41)}, "at most 40 entries"),
    ],
)
def test_tags_that_a_service_refuses_are_refused(tags: dict[str, str], message: str) -> None:
    """S8: when the template is generated, not when it is deployed."""
    with pytest.raises(SpecificationError, match=message):
        generate(tags=tags)


def test_every_role_takes_a_permissions_boundary(stack: ResolvedTemplate) -> None:
    """S8: none unless one is given."""
    bounded = stack.with_parameters(PermissionsBoundaryArn="arn:edge")
    roles = bounded.resources_of_type("IAM::Role")
    assert set(roles) == {"WorkerRole", "LogDeliveryRole", "LogSubscriptionRole"}
    assert {role.get("PermissionsBoundary") for role in roles.values()} == {"arn:edge"}
    assert all(
        "PermissionsBoundary" not in role for role in stack.resources_of_type("IAM::Role").values()
    )


def test_no_secret_in_template_or_environment(stack: ResolvedTemplate) -> None:
    """S7: names and numbers only."""
    assert not [one for one in stack.template["Parameters"].values() if "NoEcho" in one]
    variables = stack.properties("Worker")["Environment"]["Variables"]
    words = re.compile("secret|password|token|credential|access.?key", re.IGNORECASE)
    assert not [name for name in variables if words.search(name)]
    assert not [name for name in stack.template["Parameters"] if words.search(name)]


def test_outputs_resolve_to_resources(stack: ResolvedTemplate) -> None:
    """D7: what a deployer needs."""
    outputs = {
        name: stack.resolve(output["Value"]) for name, output in stack.template["Outputs"].items()
    }
    assert outputs["UploadBucketName"] == stack.properties("UploadBucket")["BucketName"]
    assert outputs["ThumbnailBucketName"] == stack.properties("ThumbnailBucket")["BucketName"]
    assert outputs["UploadPrefixes"] == "uploads/"
    assert ".jpg" in outputs["UploadSuffixes"].split(",")
    assert outputs["FunctionName"] == stack.properties("Worker")["FunctionName"]
    assert all(outputs.values())
