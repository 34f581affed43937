"""What a deployment is made of: the package that is built or given, and where it is."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from darkroom.aws import deployed_template
from darkroom.aws.session import open_account
from darkroom.aws.stack import Stack
from darkroom.checks import deployment_plan
from darkroom.console.progress import Progress
from darkroom.deploy import preparation
from darkroom.deploy.preparation import Inputs, Prepared, prepare
from darkroom.errors import UsageError, UserError
from templates.limits import MAX_DIRECT_TEMPLATE_BYTES
from templates.specification import Specification
from tests.unit.templates.conftest import generate

NEW = Inputs(specification=Specification(), bucket="code")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """Everything that preparation asks for: calls are recorded, and the stack is `existing`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    found = mock.Mock(existing=None)
    found.build.return_value = SimpleNamespace(
        key="built.zip", path=Path("b"), size=1, bytecode="3"
    )
    found.check_prerequisites.side_effect = lambda plan, **_: ([], plan)
    for name in ("build", "check_bucket", "upload", "check_prerequisites"):
        monkeypatch.setattr(preparation, name, getattr(found, name))
    monkeypatch.setattr(preparation, "is_emulator", lambda _: False)
    for module in (preparation, deployment_plan):
        monkeypatch.setattr(module, "find_stack", lambda *_: found.existing)
    return found


def prepared(inputs: Inputs, *, uploads: bool = True) -> Prepared:
    account = open_account(region="eu-west-1")
    return prepare(account, "s", inputs, uploads=uploads, progress=Progress())


def skipped(aws: mock.Mock) -> list[str]:
    found: list[str] = aws.check_prerequisites.call_args.kwargs["skip"]
    return found


def stack(**parameters: str) -> Stack:
    return Stack(
        session=open_account(region="eu-west-1").session,
        name="s",
        id="arn:s",
        status="UPDATE_COMPLETE",
        outputs={},
        parameters=parameters,
        resources={},
    )


def test_a_new_stack_needs_a_bucket(aws: mock.Mock) -> None:
    """D8: before anything is built, and with the command that makes one."""
    with pytest.raises(UsageError, match="--s3-bucket, a bucket in eu-west-1"):
        prepared(replace(NEW, bucket=None))
    aws.build.assert_not_called()


def test_the_worker_is_built_and_uploaded(aws: mock.Mock) -> None:
    """D8: for the runtime and architecture that are given, and then checked."""
    found = prepared(replace(NEW, overrides=["Architecture=x86_64"]))
    assert aws.build.call_args.kwargs["architecture"] == "x86_64"
    assert found.plan.given["CodeBucket"] == "code"
    assert found.parameters()["CodeKey"] == "built.zip"
    assert aws.upload.call_args.args[1] == "code"
    assert "code" not in skipped(aws)


def test_a_dry_run_uploads_no_package(aws: mock.Mock) -> None:
    """D8: so it is not checked either, unless it is given."""
    prepared(NEW, uploads=False)
    aws.upload.assert_not_called()
    assert "code" in skipped(aws)
    prepared(replace(NEW, overrides=["CodeKey=given.zip"]), uploads=False)
    assert "code" not in skipped(aws)


def test_a_package_that_is_given_is_not_built(aws: mock.Mock) -> None:
    """D8: such as one that was tested in another account."""
    found = prepared(replace(NEW, overrides=["CodeKey=given.zip"]))
    aws.build.assert_not_called()
    assert found.parameters()["CodeKey"] == "given.zip"


def test_what_is_not_given_keeps_its_value(aws: mock.Mock) -> None:
    """D8: also the bucket; what the stack does not have gets its default."""
    aws.existing = stack(CodeBucket="kept", NamePrefix="p", Removed="x")
    found = prepared(replace(NEW, bucket=None, overrides=["MemorySize=2048"]))
    assert found.parameters() == {
        "CodeBucket": "kept",
        "CodeKey": "built.zip",
        "MemorySize": "2048",
        "NamePrefix": None,
    }


def test_only_the_package_is_deployed(aws: mock.Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    """D8: --code-only has no parameters, no other template, and needs a stack."""
    code: Any = Inputs()
    with pytest.raises(UserError, match="there is no stack 's' in eu-west-1"):
        prepared(code)
    aws.existing = stack(CodeBucket="kept", CodeKey="old.zip", NamePrefix="p")
    monkeypatch.setattr(deployed_template, "read", lambda _: generate())
    found = prepared(code)
    assert found.template() == {"UsePreviousTemplate": True}
    assert found.parameters() == {
        "CodeBucket": "kept",
        "CodeKey": "built.zip",
        "NamePrefix": None,
    }
    assert not {"caller", "stack", "code"} & {*skipped(aws)}
    with pytest.raises(UsageError, match="MemorySize: only the package is deployed"):
        prepared(replace(code, overrides=["MemorySize=2048"]))


def test_a_large_template_goes_through_the_bucket(
    aws: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D7: CloudFormation takes 51,200 bytes directly, and not one more."""
    monkeypatch.setattr(preparation, "upload_template", lambda _, bucket, **__: f"{bucket}/x.json")
    assert aws
    found = prepared(NEW)
    text = MAX_DIRECT_TEMPLATE_BYTES * "x"
    assert replace(found, text=text).template() == {"TemplateBody": text}
    assert replace(found, text=f"{text}x").template() == {"TemplateURL": "code/x.json"}
