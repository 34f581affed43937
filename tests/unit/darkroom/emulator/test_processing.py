"""What a local run says while it waits."""

from darkroom.emulator import processing


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
