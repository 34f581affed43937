"""darkroom/aws/deployed_template.py: a stack's own template, with its parameters and ids."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import pytest

from darkroom.aws import deployed_template
from darkroom.aws.stack import Stack
from darkroom.errors import UserError

TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Prefix": {"Type": "String"},
        "Cidrs": {"Type": "CommaDelimitedList", "Default": ""},
    },
    "Resources": {
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": {"Fn::Sub": "${Prefix}-work"}},
        }
    },
}


@dataclass(frozen=True)
class OneStack:
    """What `read` uses of a stack."""

    body: Any
    id: str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/one/1"
    name: str = "one"

    resources: ClassVar = {
        "Queue": "https://sqs.eu-central-1.amazonaws.com/123456789012/pictures-work"
    }
    parameters: ClassVar = {
        "Prefix": "pictures",
        "Cidrs": "192.0.2.0/24,198.51.100.0/24",
        "Gone": "x",
    }

    def client(self, service: str) -> "OneStack":
        assert service == "cloudformation"
        return self

    def get_template(self, **request: str) -> dict[str, Any]:
        assert request == {"StackName": self.id, "TemplateStage": "Original"}
        return {"TemplateBody": self.body}

    def pseudo_parameters(self, name: str) -> dict[str, str]:
        return {
            "AWS::AccountId": "123456789012",
            "AWS::Partition": "aws",
            "AWS::Region": "eu-central-1",
            "AWS::StackName": name,
        }


@pytest.mark.parametrize("body", [TEMPLATE, json.dumps(TEMPLATE)], ids=["parsed", "text"])
def test_the_template_has_the_values_of_the_stack(body: Any) -> None:
    """D6: botocore returns JSON templates parsed or as text; parameters that are gone are left."""
    template = deployed_template.read(cast(Stack, OneStack(body)))
    assert template.parameter("Cidrs") == ["192.0.2.0/24", "198.51.100.0/24"]
    assert template.properties("Queue") == {"QueueName": "pictures-work"}
    arn = template.resolve({"Fn::GetAtt": ["Queue", "Arn"]})
    assert arn == "arn:aws:sqs:eu-central-1:123456789012:pictures-work"
    assert template.resolve({"Ref": "AWS::StackName"}) == "one"
    assert "Gone" not in template.values


def test_yaml_is_refused() -> None:
    """D6: the message says what to deploy."""
    with pytest.raises(UserError, match=r"one is not JSON: deploy what `python generate\.py`"):
        deployed_template.read(cast(Stack, OneStack("Resources: {}")))
