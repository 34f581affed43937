"""darkroom/cloudformation/resource_types.py: the table agrees with CloudFormation's schemas."""

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from darkroom.aws import resource_names
from darkroom.cloudformation.difference import SCHEMA_REGION
from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.resource_types import (
    NAMESPACES,
    RESOURCE_TYPES,
    resource_type,
)
from tests.unit.templates.conftest import generate
from tests.unit.templates.test_sources import EVERY_KIND

# Properties that end with Name and do not name the resource itself, or only within another one.
OTHER_NAMES = {
    ("IAM::Policy", "PolicyName"),
    ("CloudWatch::Alarm", "MetricName"),
    ("EC2::FlowLog", "LogGroupName"),
    ("EC2::VPCEndpoint", "ServiceName"),
    ("Lambda::EventSourceMapping", "FunctionName"),
    ("Logs::Delivery", "DeliverySourceName"),
    ("Logs::LogStream", "LogGroupName"),
    ("Logs::LogStream", "LogStreamName"),
    ("Logs::SubscriptionFilter", "FilterName"),
    ("Logs::SubscriptionFilter", "LogGroupName"),
}


def test_every_named_resource_of_the_templates_is_in_the_table() -> None:
    """D3: a name that the tools do not know is not checked for a conflict."""
    everything = generate(
        **EVERY_KIND,
        cdn={},
        logs={"archive": True, "s3_access_logs": True, "archive_flow_logs": True},
    )
    named = {
        (everything.type_of(title), key)
        for title, resource in everything.resources.items()
        for key in resource.get("Properties", {})
        if key.endswith("Name")
    } - OTHER_NAMES
    assert named == {(kind, resource_type(kind).name) for kind, _ in named}
    assert len(named) >= 9


@pytest.mark.parametrize("kind", RESOURCE_TYPES)
def test_properties_and_attributes_are_in_the_schema(kind: str) -> None:
    """D3: a typing error in the table would make a check silent."""
    known = RESOURCE_TYPES[kind]
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(SCHEMA_REGION, f"AWS::{kind}").schema
    for key in (known.name, known.kms_key, known.attached_to):
        assert not key or key in schema["properties"]
    if known.id_attribute:
        assert f"/properties/{known.id_attribute}" in schema["readOnlyProperties"]


@pytest.mark.parametrize("kind", sorted(k for k, known in RESOURCE_TYPES.items() if known.arn))
def test_arns_are_complete(kind: str) -> None:
    """S5: six parts, with the name the template gives."""
    properties = {RESOURCE_TYPES[kind].name: "named"} if RESOURCE_TYPES[kind].name else {}
    template = {"Resources": {"One": {"Type": f"AWS::{kind}", "Properties": properties}}}
    arn = TemplateModel(template).arn("One")
    assert arn.startswith("arn:aws:")
    assert arn.count(":") >= 5
    assert ("named" if properties else "<One>") in arn
    assert "{" not in arn


def test_every_type_that_preflight_looks_up_has_a_name() -> None:
    """D3: preflight looks for taken names by the table's naming property."""
    assert all(RESOURCE_TYPES[kind].name for kind in resource_names.EXISTS)


def test_namespaces_name_types_of_the_table() -> None:
    """O2: each CloudWatch namespace has a dimension that names a resource."""
    assert NAMESPACES["AWS/SQS"] == ("QueueName", "SQS::Queue")
    assert NAMESPACES["AWS/Events"] == ("RuleName", "Events::Rule")
    assert all(dimension for dimension, _ in NAMESPACES.values())


def test_an_unknown_type_has_no_facts() -> None:
    assert resource_type("Custom::Thing").name == ""
    assert resource_type("AWS::SQS::Queue") is resource_type("SQS::Queue")
