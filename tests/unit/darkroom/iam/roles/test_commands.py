"""What the commands ask of AWS is in the table that their roles come from."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from darkroom.iam.roles import commands

ROOT = Path(__file__).parents[5]
SERVICES = (
    *("apigateway", "cloudformation", "cloudfront", "cloudtrail", "cloudwatch", "ec2", "events"),
    *("firehose", "iam", "kms", "lambda", "logs", "route53resolver", "s3", "sns", "sqs"),
)

ACTIONS: Mapping[str, tuple[str, ...]] = {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    "s3:DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketNotificationConfiguration": ("s3:GetBucketNotification",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "sqs:ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
}
"""Operation → the actions that it takes, where they have other names."""

ALL = [one for one in vars(commands).values() if isinstance(one, commands.Access)]
GRANTED = {
    action
    for one in ALL
    for action in (*one.actions, *one.code, *(each for part in one.parts.values() for each in part))
}

HOMONYMS = {"cloudtrail:GetDashboard", "events:ListRules", "s3:ListObjects"}
"""Another service's, or a function of this project."""


def operations() -> Mapping[str, set[str]]:
    """Each method of a client, and the operations that it may be."""
    session = botocore.session.get_session()
    found = defaultdict(set)
    for service in SERVICES:
        for name in session.get_service_model(service).operation_names:
            found[xform_name(name)].add(f"{service}:{name}")
    return found


def called(tree: ast.AST, known: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield the operations that code calls, or names as those of a paginator."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                yield from known.get(name, ()) if "_" in name else ()


def test_each_call_of_a_command_is_in_the_table() -> None:
    """S5: a command that asks for more without its role is noticed."""
    known = operations()
    missing = {
        f"{path.relative_to(ROOT)}: {operation}"
        for path in sorted(ROOT.glob("darkroom/**/*.py"))
        # The emulator has no IAM of its own; `load` and `upload` are for test stacks.
        if "emulator" not in path.parts and path.stem not in {"load", "commands"}
        for operation in {*called(ast.parse(path.read_text("utf-8")), known)} - HOMONYMS
        if not operation.startswith("apigateway:Get")  # all of them are one action, GET
        and not GRANTED.issuperset(ACTIONS.get(operation, (operation,)))
    }
    assert missing == set()


def test_each_action_of_the_table_is_called() -> None:
    """S5: what no command asks for is not granted."""
    known = operations()
    used = {"apigateway:GET", "kms:Decrypt", "kms:GenerateDataKey", "cloudformation:TagResource"}
    used |= {"s3:GetObjectVersion", "s3:DeleteObject"}
    used.add("lambda:InvokeFunction")  # the method is named `invoke`, as others are
    for path in ROOT.glob("darkroom/**/*.py"):
        if "emulator" not in path.parts and path.stem != "commands":
            for operation in called(ast.parse(path.read_text(encoding="utf-8")), known):
                used |= {*ACTIONS.get(operation, (operation,))}
    assert GRANTED - used == set()


@pytest.mark.parametrize("part", ["actions", "parts", "code"])
def test_no_action_is_named_twice(part: str) -> None:
    """D6: each list is sorted, and has each once."""
    for one in ALL:
        named = getattr(one, part)
        lists = named.values() if isinstance(named, Mapping) else [named]
        for actions in lists:
            assert list(actions) == sorted(set(actions))
