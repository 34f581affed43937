"""tests/soak/throttled_uploads.py: the checks of the run can fail."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.credentials import Credentials

from darkroom.aws.upload_api import UploadApi
from darkroom.aws.uploads import Outcome
from darkroom.emulator.pictures import File
from tests.soak.throttled_uploads import Calls, Finished, problems

KEYS = ["uploads/api/a/1.png", "uploads/api/a/2.png"]


@dataclass
class Answer:
    status_code: int


def calls(*statuses: int) -> Calls:
    """Return the calls of a client that sends one POST for each status."""
    answers = [Answer(status) for status in statuses]

    def send(_: AWSPreparedRequest) -> Any:
        return answers.pop(0)

    client = UploadApi(
        url="https://a", api_key="", credentials=Credentials("a", "b"), region="", send=send
    )
    found = Calls(client)
    for _ in statuses:
        found.send(AWSRequest("POST", "https://a/uploads", data=b"one").prepare())
    return found


def finished() -> Finished:
    sound = calls(429, 201)
    sound.answers += Counter({("POST", 201): 1, ("PUT", 200): 2})
    file = File(Path("a.png"), "a.png", "a.png", 1)
    return Finished(
        seconds=1.0,
        calls=sound,
        outcomes=[Outcome(file, "done", key, key) for key in KEYS],
        uploads=KEYS,
        records=[f"thumbnails/{key}/index.json" for key in KEYS],
        dead_letters=0,
    )


def test_a_sound_run_has_no_problem() -> None:
    """A1: a 429, and its repetition."""
    assert problems(finished(), 2) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"records": finished().records[:1]}, "records"),
        ({"uploads": [*KEYS, KEYS[0]]}, "uploaded versions"),
        ({"uploads": [KEYS[0]] * 2}, "distinct keys"),
        ({"outcomes": finished().outcomes[:1]}, "outcomes"),
        ({"dead_letters": 1}, "dead letters"),
        ({"calls": calls(201, 429)}, "throttled requests that were not repeated"),
        ({"calls": calls(201, 201)}, "throttled at all"),
        ({"calls": calls(201, 201, 201)}, "expected uploads"),
    ],
)
def test_what_is_lost_or_double_is_found(change: dict[str, Any], problem: str) -> None:
    """A1: in the client's view, in S3's and in the queue's."""
    found = problems(replace(finished(), **change), 2)
    assert problem in [one.partition(":")[0] for one in found]
