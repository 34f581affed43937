"""What a local run says while it waits."""

from types import SimpleNamespace
from typing import Any

import pytest

from darkroom.console.progress import Progress
from darkroom.emulator import deployment, processing
from darkroom.emulator.processing import Ended
from templates.specification import Specification
from tests.unit.templates.conftest import generate


def test_a_long_wait_says_for_what_and_how_long() -> None:
    """D5: a user who waits knows whether it is worth it."""
    assert processing.waiting(1, limit=120) == ""
    assert processing.waiting(5, limit=120) == "; waiting for the next, for 5 s so far"
    assert processing.waiting(90, limit=180) == (
        "; waiting for the worker to log the next outcome, for 90 s so far; gives up after 180 s"
    )


def test_a_failed_invocation_is_named() -> None:
    """D5: its batch stays hidden for the visibility timeout, without a line from the worker."""
    log = (
        "WARNING ESM: Lambda darkroom-worker failed processing SQS batch from darkroom-work"
        " (errorType=Sandbox.Timedout errorMessage=Task timed out after 60 seconds)\nmore\n"
    )
    assert processing._invocation_failure(log) == (
        "Sandbox.Timedout: Task timed out after 60 seconds"
    )
    assert processing._invocation_failure("") == ""


@pytest.mark.parametrize(
    ("logged", "told", "outcome"),
    [
        ("succeeded", None, "succeeded"),
        (None, None, "unfinished"),
        ("succeeded", "succeeded", "succeeded"),
        ("succeeded", "unfinished", "unfinished"),
        ("failed", "unfinished", "failed"),
        (None, "refused", "refused"),
    ],
)
def test_of_an_upload_through_the_api_its_answer_counts(
    logged: processing.Outcome | None, told: processing.Outcome | None, outcome: str
) -> None:
    """A1: an API that does not tell what the worker logged is a fault that a run must show."""
    found = processing._ended(
        Ended(logged, seconds=0.5) if logged else None, Ended(told) if told else None
    )
    assert found.outcome == outcome
    assert found.seconds == (0.5 if logged else None)


def test_what_the_emulator_ignores_of_an_api_is_said() -> None:
    """A1, D5: each statement that is removed, and what it takes for granted."""
    template = generate(api={}).template
    (note,) = deployment.api_notes(template)
    assert note.startswith("with UploadApi at a path")
    removed = deployment.removed_statements(template)
    assert {sid for _, sid in removed} >= {"DenyElsewhere", "DenyApiOverwrites"}
    assert deployment.api_notes(generate().template) == []


def test_an_upload_whose_log_line_is_lost_has_the_outcome_of_its_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D5: a busy emulator loses the last lines of a function's log."""
    states = {"a.jpg": "done", "b.jpg": "rejected", "c.jpg": None}
    moments = iter(range(0, 1000, 10))
    clock = SimpleNamespace(monotonic=lambda: float(next(moments)), sleep=lambda _: None)
    monkeypatch.setattr(processing, "time", clock)
    monkeypatch.setattr(processing, "_dead_letters", lambda *_: {})
    monkeypatch.setattr(processing, "_check_start", lambda _: "")
    monkeypatch.setattr(processing, "log_lines", lambda *_, **__: ())

    def read_record(_s3: object, bucket: str, key: str, source: str) -> SimpleNamespace | None:
        assert (bucket, source) == ("thumbnails", "its settings")
        state = states[key]
        return SimpleNamespace(state=state) if state else None

    monkeypatch.setattr(processing, "read_record", read_record)
    emulator: Any = SimpleNamespace(client=lambda _: None)
    stack: Any = SimpleNamespace(thumbnail_bucket="thumbnails", sources={"uploads": "its settings"})
    pending = {("uploads", key) for key in states}
    found = processing.wait(emulator, stack, Specification(), pending, Progress())
    assert {key: ended.outcome for (_, key), ended in found.items()} == {
        "a.jpg": "succeeded",
        "b.jpg": "rejected",
    }
