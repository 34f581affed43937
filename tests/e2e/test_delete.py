"""A stack is deleted: in which order, what stops it, what is retained; and run again."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from darkroom.aws.objects import UndeletedVersion, delete_versions
from darkroom.aws.session import Account
from darkroom.commands import delete
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UserError
from darkroom.operations import deletion, draining
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline
from tests.e2e.test_verify import mapping

NAME = "leaving"

# A deletion waits six minutes for what Firehose has to deliver.
WITHOUT_LOGS = {"archive": False, "s3_access_logs": False}


@pytest.fixture
def leaving(emulator: Emulator, package_parameters: dict[str, str]) -> Iterator[Pipeline]:
    tables = {"sources": {"default": {"suffixes": [".jpg"]}}, "logs": WITHOUT_LOGS}
    plan = specification.parse(tables, origin="test")
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name=NAME,
        parameters={**package_parameters, "NamePrefix": NAME, "CreateSqsEndpoint": "false"},
    )
    pipeline = Pipeline(emulator, stack)
    key = "uploads/kept.jpg"
    pipeline.thumbnails(key, pipeline.upload(key, pictures.jpeg()))
    pipeline.drained()
    yield pipeline
    cloudformation = emulator.client("cloudformation")
    cloudformation.delete_stack(StackName=NAME)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=NAME, WaiterConfig={"Delay": 1}
    )
    for bucket in there(pipeline):  # kept, and in the way of the next one (pitfall 29)
        list(delete_versions(pipeline.s3, bucket))
        pipeline.s3.delete_bucket(Bucket=bucket)


@pytest.fixture
def operator(leaving: Pipeline, terminal: Callable[[str], Operator]) -> Operator:
    assert leaving
    operator = terminal(NAME)
    operator.patch.setattr(deletion, "POLL_SECONDS", 0.1)
    operator.patch.setattr(draining, "POLL_SECONDS", 0.1)
    operator.patch.setattr(draining, "EMPTY_SECONDS", 1.0)  # the emulator counts exactly
    return operator


@pytest.fixture
def calls(operator: Operator) -> list[str]:
    """What is changed on AWS, in order."""
    made: list[str] = []
    client: Any = Account.client

    def watched(account: Account, service: str) -> Any:
        found = client(account, service)
        found.meta.events.register("before-call", note, unique_id="note")
        return found

    def note(model: Any, **_: Any) -> None:
        changes = ("Update", "Delete", "Put", "Create", "Purge")
        if model.name.startswith(changes) and model.name not in made[-1:]:
            made.append(model.name)

    operator.patch.setattr(Account, "client", watched)
    return made


def there(pipeline: Pipeline) -> set[str]:
    names = {one["Name"] for one in pipeline.s3.list_buckets()["Buckets"]}
    return {name for name in names if name.startswith(NAME)}


def test_work_is_never_lost_by_the_way(
    leaving: Pipeline, operator: Operator, calls: list[str]
) -> None:
    """D6, R2, pitfall 28: refused while something is left, then stop, delete, report what stays."""
    both = there(leaving)
    assert len(both) == 2
    operator.does("delete", status=2)  # no terminal
    steps = operator.reads("delete", "--dry-run", "--delete-data")["steps"]
    order = ["wait until", "disable WorkerEventSourceMapping", "empty", "empty", "delete the stack"]
    order += ["delete the bucket", "delete the bucket", "retain EncryptionKey"]
    assert [step.startswith(begin) for step, begin in zip(steps, order, strict=True)] == [True] * 8

    leaving.sqs.send_message(
        QueueUrl=leaving.stack.outputs["DeadLetterQueueUrl"], MessageBody="lost"
    )
    operator.does("delete", "--yes", status=1)
    assert "refuse" in operator.reads("delete", "--dry-run")["steps"][0]
    assert calls == []
    leaving.sqs.purge_queue(QueueUrl=leaving.stack.outputs["DeadLetterQueueUrl"])

    # Work that waits is done first, even where an earlier run had stopped it.
    client = leaving.emulator.client("lambda")
    client.update_event_source_mapping(UUID=mapping(leaving), Enabled=False)
    version = leaving.upload("uploads/last.jpg", pictures.jpeg())
    leaving.until(lambda: leaving.waiting() or None, "a message that waits")
    result = operator.reads("delete", "--yes")
    assert calls == ["UpdateEventSourceMapping", "DeleteStack"]
    assert leaving.thumbnails("uploads/last.jpg", version)
    assert there(leaving) == both
    assert {one["resource"] for one in result["retained"]} == {
        "EncryptionKey",
        "UploadBucket",
        "ThumbnailBucket",
    }
    # Two uploads, with five outputs and a record each.
    assert sum(one["versions"] for one in result["retained"]) == 14
    assert result["usd_per_month"] == 1.0  # the key; a few kilobytes cost nothing

    # Deleted already: it reports the same again, and with consent deletes the data.
    calls.clear()
    assert operator.reads("delete")["retained"] == result["retained"]
    assert calls == []
    operator.does("delete", "--delete-data", status=2)
    assert there(leaving) == both
    left = operator.reads("delete", "--delete-data", "--yes")["retained"]
    assert [one["resource"] for one in left] == ["EncryptionKey"]
    assert there(leaving) == set()
    assert "schedule-key-deletion" in operator.does("delete", "--delete-data")


def test_interrupted_it_goes_on(leaving: Pipeline, operator: Operator, calls: list[str]) -> None:
    """D6: each step checks what exists; data is deleted before the stack that names it."""
    everything = ("delete", "--delete-data", "--discard-messages", "--yes")
    with operator.patch.context() as patch:
        patch.setattr(deletion, "delete_versions", interrupted)
        operator.does(*everything, status=130)
    assert calls == ["UpdateEventSourceMapping", "DeleteObjects"]
    with operator.patch.context() as patch:
        patch.setattr(deletion.Deletion, "delete_buckets", interrupt)
        operator.does(*everything, status=130)
    assert calls[2:] == ["DeleteStack"]  # both steps together: the second bucket's objects went on
    operator.does(*everything)
    assert calls[3:] == ["DeleteBucket"]
    assert there(leaving) == set()


def interrupted(s3: Any, bucket: str, **_: Any) -> Iterator[tuple[int, list[UndeletedVersion]]]:
    """Ctrl-C behind the first page."""
    yield next(delete_versions(s3, bucket))
    raise KeyboardInterrupt


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


def test_only_the_stacks_own_name_is_consent(
    leaving: Pipeline, operator: Operator, calls: list[str]
) -> None:
    """D6: the stack's name is typed, and the question warns that data is deleted."""
    asked = []

    def confirm(question: str, *, word: str, yes: bool) -> None:
        asked.append((question, word, yes))
        raise KeyboardInterrupt

    operator.patch.setattr(delete, "confirm", confirm)
    operator.does("delete", "--delete-data", status=130)
    ((question, word, yes),) = asked
    assert (word, yes) == (NAME, False)
    assert "ALL DATA" in question
    assert calls == []
    assert len(there(leaving)) == 2


