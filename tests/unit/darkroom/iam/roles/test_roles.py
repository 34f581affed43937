"""Roles of those who deploy, look at and operate a stack: what they may, and nothing beyond."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.iam.evaluator import Request, allowed
from darkroom.iam.roles import permissions, proof, roles
from darkroom.iam.roles.role_template import PATH
from darkroom.iam.roles.service_reference import (
    handler_actions,
    is_for_all_resources,
    takes_arn,
)
from darkroom.iam.roles.stack_arns import stack_arns
from templates import pipeline, specification

EXAMPLES = Path(__file__).parents[5] / "params" / "examples"
THROUGH = {
    "aws:CalledViaFirst": "cloudformation.amazonaws.com",
    "aws:RequestTag/Application": "pictures",
    "aws:ResourceTag/Application": "pictures",
    "iam:PassedToService": "lambda.amazonaws.com",
    "lambda:FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:pictures-worker",
}
VALUES = {
    "NamePrefix": "pictures",
    "StackName": "pictures",
    "CodeBucket": "code",
    "GitHubSubject": "repo:me/it:environment:prod",
    "TrustedRoleArn": "",
    "PermissionsBoundaryArn": "",
}
OWN_ROLE = "arn:aws:iam::111122223333:role/pictures-WorkerRole-1"


@cache
def stack(example: str) -> dict[str, Any]:
    plan = specification.Specification()
    if example:
        plan = specification.load(EXAMPLES / f"{example}.toml")
    found: dict[str, Any] = json.loads(pipeline.build(plan).to_json())
    return found


@cache
def role(kind: str, example: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(roles.role(kind, stack(example)).to_json())
    return found


def statements(template: dict[str, Any], **values: str) -> list[dict[str, Any]]:
    resolved = ResolvedTemplate(template, {**VALUES, **values})
    return [
        one
        for title in resolved.resources_of_type("IAM::ManagedPolicy")
        for one in resolved.statements(title)
    ]


def concrete(arn: str) -> str:
    resolved = ResolvedTemplate({"Resources": {}}, VALUES).resolve({"Fn::Sub": arn})
    return str(resolved).replace("*", "1")


@pytest.mark.parametrize("example", ["", "api"])
@pytest.mark.parametrize("kind", roles.KINDS)
def test_a_role_grants_what_is_needed_and_nothing_beyond(kind: str, example: str) -> None:
    """S5: each permission is needed, and each mutant of the policies is noticed."""
    result = proof.verify(kind, stack(example), role(kind, example))
    assert result.failures == ()
    assert result.surviving_mutants == ()
    assert min(result.allowed, result.denied, result.mutants) > 25


def test_a_permission_too_few_and_one_too_many_are_noticed() -> None:
    """S5: the test itself can fail."""
    for change in ("less", "more"):
        changed = json.loads(json.dumps(role("operator")))
        first = changed["Resources"]["Permissions1"]["Properties"]["PolicyDocument"]["Statement"]
        if change == "less":
            del first[0]["Action"][0]
        else:
            first[0]["Resource"] = ["*"]
        assert not proof.verify("operator", stack(""), changed).is_passed


@pytest.mark.parametrize("example", ["", "web", "volume", "api"])
def test_all_that_the_handlers_of_each_resource_take_is_granted(example: str) -> None:
    """S5: by AWS's own schema of the type, but for what has no resource in the stack."""
    template = stack(example)
    granted = statements(role("deploy", example))
    own = [one for arns in stack_arns(template).values() for one in arns]
    for title, resource in template["Resources"].items():
        for action in handler_actions(resource["Type"]) - permissions.NOT_GRANTED.keys():
            if action in permissions.ONLY_WITH:
                continue
            for arn in [one for one in own if takes_arn(action, one)]:
                request = Request(action=action, resource=concrete(arn), context=THROUGH)
                assert allowed(granted, request), f"{title}: {action} on {arn}"


@pytest.mark.parametrize("kind", roles.KINDS)
def test_no_action_is_a_wildcard_and_a_resource_only_where_iam_has_no_other(kind: str) -> None:
    """S5: and each action is one that IAM knows."""
    for one in statements(role(kind, "api")):
        assert not any("*" in action for action in one["Action"])
        for action in one["Action"]:
            assert is_for_all_resources(action) is (one["Resource"] == ["*"])


def test_the_schemas_leave_nothing_to_properties_that_no_resource_has() -> None:
    """S5: what copies a bucket elsewhere, opens it or reaches beyond the stack."""
    granted = {action for one in statements(role("deploy")) for action in one["Action"]}
    assert not granted & permissions.NOT_GRANTED.keys()
    assert not granted & permissions.ONLY_WITH.keys()
    replicated = json.loads(json.dumps(stack("")))
    properties = replicated["Resources"]["UploadBucket"]["Properties"]
    properties["ReplicationConfiguration"] = {}
    granted = {
        action
        for one in statements(json.loads(roles.role("deploy", replicated).to_json()))
        for action in one["Action"]
    }
    assert "s3:PutReplicationConfiguration" in granted


