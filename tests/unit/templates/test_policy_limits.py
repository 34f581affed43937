import json
from typing import Any

import pytest

from darkroom.cloudformation.identifiers import PREDICTED
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.cloudformation.resource_types import RESOURCE_TYPES
from templates import limits, pipeline, policy_limits, specification
from templates.specification import SpecificationError

# The longest values that the parameters of a stack in GovCloud take.
LONGEST = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "us-gov-west-1",
    "NamePrefix": 20 * "p",
}


def tables(*, buckets: int = 0, existing: int = 0, topics: int = 0, queues: int = 1) -> Any:
    """Return the tables of so many sources, with the longest names, spread over the queues."""
    kinds = buckets * ["s3"] + existing * ["eventbridge"] + topics * ["sns"]
    sources = {
        f"s{number:02}-abcdef": {"type": kind, "queue": f"q{number % queues:02}-abcdef"}
        for number, kind in enumerate(kinds)
    }
    return {"sources": sources, "queues": {one["queue"]: {} for one in sources.values()}}


def build(**counts: int) -> dict[str, Any]:
    parsed = specification.parse(tables(**counts), origin="test")
    text = pipeline.render(pipeline.build(parsed))
    return dict(json.loads(text))


def document_of(template: dict[str, Any], title: str) -> dict[str, Any]:
    return dict(template["Resources"][title]["Properties"]["PolicyDocument"])


@pytest.mark.parametrize(
    "counts",
    [
        {"buckets": 1},
        {"buckets": 8},
        {"existing": 6},
        {"topics": 6},
        {"buckets": 3, "existing": 3, "topics": 3},
        {"buckets": 4, "queues": 4},
        {"buckets": 20},
        {"buckets": 20, "queues": 20},
        {"existing": 20, "queues": 20},
        {"topics": 20, "queues": 20},
        {"buckets": 1, "existing": 1, "topics": 2, "queues": 3},
    ],
)
def test_what_generates_fits_with_the_longest_names(counts: dict[str, int]) -> None:
    """Pitfall 81: a policy that grows with the specification never stops a deployment."""
    template = build(**counts)
    values = dict(LONGEST)
    for name, parameter in template["Parameters"].items():
        if "MaxLength" in parameter and name not in values:
            values[name] = int(parameter["MaxLength"]) * "x"
    stack = ResolvedTemplate(template, values, PREDICTED)
    checked = 0
    for title, resource in template["Resources"].items():
        for limit, found in policy_limits.policies(resource["Type"], stack.properties(title)):
            assert list(policy_limits.excesses(limit, found)) == []
            checked += 1
    assert checked > 5


def test_a_queue_policy_has_as_many_statements_for_many_sources_as_for_three() -> None:
    """Pitfall 81: SQS takes 20 statements and 10 conditions."""
    few, many = (build(buckets=number, existing=number, topics=number) for number in (1, 3))
    for noun in ("WorkQueuePolicy", "DeadLetterQueuePolicy"):
        title = f"Q00Abcdef{noun}"
        assert len(document_of(few, title)["Statement"]) == len(
            document_of(many, title)["Statement"]
        )


def test_a_role_without_room_has_managed_policies() -> None:
    """Pitfall 81: twenty queues need more than the 10,240 characters of inline policies."""
    few, many = build(buckets=4, queues=4), build(buckets=20, queues=20)
    role = many["Resources"]["WorkerRole"]["Properties"]
    managed = [
        title
        for title, resource in many["Resources"].items()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
    ]
    assert role["ManagedPolicyArns"] == [{"Ref": title} for title in managed]
    assert 0 < len(managed) <= 10  # IAM's default for a role
    assert "ManagedPolicyArns" not in few["Resources"]["WorkerRole"]["Properties"]


def test_too_large_a_policy_is_refused_in_a_sentence() -> None:
    """Pitfall 81: with the policy, its size, the limit and what to do."""
    prefixes = [f"folder{number}/" for number in range(40)]
    source = {"prefixes": prefixes, "suffixes": [".jpg"]}
    plan = specification.parse({"sources": {f"s{n}": source for n in range(9)}}, origin="test")
    with pytest.raises(SpecificationError, match=r"^WorkerPolicy1 has [\d,]+ bytes of") as found:
        pipeline.build(plan)
    assert "IAM allows 6,144" in str(found.value)
    assert "use fewer queues, sources and prefixes, or several stacks" in str(found.value)


def test_too_many_resources_are_refused_in_a_sentence() -> None:
    """D7: CloudFormation takes 500."""
    with pytest.raises(SpecificationError, match="more than 500 resources"):
        build(buckets=40, queues=40)


@pytest.mark.parametrize(
    ("change", "excess"),
    [
        ({"Statement": 21 * [{"Action": "sqs:SendMessage"}]}, "21 statements (SQS allows 20)"),
        (
            {"Statement": [{"Condition": {"StringEquals": {f"k{n}": "v" for n in range(11)}}}]},
            "11 conditions (SQS allows 10)",
        ),
        ({"Statement": {"Action": 8 * ["sqs:SendMessage"]}}, "8 actions in a statement"),
        ({"Statement": [{"Principal": {"AWS": 51 * ["1"]}}]}, "51 principals (SQS allows 50)"),
        ({"Statement": [{"Sid": 8192 * "s"}]}, "bytes of policy (SQS allows 8,192)"),
    ],
)
def test_each_limit_of_a_queue_policy_is_checked(change: dict[str, Any], excess: str) -> None:
    """Pitfall 81: bytes, statements, conditions, principals and actions."""
    limit = limits.POLICY_LIMITS["AWS::SQS::QueuePolicy"]
    (found,) = policy_limits.excesses(limit, [change])
    assert excess in found


def test_inline_policies_of_other_resources_count_for_the_role() -> None:
    """Pitfall 81: IAM adds up the inline policies of a role, wherever they are declared."""
    template = build(buckets=1)
    template["Resources"]["More"] = {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "Roles": [{"Ref": "WorkerRole"}],
            "PolicyDocument": {"Statement": [{"Sid": 10_000 * "s"}]},
        },
    }
    with pytest.raises(SpecificationError, match="WorkerRole has"):
        policy_limits.check(template)


def test_an_unbounded_parameter_in_a_policy_is_a_defect() -> None:
    """Pitfall 81: without a MaxLength, no size could be promised."""
    template = build(topics=1)
    del template["Parameters"]["S00AbcdefTopicArn"]["MaxLength"]
    with pytest.raises(LookupError, match="S00AbcdefTopicArn is in a policy"):
        policy_limits.check(template)


def test_the_arns_are_those_of_the_table_of_resource_types() -> None:
    """D7: both tables spell an ARN alike."""
    for kind, pattern in policy_limits.ARNS.items():
        known = RESOURCE_TYPES[kind.removeprefix("AWS::")]
        head = known.arn.replace("{region}", "${AWS::Region}")
        head = head.replace("{account}", "${AWS::AccountId}").partition("{name}")[0]
        assert pattern.startswith(head)