def test_a_failed_creation_is_deleted_and_another_bucket_stays(
    emulator: Emulator, package_parameters: dict[str, str], terminal: Callable[[str], Operator]
) -> None:
    """D6, pitfall 29: nothing to disable, and a bucket of the same name is not the stack's."""
    s3, plan = emulator.client("s3"), specification.parse({"logs": WITHOUT_LOGS}, origin="test")
    parameters = {**package_parameters, "NamePrefix": "failing", "CreateSqsEndpoint": "false"}
    account = emulator.client("sts").get_caller_identity()["Account"]
    bucket = f"failing-uploads-{account}-{emulator.region}"
    s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": emulator.region}
    )
    s3.put_object(Bucket=bucket, Key="theirs", Body=b"x")
    with pytest.raises(UserError):
        deployment.deploy(emulator, template(plan), stack_name="failing", parameters=parameters)
    operator = terminal("failing")
    operator.patch.setattr(deletion, "POLL_SECONDS", 0.1)
    result = operator.reads("delete", "--delete-data", "--yes")
    assert result["discarded_messages"] == 0
    assert s3.head_object(Bucket=bucket, Key="theirs")
    s3.delete_object(Bucket=bucket, Key="theirs")
    s3.delete_bucket(Bucket=bucket)


def test_what_never_was_is_result(operator: Operator) -> None:
    operator.stack_name = "never"
    operator.does("delete", status=1)