def test_only_cloudformation_changes_the_stacks_resources() -> None:
    """S5: the holder of the role can do it by a change of the stack only."""
    granted = statements(role("deploy"))
    for action, resource in (
        ("iam:PutRolePolicy", OWN_ROLE),
        (
            "lambda:UpdateFunctionCode",
            "arn:aws:lambda:eu-west-1:111122223333:function:pictures-worker",
        ),
        ("kms:PutKeyPolicy", "arn:aws:kms:eu-west-1:111122223333:key/1"),
    ):
        request = Request(action=action, resource=resource, context=THROUGH)
        assert allowed(granted, request)
        direct = {key: value for key, value in THROUGH.items() if key != "aws:CalledViaFirst"}
        assert not allowed(granted, Request(action=action, resource=resource, context=direct))


def test_the_role_cannot_change_itself() -> None:
    """S5: whatever its own stack is called, it is outside of the names that it may change."""
    properties = role("deploy")["Resources"]["Role"]["Properties"]
    assert properties["Path"] == PATH
    itself = f"arn:aws:iam::111122223333:role{PATH}pictures-deploy-Role-1"
    policy = f"arn:aws:iam::111122223333:policy{PATH}pictures-deploy-Permissions1-1"
    for one in statements(role("deploy")):
        for action in one["Action"]:
            if action.startswith("iam:"):
                for resource in (itself, policy):
                    request = Request(action=action, resource=resource, context=THROUGH)
                    assert not allowed([one], request)


def test_roles_keep_their_boundary() -> None:
    """S8: where the pipeline has one, no role is made or widened without it."""
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    granted = statements(role("deploy"), PermissionsBoundaryArn=boundary)
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"):
        for key, is_allowed in ((boundary, True), (f"{boundary}-other", False)):
            context = {**THROUGH, "iam:PermissionsBoundary": key}
            request = Request(action=action, resource=OWN_ROLE, context=context)
            assert allowed(granted, request) is is_allowed
    request = Request(action="iam:CreateRole", resource=OWN_ROLE, context=THROUGH)
    assert not allowed(granted, request)
    assert allowed(statements(role("deploy")), request)


def test_roles_are_passed_to_the_services_that_they_trust() -> None:
    """S5: to no other."""
    assert roles.passed_to(stack("")) == [
        "firehose.amazonaws.com",
        "lambda.amazonaws.com",
        "logs.amazonaws.com",
    ]
    granted = statements(role("deploy"))
    for service, is_allowed in (("lambda.amazonaws.com", True), ("ec2.amazonaws.com", False)):
        context = {**THROUGH, "iam:PassedToService": service}
        request = Request(action="iam:PassRole", resource=OWN_ROLE, context=context)
        assert allowed(granted, request) is is_allowed


def trusted(**values: str) -> Iterator[dict[str, Any]]:
    resolved = ResolvedTemplate(role("deploy"), {**VALUES, "GitHubSubject": "", **values})
    document = resolved.properties("Role")["AssumeRolePolicyDocument"]
    yield from document["Statement"]


def test_a_subject_of_github_or_a_role_is_trusted() -> None:
    """S5: exactly the given ones, and a role that nobody may assume is refused."""
    (github,) = trusted(GitHubSubject="repo:me/it:environment:prod")
    assert github["Condition"]["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:me/it:environment:prod",
    }
    (other,) = trusted(TrustedRoleArn="arn:aws:iam::999999999999:role/ci")
    assert other["Principal"] == {"AWS": "arn:aws:iam::999999999999:role/ci"}
    template = ResolvedTemplate(role("deploy"), {**VALUES, "GitHubSubject": ""})
    assert template.broken_rules() == ["Give GitHubSubject, TrustedRoleArn, or both."]


def test_a_stacks_name_is_not_longer_than_its_roles_names_have() -> None:
    """Pitfall 89: CloudFormation shortens it there, so that no pattern would match."""
    parameter = role("deploy")["Parameters"]["StackName"]
    assert int(parameter["MaxLength"]) == 25


def test_a_stack_of_another_specification_is_another_role() -> None:
    """S5: it has the API's rights where there is an API, and not elsewhere."""
    for example, has in (("", False), ("api", True)):
        granted = {
            action for one in statements(role("deploy", example)) for action in one["Action"]
        }
        assert ("apigateway:POST" in granted) is has
