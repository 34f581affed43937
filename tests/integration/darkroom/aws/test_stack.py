"""Finding a deployed stack, and the sentences for what prevents it."""

import json
import os
from collections.abc import Iterator

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from darkroom.aws import session
from darkroom.aws.errors import explained
from darkroom.aws.stack import Stack, open_stack
from darkroom.console.command import StackOptions
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UserError

NAME = "found"
TEMPLATE = {
    "Parameters": {"Wanted": {"Type": "String", "Default": "yes"}},
    "Resources": {"WorkQueue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "work"}}},
    "Outputs": {"WorkQueueUrl": {"Value": {"Ref": "WorkQueue"}}},
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        cloudformation = emulator.client("cloudformation")
        cloudformation.create_stack(StackName=NAME, TemplateBody=json.dumps(TEMPLATE))
        cloudformation.get_waiter("stack_create_complete").wait(StackName=NAME)
        yield emulator


@pytest.fixture
def caller(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A person whose environment configures the emulator alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {**emulator.environment, "AWS_CONFIG_FILE": str(emulator.directory / "config")}
    for name, value in settings.items():
        if name.startswith(("AWS_", "NO_PROXY")):
            monkeypatch.setenv(name, value)
    return monkeypatch


def opened(name: str = NAME, region: str | None = None, profile: str | None = None) -> Stack:
    return open_stack(StackOptions(name=name, region=region, profile=profile))


def test_a_deployed_stack_is_found(caller: pytest.MonkeyPatch, emulator: Emulator) -> None:
    """D6: outputs, parameters and physical ids by name, and clients that work."""
    assert caller
    stack = opened()
    url = stack.output("WorkQueueUrl")
    assert stack.resources == {"WorkQueue": url}
    assert stack.parameters == {"Wanted": "yes"}
    assert (stack.region, stack.status) == (emulator.region, "CREATE_COMPLETE")
    sqs = stack.client("sqs")
    assert sqs is stack.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert "test" not in repr(stack)  # neither key nor secret


def test_the_region_is_found_as_the_cli_finds_it(caller: pytest.MonkeyPatch) -> None:
    """D6: option, AWS_REGION, AWS_DEFAULT_REGION; botocore reads the profile's."""
    caller.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    caller.setenv("AWS_REGION", "eu-west-2")
    with pytest.raises(UserError, match="in eu-central-1: check --stack-name, --region"):
        opened(region="eu-central-1")
    with pytest.raises(UserError, match="in eu-west-2"):
        opened()
    caller.delenv("AWS_REGION")
    with pytest.raises(UserError, match="in eu-west-3"):
        opened()


def test_a_missing_output_is_named(caller: pytest.MonkeyPatch) -> None:
    assert caller
    stack = opened()
    with pytest.raises(
        UserError, match=r"found in eu-west-1 \(CREATE_COMPLETE\) has no output X: is it a stack"
    ):
        stack.output("X")


@pytest.mark.parametrize(
    ("environment", "options", "message"),
    [
        ({}, {"name": "lost"}, "there is no stack 'lost' in eu-west-1"),
        (
            {"AWS_REGION": None, "AWS_DEFAULT_REGION": None},
            {},
            "no region is given: use --region",
        ),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            {},
            "no AWS credentials are found: use --profile",
        ),
        ({"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}, {}, "AWS does not accept the credentials"),
        ({}, {"profile": "absent"}, r"profile \(absent\) could not be found.*list-profiles"),
        ({"AWS_ENDPOINT_URL": "https://127.0.0.1:1"}, {}, "AWS cannot be reached: .*127.0.0.1:1"),
        ({"AWS_CA_BUNDLE": "/nowhere.pem"}, {}, "AWS cannot be"),
        ({}, {"region": "no region"}, "'no region' is not the name of an AWS Region"),
    ],
    ids=[
        "stack",
        "region",
        "credentials",
        "key",
        "profile",
        "network",
        "trust",
        "spelling",
    ],
)
def test_each_failure_is_one_sentence(
    caller: pytest.MonkeyPatch,
    environment: dict[str, str | None],
    options: dict[str, str],
    message: str,
) -> None:
    """D6: one sentence for people, whatever prevents access to the stack."""
    for name, value in environment.items():
        caller.setenv(name, value) if value else caller.delenv(name)
    impatient = Config(connect_timeout=2, retries={"total_max_attempts": 1})
    caller.setattr(session, "CONFIG", session.CONFIG.merge(impatient))
    with pytest.raises(UserError, match=message) as caught:
        opened(**options)
    assert "\n" not in str(caught.value)


def test_a_refused_call_is_named(caller: pytest.MonkeyPatch, emulator: Emulator) -> None:
    """S5: an operator without a permission learns which one it is."""
    iam = emulator.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    caller.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    caller.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    with pytest.raises(UserError, match="AWS refuses DescribeStacks to these credentials"):
        opened()


def test_other_calls_are_explained_as_well(emulator: Emulator) -> None:
    message = r"GetQueueUrl failed: .*NonExistentQueue"
    with pytest.raises(UserError, match=message) as caught, explained():
        emulator.client("sqs").get_queue_url(QueueName="none")
    assert isinstance(caught.value.__cause__, ClientError)
