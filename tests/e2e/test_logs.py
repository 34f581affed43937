"""The log archive as far as the emulator goes, and `darkroom logs` over both places."""

import gzip
import json
import re
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from darkroom import cli
from darkroom.checks.deployed import archive
from darkroom.checks.names import VERIFY
from darkroom.emulator import deployment, log_delivery
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Pipeline

NAME = "archived"


@pytest.fixture(scope="module")
def archived(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A stack that keeps its logs."""
    plan = specification.parse(
        {
            "sources": {"default": {"suffixes": [".jpg"]}},
        },
        origin="test",
    )
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name=NAME,
        parameters={**package_parameters, "NamePrefix": NAME},
    )
    return Pipeline(emulator, stack)


@pytest.fixture(scope="module")
def lines(archived: Pipeline) -> list[dict[str, Any]]:
    """What the worker logged of two pictures, one with an awkward name."""
    for key in ("uploads/one cat.jpg", "uploads/other ü.jpg"):
        archived.thumbnails(key, archived.upload(key, pictures.jpeg()))
    archived.drained()
    return [line for line in archived.log_lines() if "key" in line]


def logged(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert cli.main(["logs", *arguments, "--stack-name", NAME, "--format", "json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_subscription_and_stream_are_there(archived: Pipeline) -> None:
    """O6: what was deployed names one another; the emulator passes nothing between them."""
    logs, firehose = (archived.emulator.client(name) for name in ("logs", "firehose"))
    (one,) = logs.describe_subscription_filters(logGroupName=f"/{NAME}/worker")[
        "subscriptionFilters"
    ]
    described = firehose.describe_delivery_stream(DeliveryStreamName=f"{NAME}.worker")
    stream = described["DeliveryStreamDescription"]
    assert one["destinationArn"] == stream["DeliveryStreamARN"]
    (destination,) = stream["Destinations"]
    bucket = destination["ExtendedS3DestinationDescription"]["BucketARN"]
    assert bucket.endswith(f":{archived.stack.outputs['LogArchiveBucketName']}")


def test_what_is_put_into_a_stream_lands_below_its_hour(archived: Pipeline) -> None:
    """O6: as far as the emulator goes: the record as it is, under the prefix."""
    record = gzip.compress(json.dumps({"messageType": "DATA_MESSAGE"}).encode())
    before = datetime.now(UTC)
    archived.emulator.client("firehose").put_record(
        DeliveryStreamName=f"{NAME}.worker", Record={"Data": record}
    )
    bucket = archived.stack.outputs["LogArchiveBucketName"]

    def stored() -> dict[str, Any] | None:
        found = archived.s3.list_objects_v2(Bucket=bucket, Prefix="worker/").get("Contents", [])
        return found[0] if found else None

    key = archived.until(stored, "object in the archive")["Key"]
    hours = {f"worker/{time:%Y/%m/%d/%H}/" for time in (before, datetime.now(UTC))}
    assert any(key.startswith(hour) for hour in hours)
    assert archived.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == record
    archived.s3.delete_object(Bucket=bucket, Key=key)


@pytest.mark.usefixtures("person")
def test_a_picture_is_followed_through_the_log(
    lines: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """O1: by key, message or request; its own lines and Lambda's, and no other picture's."""
    for line in lines:
        by_key = logged(capsys, line["key"])
        texts = [one["text"] for one in by_key]
        fields = [text for text in texts if isinstance(text, dict)]
        assert {one.get("key", line["key"]) for one in fields} == {line["key"]}
        assert [one["outcome"] for one in fields if "outcome" in one] == ["succeeded"]
        assert any(str(text).startswith(("START", "REPORT")) for text in texts)
        assert logged(capsys, line["message_id"]) == by_key
        by_request = logged(capsys, line["function_request_id"])
        assert {json.dumps(one) for one in by_key} <= {json.dumps(one) for one in by_request}


@pytest.mark.usefixtures("person")
def test_a_picture_is_followed_through_the_archive(
    archived: Pipeline, lines: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """O6: real lines, as subscription and stream deliver them, in the hours asked for alone."""
    bucket = archived.stack.outputs["LogArchiveBucketName"]
    group = archived.stack.outputs["LogGroupName"]
    delivery = log_delivery.LogDelivery(archived.emulator, group)
    assert delivery.bucket == bucket
    key = delivery.deliver()
    assert key
    assert key.startswith("worker/")
    assert key.endswith(".gz")
    assert delivery.deliver() is None  # each line once
    # Not to be read: it is not gzip.
    archived.s3.put_object(Bucket=bucket, Key="worker/2020/01/01/00/x.gz", Body=b"?")
    for line in lines:
        found = logged(capsys, line["key"], "--archive", "--since", "2h")
        shown = logged(capsys, line["key"])
        assert {str(one["text"]) for one in found} == {str(one["text"]) for one in shown}
    there = ["--stack-name", NAME, "--since", "2020-01-01T00:00", "--until", "2020-01-01T01:00"]
    status = cli.main(["logs", lines[0]["key"], "--archive", *there])
    assert status == 1
    assert "is not a file that Firehose writes" in capsys.readouterr().err


@pytest.mark.usefixtures("person", "lines")
def test_verify_finds_its_canarys_line_in_the_archive(
    archived: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """D4, O6: while something delivers in Firehose's place; and its absence is a failure."""
    delivery = log_delivery.LogDelivery(archived.emulator, f"/{NAME}/worker")
    assert delivery.deliver()
    monkeypatch.setattr(archive, "PAUSE_SECONDS", 0.5)
    ended = threading.Event()

    def deliver() -> None:
        while not ended.wait(1):
            delivery.deliver()

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        found = verified(capsys)
    finally:
        ended.set()
        thread.join()
    assert found["verdict"] == "pass"
    assert re.search(
        r"the worker's line about uploads/canary-\S+ is in s3://\S+/worker/",
        found["checks"][-1]["message"],
    )
    monkeypatch.setattr(archive, "BUFFER_SECONDS", 1)
    monkeypatch.setattr(archive, "DELIVERY_SECONDS", 1)
    found = verified(capsys, status=1)
    assert [one["check"] for one in found["checks"] if one["verdict"] == "fail"] == [
        "archived-canary"
    ]


def verified(capsys: pytest.CaptureFixture[str], *, status: int = 0) -> dict[str, Any]:
    left_out = [name for name in VERIFY if name not in ("canary", "archived-canary")]
    skips = [text for name in left_out for text in ("--skip", name)]
    assert cli.main(["verify", "--stack-name", NAME, *skips, "--format", "json"]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("person", "archived")
@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["uploads/missing.jpg"], 1, "'uploads/missing.jpg' not found in the log of"),
        (["x", "--since", "1h", "--until", "2h"], 2, "--since 1h is not before --until 2h"),
        (["…"], 2, "has no ASCII letter"),
    ],
)
def test_what_is_not_found_is_one_sentence(
    arguments: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["logs", *arguments, "--stack-name", NAME]) == status
    assert sentence in capsys.readouterr().err
