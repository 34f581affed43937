"""Many uploads through the upload API while it throttles: none lost, none double.

`python -m tests.soak.throttled_uploads --pictures 1000` runs them on the emulator, which has the
token buckets of the stage and of the usage plan, but not the gateway's own answer.
"""

import argparse
import io
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSPreparedRequest
from PIL import Image

from darkroom.aws.upload_api import THROTTLED, UploadApi
from darkroom.aws.uploads import Checkpoint, Outcome, Uploads
from darkroom.console.progress import Progress
from darkroom.emulator import deployment, processing
from darkroom.emulator.api_uploads import CALLER, EmulatedApi
from darkroom.emulator.ministack import Emulator
from darkroom.emulator.pictures import collect
from templates import pipeline, specification
from tests.e2e.harness import Pipeline

# Small outputs and full batches, because this run does not test the worker.
SPECIFICATION = {
    "api": {},
    "variants": {"default": {"widths": [32], "formats": {"jpeg": 80}}},
    "queues": {"default": {"batch_size": 10, "maximum_batching_window_seconds": 0}},
}
PREFIX = "uploads/api/"
TIMEOUT_SECONDS = 120.0


@dataclass
class Calls:
    """Sends a client's requests, and counts the answers."""

    client: UploadApi
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    unanswered: set[tuple[str, str, str]] = field(default_factory=set)
    """Requests that were throttled and not repeated until they passed."""

    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, request: AWSPreparedRequest) -> Any:
        answer = self.client.send(request)
        content = "" if request.method == "PUT" else str(request.body)
        one = (str(request.method), str(request.url), content)
        with self._lock:
            self.answers[one[0], answer.status_code] += 1
            (self.unanswered.add if answer.status_code == THROTTLED else self.unanswered.discard)(
                one
            )
        return answer

    @property
    def throttled(self) -> int:
        """How many answers were 429."""
        return sum(n for (_, status), n in self.answers.items() if status == THROTTLED)


@dataclass(frozen=True)
class Finished:
    """What became of the pictures, in whose view: the client's, S3's and the queue's."""

    seconds: float
    calls: Calls
    outcomes: Sequence[Outcome]
    uploads: Sequence[str]
    """The key of each version below the API's prefix."""

    records: Sequence[str]
    dead_letters: int


def run(
    emulator: Emulator, parameters: dict[str, str], *, count: int, name: str, directory: Path
) -> Finished:
    """Deploy a stack with an API, and upload `count` different pictures through it."""
    plan = specification.parse(SPECIFICATION, origin="the run's specification")
    template = pipeline.build(plan).to_dict()
    stack = deployment.deploy(
        emulator, deployment.runnable(template)[0], stack_name=name, parameters=parameters
    )
    api = EmulatedApi.of(emulator, stack)
    calls = Calls(api.client(api.add_caller(f"{CALLER}-{name}")))
    client = replace(calls.client, send=calls.send)
    pictures = directory / "pictures"
    pictures.mkdir()
    for number in range(count):
        (pictures / f"{number}.png").write_bytes(_picture(number))
    checkpoint = Checkpoint(directory / "uploads.jsonl", api.url)
    started = time.monotonic()
    uploads = Uploads(client, checkpoint, Progress(), TIMEOUT_SECONDS)
    outcomes = uploads.run(collect([pictures]))
    seconds = time.monotonic() - started
    found = Pipeline(emulator, stack)
    return Finished(
        seconds,
        calls,
        outcomes,
        _keys(found, "list_object_versions", "Versions", found.uploads, PREFIX),
        [
            key
            for key in _keys(
                found, "list_objects_v2", "Contents", found.thumbnail_bucket, "thumbnails/"
            )
            if key.endswith("/index.json")
        ],
        found.waiting("DeadLetterQueueUrl"),
    )


def problems(finished: Finished, count: int) -> list[str]:
    """Return what is wrong: a picture that is lost or double, a 429 that was not repeated."""
    states = Counter(one.state for one in finished.outcomes)
    answers = finished.calls.answers
    expected = {
        "outcomes": (dict(states), {"done": count}),
        "ids": (len({one.id for one in finished.outcomes}), count),
        "keys": (sorted(one.key for one in finished.outcomes), sorted(finished.uploads)),
        "uploaded versions": (len(finished.uploads), count),
        "distinct keys": (len(set(finished.uploads)), count),
        "records": (
            sorted(finished.records),
            sorted(f"thumbnails/{key}/index.json" for key in finished.uploads),
        ),
        "expected uploads": (answers["POST", 201], count),
        "PUTs": (answers["PUT", 200], count),
        "throttled requests that were not repeated": (finished.calls.unanswered, set()),
        "dead letters": (finished.dead_letters, 0),
        "throttled at all": (finished.calls.throttled > 0, True),
    }
    return [
        f"{name}: {found}, not {right}"
        for name, (found, right) in expected.items()
        if found != right
    ]


def _picture(number: int) -> bytes:
    colour = (number % 256, number // 256 % 256, 128)
    content = io.BytesIO()
    Image.new("RGB", (48, 32), colour).save(content, "PNG")
    return content.getvalue()


def _keys(found: Pipeline, operation: str, part: str, bucket: str, prefix: str) -> list[str]:
    pages = found.s3.get_paginator(operation).paginate(Bucket=bucket, Prefix=prefix)
    return [str(one["Key"]) for page in pages for one in page.get(part, ())]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.throttled_uploads")
    parser.add_argument("--pictures", type=int, default=1000, metavar="N")
    parser.add_argument("--rate", type=int, default=20, metavar="N", help="ApiRate")
    parser.add_argument("--burst", type=int, default=40, metavar="N", help="ApiBurst")
    given = parser.parse_args(argv)
    with Emulator() as emulator, tempfile.TemporaryDirectory() as directory:
        package = deployment.package_for_this_host(processing.ROOT / "build")
        parameters = deployment.package_parameters(emulator, package)
        parameters |= {"ApiRate": str(given.rate), "ApiBurst": str(given.burst)}
        finished = run(
            emulator,
            parameters,
            count=given.pictures,
            name="throttled",
            directory=Path(directory),
        )
    found = problems(finished, given.pictures)
    answers = finished.calls.answers
    print(
        f"\n{given.pictures:,} pictures in {finished.seconds:.0f} s with ApiRate={given.rate},"
        f" ApiBurst={given.burst}: {len(finished.records):,} records,"
        f" {len(set(finished.uploads)):,} different keys, {finished.calls.throttled:,} answers"
        " 429, of which"
        f" {len(finished.calls.unanswered)} were not repeated."
    )
    print(", ".join(f"{method} {status}: {n:,}" for (method, status), n in sorted(answers.items())))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
