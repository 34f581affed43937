"""darkroom/cloudformation/difference.py: what an update replaces or deletes is known before."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.cloudformation.changes import Change
from darkroom.cloudformation.difference import compare
from tests.property.strategies import skeletons, tables
from tests.unit.templates.conftest import generate

# Resources that no change of the specification may replace.
LASTING = {"AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::KMS::Key"}


@pytest.fixture
def old() -> dict[str, Any]:
    return dict(copy.deepcopy(generate().template))


def changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Change]:
    return {change.resource: change for change in compare(old, new).changes}


def test_equal_templates_have_no_changes(old: dict[str, Any]) -> None:
    found = compare(old, copy.deepcopy(old))
    assert found.is_safe
    assert not found.changes


def test_a_mutable_property_is_an_update(old: dict[str, Any]) -> None:
    """D6: an update replaces nothing."""
    new = copy.deepcopy(old)
    new["Resources"]["WorkQueue"]["Properties"]["VisibilityTimeout"] = 900
    found = compare(old, new)
    assert found.is_safe
    assert [(one.action, one.properties) for one in found.changes] == [
        ("update", ("VisibilityTimeout",))
    ]


def test_a_reference_to_a_replaced_resource_replaces_too(old: dict[str, Any]) -> None:
    """D6: renaming a queue also replaces its event source mapping, and retains the old queue."""
    new = copy.deepcopy(old)
    new["Resources"]["WorkQueue"]["Properties"]["QueueName"] = "another"
    found = changed(old, new)
    assert found["WorkQueue"].action == "replace"
    assert found["WorkQueue"].consequence == "the old resource is retained, outside the stack"
    assert found["WorkerEventSourceMapping"].properties == ("EventSourceArn",)
    assert found["WorkerEventSourceMapping"].consequence == "the old resource is deleted"


def test_a_replacement_with_the_same_name_fails(old: dict[str, Any]) -> None:
    """Pitfall 29: the old resource still has the name when the new one is created."""
    new = copy.deepcopy(old)
    new["Resources"]["WorkQueue"]["Properties"]["FifoQueue"] = True
    assert "still has this QueueName" in changed(old, new)["WorkQueue"].consequence


def test_deletion_policies_decide_what_is_retained(old: dict[str, Any]) -> None:
    """D6, pitfall 29: a bucket is retained, a dead-letter queue is deleted with its messages."""
    new = copy.deepcopy(old)
    for title in ("UploadBucket", "DeadLetterQueue"):
        del new["Resources"][title]
    found = changed(old, new)
    assert found["UploadBucket"].consequence == "the old resource is retained, outside the stack"
    assert found["DeadLetterQueue"].consequence == "the old resource is deleted, with its data"


def test_another_type_replaces_and_a_condition_may_replace(old: dict[str, Any]) -> None:
    """D6: conditional create-only properties may replace the resource."""
    new = copy.deepcopy(old)
    new["Resources"]["CriticalAlarmTopic"] = {"Type": "AWS::SQS::Queue"}
    new["Resources"]["Worker"]["Properties"]["DurableConfig"] = {"ExecutionTimeout": 60}
    found = changed(old, new)
    assert found["CriticalAlarmTopic"].properties == ("Type",)
    assert found["Worker"].action == "may replace"


def test_parameters_to_pass_and_to_drop_are_listed(old: dict[str, Any]) -> None:
    """D4: new parameters without default, and parameters that are gone."""
    found = compare(old, generate(network={"vpc": "existing"}).template)
    assert found.new_required_parameters == ("VpcId", "SubnetIds", "RouteTableIds")
    assert {"AvailabilityZoneIndexA", "AvailabilityZoneIndexB"} <= set(found.removed_parameters)


@st.composite
def changes(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw two random specifications whose sources and queues have the same names."""
    bones = draw(skeletons())
    return draw(tables(bones)), draw(tables(bones))


@settings(max_examples=30)
@given(changes())
def test_no_setting_replaces_a_resource_with_data(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    """R2, S4: no change of a specification replaces or deletes a bucket, a queue or the key.

    Log buckets are the exception: a specification may stop archiving.
    """
    before, after = (generate(**content).template for content in pair)
    for change in compare(before, after).changes:
        if change.type in LASTING:
            of_logs = change.resource in ("LogArchiveBucket", "AccessLogBucket")
            actions = ("create", "update", "delete") if of_logs else ("update",)
            assert change.action in actions, change
        if change.action.endswith("replace"):
            # CloudFormation creates the new subscription before it deletes the old one.
            assert change.type.startswith(("AWS::EC2", "AWS::SNS::Subscription")), change
            assert change.type != "AWS::EC2::Subnet", change
