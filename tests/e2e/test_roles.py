"""The printed roles on the emulator, with IAM on: each is enough for its commands, and needed."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from darkroom.bundle.build import Package
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.emulator.ministack import Emulator
from darkroom.iam.roles import roles
from darkroom.operations import deletion, draining
from templates import pipeline, specification
from tests.e2e.harness import Operator

NAME = "under-role"
BUCKET = "under-role-code"
BUILD = str(Path(__file__).parents[2] / "build")

SPECIFICATION = """
[sources.default]
suffixes = [".jpg", ".png"]

[logs]
archive = false
s3_access_logs = false
"""
"""Without logs, whose deletion waits six minutes."""

OTHER_NAMES = {
    # By a path or a list that several share.
    "cloudformation:DescribeChangeSet": ("cloudformation:DescribeChangeSet",),
    "cloudformation:ExecuteChangeSet": ("cloudformation:ExecuteChangeSet",),
    "cloudwatch:DescribeAlarms": ("cloudwatch:DescribeAlarms",),
    "cloudwatch:GetDashboard": ("cloudwatch:GetDashboard",),
    "lambda:GetEventSourceMapping": ("lambda:ListEventSourceMappings",),
    "lambda:GetFunctionConcurrency": ("lambda:PutFunctionConcurrency",),
    "lambda:GetFunctionRecursionConfig": ("lambda:GetFunction",),
}
"""Action → what the emulator asks for instead, on `*`."""


@pytest.fixture
def operator(emulator: Emulator, package: Package, terminal: Callable[[str], Operator]) -> Operator:
    assert package
    emulator.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": emulator.region}
    )
    operator = terminal(NAME)
    operator.patch.setattr(deletion, "POLL_SECONDS", 0.1)
    operator.patch.setattr(draining, "POLL_SECONDS", 0.1)
    operator.patch.setattr(draining, "EMPTY_SECONDS", 1.0)  # the emulator counts exactly
    Path("mine.toml").write_text(SPECIFICATION, "utf-8")
    return operator


def rights(emulator: Emulator, kind: str) -> list[dict[str, Any]]:
    """Return a role's statements for this stack."""
    plan = specification.load(Path("mine.toml"))
    stack = json.loads(pipeline.build(plan).to_json())
    template = json.loads(roles.role(kind, stack).to_json())
    identity = emulator.client("sts").get_caller_identity()
    resolved = ResolvedTemplate(
        template,
        {
            "NamePrefix": NAME,
            "StackName": NAME,
            "CodeBucket": BUCKET,
            "AWS::AccountId": identity["Account"],
            "AWS::Region": emulator.region,
        },
    )
    return [
        statement
        for title in resolved.resources_of_type("IAM::ManagedPolicy")
        for statement in resolved.statements(title)
    ]


def sign_in(operator: Operator, emulator: Emulator, kind: str) -> list[dict[str, Any]]:
    """Become a user who has the rights of a role and no others; return them."""
    statements, iam = rights(emulator, kind), emulator.client("iam")
    iam.create_user(UserName=kind)
    for number, statement in enumerate(statements):
        iam.put_user_policy(
            UserName=kind,
            PolicyName=f"rights-{number}",
            PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": list(as_the_emulator_has(statement))}
            ),
        )
    key = iam.create_access_key(UserName=kind)["AccessKey"]
    operator.patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    operator.patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    return statements


def as_the_emulator_has(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a statement, and what the emulator takes for the same requests."""
    actions, resources = statement["Action"], statement["Resource"]
    yield statement
    if batches := [f"{action}Batch" for action in actions if action.startswith("sqs:")]:
        yield {**statement, "Action": batches}
    if aliases := [one.replace(":key/*", f":alias/{NAME}") for one in resources if ":key/" in one]:
        yield {**statement, "Resource": aliases}
    direct = "Condition" not in statement
    if others := [name for action in actions if direct for name in OTHER_NAMES.get(action, ())]:
        yield {**statement, "Action": others, "Resource": ["*"]}


def test_each_command_under_its_role_alone(emulator: Emulator, operator: Operator) -> None:
    """S5: the whole way, from an account without the stack; and not without one right of it."""
    granted = sign_in(operator, emulator, "deploy")
    new = ("--pipeline", "mine.toml", "--s3-bucket", BUCKET, "--output", BUILD)
    options = (*new, f"NamePrefix={NAME}", "--yes", "--no-verify")
    deployer = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    done = operator.reads("deploy", *options)
    assert done["status"] == "CREATE_COMPLETE"
    report = operator.reads("verify")
    assert "AWS refuses" not in json.dumps(report)
    assert "canary" in {one["check"] for one in report["checks"] if one["verdict"] == "pass"}

    sign_in(operator, emulator, "read-only")
    assert "AWS refuses" not in operator.does("verify", "--skip", "canary", "--format", "json")
    operator.does("logs", "uploads/cat.jpg", status=1)  # there is no such line
    operator.does("delete", "--yes", status=1)

    sign_in(operator, emulator, "operator")
    assert operator.reads("dlq list")["messages"] == 0
    operator.does("rejections list")
    assert operator.reads("backfill", "--yes", "--skip-processed")["sent"] == 0
    operator.does("delete", "--yes", status=1)

    for name, value in deployer.items():
        operator.patch.setenv(name, value)
    operator.does("delete", "--yes", "--delete-data")
    (number,) = [
        number
        for number, one in enumerate(granted)
        if "cloudformation:CreateChangeSet" in one["Action"]
    ]
    emulator.client("iam").delete_user_policy(UserName="deploy", PolicyName=f"rights-{number}")
    operator.does("deploy", *options, status=1)
