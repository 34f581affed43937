"""A deployed pipeline and what tests do with it: upload, wait, read what is stored."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import jsonschema
import pytest
from botocore.exceptions import ClientError

from darkroom import cli
from darkroom.aws import notifications
from darkroom.emulator.deployment import EmulatedStack
from darkroom.emulator.ministack import Emulator
from templates import naming
from worker.events import SourceObject
from worker.settings import Source

Found = TypeVar("Found")

SCHEMA = Path(__file__).parents[2] / "docs/record.schema.json"
RECORDS = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))

PATIENCE = 60.0  # seconds; nearly everything takes two, a machine under load several times that


@dataclass(frozen=True)
class Stored:
    """An object with its bytes and its headers."""

    body: bytes
    head: Mapping[str, Any]

    @property
    def metadata(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.head["Metadata"]
        return found

    @property
    def etag(self) -> str:
        tag: str = self.head["ETag"]
        return tag.strip('"')

    @cached_property
    def record(self) -> dict[str, Any]:
        """Its content as a record, which its schema has to allow."""
        found: dict[str, Any] = json.loads(self.body)
        RECORDS.validate(found)
        assert self.head["ContentType"] == "application/json"
        assert self.head["CacheControl"] == "no-cache"
        return found


@dataclass
class Operator:
    """A person in a directory of their own, with a stack to operate."""

    stack_name: str
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def does(self, command: str, *arguments: str, status: int = 0) -> str:
        """Run a command on the stack; return its standard output."""
        name, *action = command.split()
        self.capture.readouterr()
        assert cli.main([name, *action, "--stack-name", self.stack_name, *arguments]) == status
        return self.capture.readouterr().out

    def reads(self, command: str, *arguments: str, status: int = 0) -> Any:
        """Run a command on the stack; return its result as JSON."""
        return json.loads(self.does(command, "--format", "json", *arguments, status=status))


@dataclass
class Pipeline:
    """One stack on the emulator."""

    emulator: Emulator
    stack: EmulatedStack
    source: str = "default"

    @cached_property
    def s3(self) -> Any:
        return self.emulator.client("s3")

    @cached_property
    def sqs(self) -> Any:
        return self.emulator.client("sqs")

    @property
    def uploads(self) -> str:
        """The source's bucket, of the stack or external."""
        return self.stack.outputs[naming.logical_id(self.source, "UploadBucketName")]

    @property
    def settings(self) -> Source:
        """The worker's settings for this source."""
        return self.stack.sources[self.uploads]

    @property
    def thumbnail_bucket(self) -> str:
        return self.stack.outputs["ThumbnailBucketName"]

    @property
    def variant_names(self) -> list[str]:
        return [
            ("" if variants.name == "default" else f"{variants.name}-")
            + f"w{width}"
            + ("" if name == "jpeg" else f".{name}")
            for variants in self.settings.variants
            for width in variants.widths
            for name in variants.formats
            if width >= variants.min_widths.get(name, 0)
        ]

    def upload(self, key: str, body: bytes) -> str:
        """Put an object; return its version."""
        version: str = self.s3.put_object(Bucket=self.uploads, Key=key, Body=body)["VersionId"]
        return version

    def stored(self, key: str) -> Stored | None:
        try:
            answer = self.s3.get_object(Bucket=self.thumbnail_bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        return Stored(answer["Body"].read(), answer)

    def record(self, key: str) -> dict[str, Any] | None:
        """Return the record of an upload."""
        stored = self.stored(self.settings.record_key(key))
        return stored.record if stored else None

    def outputs(self, record: Mapping[str, Any]) -> dict[str, Stored]:
        """Return what a record names, as far as it is there; name → object."""
        found = {}
        for entry in record["outputs"]:
            stored = self.stored(entry["key"])
            if stored and stored.etag == entry["etag"]:
                assert stored.head["ContentType"] == entry["type"]
                assert len(stored.body) == entry["bytes"]
                found[entry["name"]] = stored
        return found

    def thumbnails(self, key: str, version: str) -> dict[str, Stored]:
        """Wait for all variants of one version of an upload; variant name → object."""

        def complete() -> dict[str, Stored] | None:
            record = self.record(key)
            if record is None or record["source"].get("version_id") != version:
                return None
            found = self.outputs(record)
            if set(found) != set(self.variant_names):
                return None
            for stored in found.values():
                assert stored.metadata["source-version"] == version
            return found

        return self.until(complete, f"thumbnails of {key}")

    def rejection(self, key: str) -> dict[str, Any]:
        """Wait for the record of an upload that has no thumbnails, and for nothing beside it."""

        def complete() -> dict[str, Any] | None:
            record = self.record(key)
            if record is None or record["state"] == "done":
                return None
            reason = record["rejection"]
            listed = self.stored(reason["key"])
            if listed is None or listed.etag != reason["etag"]:
                return None
            assert reason["key"] == self.settings.rejection_key(key)
            about = {name: reason[name] for name in ("reason", "detail")}
            assert listed.record["rejection"] == about
            assert listed.record["source"] == record["source"]
            return record

        return self.until(complete, f"rejection of {key}")

    def send(self, body: str) -> None:
        """Put a message into the work queue, as a second delivery or a faulty producer would."""
        self.sqs.send_message(QueueUrl=self.stack.outputs["WorkQueueUrl"], MessageBody=body)

    def notification(self, key: str, metadata: Mapping[str, str]) -> str:
        """The S3 notification of the version that an output's metadata name, once more."""
        return notifications.notification(
            SourceObject(
                bucket=self.uploads,
                key=key,
                version_id=metadata["source-version"],
                etag=metadata["source-etag"],
                sequencer=metadata["source-sequencer"],
            )
        )

    def waiting(self, queue: str = "WorkQueueUrl") -> int:
        """How many messages a queue holds, the hidden ones included."""
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=self.stack.outputs[queue], AttributeNames=["All"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"]) + int(
            attributes["ApproximateNumberOfMessagesNotVisible"]
        )

    def drained(self, *, queue: str = "default") -> None:
        """Wait until a work queue is empty: everything sent so far has been worked on."""
        queue = naming.logical_id(queue, "WorkQueueUrl")
        self.until(lambda: True if self.waiting(queue) == 0 else None, "an empty queue")

    def log_lines(self) -> list[dict[str, Any]]:
        """What the worker has logged, in order."""
        pages = self.emulator.client("logs").get_paginator("filter_log_events")
        return [
            json.loads(event["message"])
            for page in pages.paginate(logGroupName=self.stack.outputs["LogGroupName"])
            for event in page["events"]
            if event["message"].startswith("{")
        ]

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        """Return what `look` finds as soon as it does; else fail with the worker's words."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = look()
            if found is not None:
                return found
            time.sleep(0.1)
        log = "\n".join(map(str, self.log_lines()[-10:])) or self.emulator.log_tail(about="ambda")
        raise AssertionError(f"no {what} within {PATIENCE:.0f} s; the worker logged:\n{log}")

    def role_policies(self) -> dict[str, Any]:
        """The worker role's own policies by name."""
        iam, role = self.emulator.client("iam"), self._role
        return {
            name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        }

    @contextmanager
    def without(self, action: str) -> Iterator[None]:
        """Take one action from the worker's role, and give it back."""
        iam, role = self.emulator.client("iam"), self._role
        before = self.role_policies()
        taken = 0
        for name, policy in before.items():
            after = json.loads(json.dumps(policy))
            for statement in after["Statement"]:
                actions = statement["Action"]
                actions = [actions] if isinstance(actions, str) else actions
                if statement["Effect"] == "Allow" and action in actions:
                    taken += 1
                    statement["Action"] = [kept for kept in actions if kept != action]
            after["Statement"] = [item for item in after["Statement"] if item["Action"]]
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(after))
        assert taken, f"the role never had {action}"
        try:
            yield
        finally:
            for name, policy in before.items():
                document = json.dumps(policy)
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)

    @property
    def role_arn(self) -> str:
        function = self.emulator.client("lambda").get_function_configuration(
            FunctionName=self.stack.outputs["FunctionName"]
        )
        arn: str = function["Role"]
        return arn

    @property
    def _role(self) -> str:
        return self.role_arn.rpartition("/")[2]
