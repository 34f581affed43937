"""darkroom/cloudformation/difference.py: what an update replaces or deletes is known before."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.cloudformation.difference import Change, compare
from tests.property.strategies import skeletons, tables
from tests.unit.templates.conftest import generate

# What outlives any change of the specification that keeps its name.
LASTING = {"AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::KMS::Key"}


@pytest.fixture
def old() -> dict[str, Any]:
    return dict(copy.deepcopy(generate().template))


def changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Change]:
    return {change.resource: change for change in compare(old, new).changes}


def test_the_same_template_changes_nothing(old: dict[str, Any]) -> None:
    found = compare(old, copy.deepcopy(old))
    assert found.is_safe
    assert not found.changes


def test_a_property_that_may_change_is_an_update(old: dict[str, Any]) -> None:
    """D6: and an update loses nothing."""
    new = copy.deepcopy(old)
    new["Resources"]["WorkQueue"]["Properties"]["VisibilityTimeout"] = 900
    found = compare(old, new)
    assert found.is_safe
    assert [(one.action, one.properties) for one in found.changes] == [
        ("update", ("VisibilityTimeout",))
    ]


def test_what_is_bound_to_something_replaced_is_replaced(old: dict[str, Any]) -> None:
    """D6: a queue under another name takes its mapping along; the messages stay where they are."""
    new = copy.deepcopy(old)
    new["Resources"]["WorkQueue"]["Properties"]["QueueName"] = "another"
    found = changed(old, new)
    assert found["WorkQueue"].action == "replace"
    assert found["WorkQueue"].consequence == "the old resource is retained, outside the stack"
    assert found["WorkerEventSourceMapping"].properties == ("EventSourceArn",)
    assert found["WorkerEventSourceMapping"].consequence == "the old resource is deleted"


def test_a_replacement_under_the_same_name_fails(old: dict[str, Any]) -> None:
    """Pitfall 29: the name is taken as long as the old one is there."""
    new = copy.deepcopy(old)
    new["Resources"]["WorkQueue"]["Properties"]["FifoQueue"] = True
    assert "still has this QueueName" in changed(old, new)["WorkQueue"].consequence


def test_what_goes_is_kept_or_not(old: dict[str, Any]) -> None:
    """D6, pitfall 29: a bucket stays behind, a queue goes with its messages."""
    new = copy.deepcopy(old)
    for title in ("UploadBucket", "DeadLetterQueue"):
        del new["Resources"][title]
    found = changed(old, new)
    assert found["UploadBucket"].consequence == "the old resource is retained, outside the stack"
    assert found["DeadLetterQueue"].consequence == "the old resource is deleted, with its data"


def test_another_type_or_perhaps(old: dict[str, Any]) -> None:
    """D6: what the schema forces on a condition is said as such."""
    new = copy.deepcopy(old)
    new["Resources"]["CriticalAlarmTopic"] = {"Type": "AWS::SQS::Queue"}
    new["Resources"]["Worker"]["Properties"]["DurableConfig"] = {"ExecutionTimeout": 60}
    found = changed(old, new)
    assert found["CriticalAlarmTopic"].properties == ("Type",)
    assert found["Worker"].action == "may replace"


def test_parameters_are_told(old: dict[str, Any]) -> None:
    """D4: what a deployment has to give, and what it may not give any more."""
    found = compare(old, generate(network={"vpc": "existing"}).template)
    assert found.new_required_parameters == ("VpcId", "SubnetIds", "RouteTableIds")
    assert {"AvailabilityZoneIndexA", "AvailabilityZoneIndexB"} <= set(found.removed_parameters)


@st.composite
def changes(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw two specifications with sources and queues of the same names, and all else at random."""
    bones = draw(skeletons())
    return draw(tables(bones)), draw(tables(bones))


@settings(max_examples=30)
@given(changes())
def test_no_setting_replaces_what_holds_data(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """R2, S4: whatever is changed in a specification, buckets, queues and the key stay.

    But for the buckets of logs, which a specification may ask for no longer.
    """
    before, after = (generate(**content).template for content in pair)
    for change in compare(before, after).changes:
        if change.type in LASTING:
            of_logs = change.resource in ("LogArchiveBucket", "AccessLogBucket")
            actions = ("create", "update", "delete") if of_logs else ("update",)
            assert change.action in actions, change
        if change.action.endswith("replace"):
            # A subscription to another queue's queue is there before the old one goes.
            assert change.type.startswith(("AWS::EC2", "AWS::SNS::Subscription")), change
        assert change.type != "AWS::EC2::Subnet" or change.action in ("create", "delete"), change
