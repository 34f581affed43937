"""Queues and sources of a deployed stack, by the names that the specification gives them."""

import json
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws import queues
from darkroom.aws.stack import Stack
from darkroom.errors import UsageError, UserError

VARIANTS = {"default": {"widths": [128], "formats": {"jpeg": 85}, "cache_control": "no-cache"}}
ENVIRONMENT = {
    "THUMBNAIL_BUCKET": "thumbnails",
    "ENCRYPTION_KEY_ARN": "arn:key",
    "MAX_OBJECT_BYTES": "1",
    "MAX_PIXELS": "1",
    "VISIBILITY_TIMEOUT": "1",
    "LOG_LEVEL": "INFO",
    "VARIANTS": json.dumps(VARIANTS),
}
URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/my-room"
PREFIX = "my-room"


def stack(functions: dict[str, dict[str, Any]], outputs: dict[str, str]) -> Stack:
    session = botocore.session.Session()
    session.set_config_variable("region", "eu-west-1")
    client = session.create_client("lambda", aws_access_key_id="test", aws_secret_access_key="test")
    stub = Stubber(client)
    for name, variables in functions.items():
        answer = {"FunctionName": name, "Environment": variables}
        stub.add_response("get_function_configuration", answer, {"FunctionName": name})
    stub.activate()
    return Stack(
        name="s",
        id="arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1",
        status="UPDATE_COMPLETE",
        outputs=outputs,
        parameters={"NamePrefix": PREFIX},
        resources={},
        session=session,
        _clients={"lambda": client},
    )


def queue(lead: str, role: str) -> dict[str, str]:
    return {
        f"{lead}WorkQueueUrl": f"{URL}{role}-work",
        f"{lead}DeadLetterQueueUrl": f"{URL}{role}-dead-letters",
        f"{lead}FunctionName": f"{PREFIX}{role}-worker",
    }


def source(lead: str, bucket: str, prefixes: str) -> dict[str, str]:
    return {
        f"{lead}UploadBucketName": bucket,
        f"{lead}UploadPrefixes": prefixes,
        f"{lead}UploadSuffixes": ".jpg,.png",
    }


def environment(**sources: dict[str, Any]) -> dict[str, Any]:
    return {"Variables": {**ENVIRONMENT, "SOURCES": json.dumps(sources)}}


@pytest.fixture
def two() -> Stack:
    """The default queue, and one that two sources share, one of them a topic's."""
    topic = {"name": "press", "prefixes": ["in/"], "suffixes": [".jpg"]}
    return stack(
        {
            "my-room-worker": environment(uploads={"name": "default"}),
            "my-room-big-1-worker": environment(
                scans={"name": "scans", "output_prefix": "s/"}, others=topic
            ),
        },
        {
            **queue("", ""),
            **queue("Big1", "-big-1"),
            **source("", "uploads", "uploads/"),
            **source("Scans", "scans", "a/,b/"),
            **source("Press", "others", "in/"),
        },
    )


def test_names_are_those_of_the_specification(two: Stack) -> None:
    """The outputs' `Big1` could be `big1` as well: the physical name decides."""
    assert [queue.name for queue in queues.find_queues(two)] == ["default", "big-1"]


def test_urls_take_no_request() -> None:
    """S5: dlq works without lambda:GetFunctionConfiguration and kms:Decrypt for the function."""
    (found,) = queues.find_queues(stack({}, queue("", "")))  # a stub that expects no call
    assert found.work_queue_url.endswith("my-room-work")


def test_one_queue_is_chosen_by_name(two: Stack) -> None:
    (found,) = queues.find_queues(two, "big-1")
    assert found.dead_letter_queue_url.endswith("my-room-big-1-dead-letters")


def test_an_unknown_queue_is_a_usage_error(two: Stack) -> None:
    with pytest.raises(UsageError, match="--queue big1: the stack has default, big-1"):
        queues.find_queues(two, "big1")


def test_a_source_has_its_queue_and_matches_keys(two: Stack) -> None:
    """Pitfall 11: suffixes in lower and in upper case, and no mixture of them."""
    found = queues.find_source(two, "scans")
    assert (found.bucket, found.queue.name, found.settings.output_prefix) == (
        "scans",
        "big-1",
        "s/",
    )
    keys = ["a/x.jpg", "b/x.PNG", "a/x.Jpg", "c/x.jpg", "a/x.gif"]
    assert [key for key in keys if found.matches(key)] == ["a/x.jpg", "b/x.PNG"]


def test_the_worker_chooses_of_a_topics_messages(two: Stack) -> None:
    found = queues.find_source(two, "press")
    assert found.matches("in/x.Jpg")
    assert not found.matches("out/x.jpg")


def test_what_no_notification_names_is_unannounced(two: Stack) -> None:
    """R2, pitfall 11: below the prefixes, in the cases of S3's filters; a folder is no file."""
    found = queues.find_sources(two)
    scans, press = found["scans"], found["others"]
    keys = ["a/x.jpg", "a/x.JPG", "a/x.Jpg", "b/x", "b/y/", "a/", "c/x.Jpg"]
    assert [key for key in keys if scans.is_unannounced(key)] == ["a/x.Jpg", "b/x"]
    assert not press.is_unannounced("in/x.Jpg")
    assert press.is_unannounced("in/x.txt")
    everything = replace(scans, suffixes=("*",))
    assert [key for key in keys if everything.matches(key)] == keys[:-1]
    assert not any(map(everything.is_unannounced, keys))


def test_one_of_several_sources_must_be_named(two: Stack) -> None:
    with pytest.raises(UsageError, match="--source is needed: the stack has default, press, scans"):
        queues.find_source(two, None)


def test_another_projects_stack_is_refused() -> None:
    with pytest.raises(UserError, match="is it a stack of this project"):
        queues.find_queues(stack({}, {"Something": "else"}))


def test_an_environment_that_cannot_be_decrypted_is_reported() -> None:
    """S5: Lambda answers without it, and with 200."""
    error = {"ErrorCode": "AccessDeniedException", "Message": "no kms:Decrypt"}
    with pytest.raises(UserError, match="my-room-worker cannot be read: no kms:Decrypt"):
        queues.find_sources(stack({"my-room-worker": {"Error": error}}, queue("", "")))
