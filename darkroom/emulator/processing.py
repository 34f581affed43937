"""Runs pictures through a pipeline on the emulator: deploy, upload, wait, results."""

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from darkroom.aws.records import read_record
from darkroom.console.progress import Progress
from darkroom.console.text import plural
from darkroom.emulator import api_uploads, deployment, prerequisites
from darkroom.emulator.ministack import Emulator
from darkroom.emulator.pictures import Upload
from darkroom.errors import UserError
from templates import naming, pipeline
from templates.specification import Specification
from worker import events

ROOT = Path(__file__).parents[2]

STACK_NAME = "darkroom"
UPLOADS_AT_ONCE = 8
POLL_SECONDS = 0.2
STALL_SECONDS = 120.0
"""The run ends when no picture has an outcome for this time, or for twice the longest timeout."""

Outcome = Literal[
    "succeeded", "rejected", "deleted", "superseded", "skipped", "failed", "refused", "unfinished"
]
"""The worker's outcomes; `failed`: in the dead-letter queue; `refused`: by the upload API, so that
nothing was uploaded; `unfinished`: none of these yet."""

FINAL = frozenset(get_args(Outcome)) - {"failed", "refused", "unfinished"}
"""Outcomes that the worker logs once for each object."""

NEEDS_ATTENTION: tuple[Outcome, ...] = ("failed", "refused", "unfinished")

OUTCOMES: Mapping[str, Outcome] = {
    "done": "succeeded",
    "rejected": "rejected",
    "deleted": "deleted",
    "refused": "refused",
}
"""Outcomes by the state that a record or the upload API tells."""

PATIENCE_SECONDS = 15.0
"""Without an outcome for this time, the progress says what it waits for and when it gives up."""

FUNCTION_FAILURE = re.compile(
    r"ESM: Lambda \S+ failed processing .*\(errorType=(.*) errorMessage=(.*)\)"
)
"""The emulator's log line of an invocation that failed as a whole, so that its batch waits."""

INIT_FAILURE = re.compile(r"Worker init failed: (.*)|Worker process exited immediately\. (.*)")
"""The emulator's log line of a function whose module cannot be imported."""


@dataclass(frozen=True)
class Deployment:
    """The running stack, the size of its template and what the emulator cannot show."""

    stack: deployment.EmulatedStack
    template_bytes: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Output:
    """An object that the worker wrote, without its bytes."""

    key: str
    size: int

    @property
    def name(self) -> str:
        """The output's name: the last part of its key."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True)
class Result:
    """What became of an upload.

    `seconds` is its processing time in the worker, None for none; `record` the content of the
    record that names its outputs.
    """

    upload: Upload
    outcome: Outcome
    detail: str = ""
    seconds: float | None = None
    outputs: tuple[Output, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """What the worker's log or the dead-letter queue says of an object."""

    outcome: Outcome
    detail: str = ""
    seconds: float | None = None


def deploy(
    emulator: Emulator,
    plan: Specification,
    *,
    concurrency: int | None = None,
    progress: Progress,
) -> Deployment:
    """Generate the template, package the worker and deploy both as the stack STACK_NAME.

    `concurrency` is each queue's MaximumConcurrency; None for the template's default.
    """
    text = pipeline.render(pipeline.build(plan))
    generated = json.loads(text)
    for queue in plan.queues if concurrency else ():
        if parameter := generated["Parameters"].get(naming.logical_id(queue, "MaximumConcurrency")):
            parameter["Default"] = concurrency
    template, removed = deployment.runnable(generated)
    size = len(text.encode())
    progress.step(f"Template: {size:,} bytes, {plural(len(template['Resources']), 'resource')}")
    notes = deployment.notes(generated, removed)
    for note in notes:
        progress.step(f"  {note}")
    progress.update("Packaging the worker (the first time, this downloads its libraries)")
    package = deployment.package_for_this_host(ROOT / "build")
    progress.step(f"Worker: {package.path.name}, {package.size / 1e6:.1f} MB")
    if not package.resizes_with_vectors:
        progress.step(
            "  with Pillow's own resizing, which takes longer: there is no ziglang to compile"
            " worker/imaging/resize.c with, or this is not Linux"
        )
    progress.update("Deploying through a change set")
    started = time.monotonic()
    stack = deployment.deploy(
        emulator,
        template,
        stack_name=STACK_NAME,
        parameters={
            **prerequisites.create(emulator, plan, STACK_NAME),
            **deployment.package_parameters(emulator, package),
        },
    )
    progress.step(f"Deployed stack {stack.name} in {time.monotonic() - started:.1f} s")
    return Deployment(stack, size, tuple(notes))


def bucket_of(stack: deployment.EmulatedStack, source: str) -> str:
    """Return the name of the bucket that a source's pictures are uploaded to."""
    return stack.outputs[naming.logical_id(source, "UploadBucketName")]


def process(
    emulator: Emulator,
    stack: deployment.EmulatedStack,
    plan: Specification,
    uploads: Sequence[Upload],
    *,
    progress: Progress,
) -> list[Result]:
    """Upload the pictures and wait until each has an outcome, or none has one for too long.

    Those of the source that the upload API takes uploads for go through it.

    Raises:
        UserError: the worker or the API cannot start, with its error.
    """
    buckets = {name: bucket_of(stack, name) for name in plan.sources}
    s3 = emulator.client("s3")
    source = plan.api.source if plan.api else None
    by_api = [one for one in uploads if one.source == source]
    direct = [one for one in uploads if one.source != source]

    def put(upload: Upload) -> None:
        with upload.file.path.open("rb") as body:
            s3.put_object(Bucket=buckets[upload.source], Key=upload.key, Body=body)

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        for count, _ in enumerate(pool.map(put, direct), start=1):
            progress.update(f"Uploaded {count:,} of {plural(len(direct), 'object')}")
    answered = _upload_by_api(emulator, stack, plan, by_api, progress) if by_api else {}
    sent = [answered[one][0] if one in answered else one for one in uploads]
    answers = dict(answered.values())
    pending = {(buckets[one.source], one.key): one for one in sent}
    refused = {place for place, one in pending.items() if _is_refused(answers.get(one))}
    found = wait(emulator, stack, plan, {*pending} - refused, progress)
    return [
        _result(s3, stack, _ended(found.get(place), answers.get(one)), one)
        for place, one in pending.items()
    ]


def _upload_by_api(
    emulator: Emulator,
    stack: deployment.EmulatedStack,
    plan: Specification,
    uploads: Sequence[Upload],
    progress: Progress,
) -> dict[Upload, tuple[Upload, Ended]]:
    """Return each upload with the key that the API chose, and what the API says has become of it.

    Raises:
        UserError: the API or the worker does not start.
    """
    api = api_uploads.EmulatedApi.of(emulator, stack)
    outcomes = api_uploads.upload(
        api.client(api.add_caller(api_uploads.CALLER)),
        [one.file for one in uploads],
        emulator.directory,
        timeout=_stall_seconds(plan),
        check=partial(_check_start, emulator),
        progress=progress,
    )
    return {
        one: (
            replace(one, key=outcome.key or one.key),
            Ended(OUTCOMES.get(outcome.state, "unfinished"), outcome.detail),
        )
        for one, outcome in zip(uploads, outcomes, strict=True)
    }


def _is_refused(answer: Ended | None) -> bool:
    return answer is not None and answer.outcome == "refused"


def _ended(logged: Ended | None, answer: Ended | None) -> Ended:
    """Return what became of an upload; of one through the API, `answer` says it, not the log."""
    if answer is None:
        return logged or Ended("unfinished", detail="no outcome so far")
    if logged is None or (answer.outcome == "unfinished" and logged.outcome == "failed"):
        return logged or answer
    return replace(answer, seconds=logged.seconds)


Place = tuple[str, str]
"""Bucket and key of an upload."""


def wait(
    emulator: Emulator,
    stack: deployment.EmulatedStack,
    plan: Specification,
    pending: set[Place],
    progress: Progress,
) -> dict[Place, Ended]:
    """Return the outcome of each upload that has one in time.

    Raises:
        UserError: the worker cannot start, with its error.
    """
    count = len(pending)
    stall = _stall_seconds(plan)
    log = _LogReader(emulator, stack)
    found: dict[Place, Ended] = {}
    last = time.monotonic()
    while True:
        started = time.monotonic()
        news = {**_dead_letters(emulator, stack), **log.read()}
        if time.monotonic() - last > PATIENCE_SECONDS:
            news |= _recorded(emulator, stack, pending)
        fresh = {place: news[place] for place in pending & news.keys()}
        found |= fresh
        pending = pending - fresh.keys()
        if fresh:
            last = time.monotonic()
        waited = time.monotonic() - last
        if not pending or waited > stall:
            return found
        emulator_log = _check_start(emulator)
        error = log.error or _invocation_failure(emulator_log)
        progress.update(
            f"{len(found):,} of {plural(count, 'upload')} processed"
            + waiting(waited, limit=stall)
            + (f"; retried after {error}" if error else "")
        )
        # The worker needs the processors more than this loop does.
        time.sleep(max(POLL_SECONDS, 4 * (time.monotonic() - started)))


def _stall_seconds(plan: Specification) -> float:
    return max([STALL_SECONDS, *(2.0 * one.timeout_seconds for one in plan.queues.values())])


def _check_start(emulator: Emulator) -> str:
    """Return the emulator's log.

    Raises:
        UserError: a function cannot start, with its error.
    """
    text = emulator.log.read_text(errors="replace")
    if problem := INIT_FAILURE.search(text):
        raise UserError(
            f"The worker cannot start: {problem[1] or problem[2]}\n"
            "What it imports must be in worker/requirements.in, and locked in requirements.txt."
        )
    return text


def waiting(seconds: float, *, limit: float) -> str:
    """Return the end of the progress line, `seconds` after the last outcome."""
    if seconds <= 2:
        return ""
    if seconds <= PATIENCE_SECONDS:
        return f"; waiting for the next, for {seconds:.0f} s so far"
    return (
        f"; waiting for the worker to log the next outcome, for {seconds:.0f} s so far;"
        f" gives up after {limit:.0f} s"
    )


def _invocation_failure(emulator_log: str) -> str:
    """Return the error of the last invocation that failed as a whole, "" for none."""
    failures = FUNCTION_FAILURE.findall(emulator_log)
    return ": ".join(failures[-1]) if failures else ""


class _LogReader:
    """Reads the worker's log on: each call continues where the last one ended."""

    def __init__(self, emulator: Emulator, stack: deployment.EmulatedStack) -> None:
        self._emulator = emulator
        self._stack = stack
        self._since = 0
        self.error = ""
        """The last error after which a message returned to its queue."""

    def read(self) -> dict[Place, Ended]:
        """Return the outcomes that were logged since."""
        found = {}
        for moment, line in log_lines(self._emulator, self._stack, since=self._since):
            self._since = max(self._since, moment)
            if line.get("outcome") == "retried":
                self.error = _last_line(line.get("exception", "")) or line["message"]
            if line.get("outcome") in FINAL and "key" in line:
                milliseconds = line.get("processing_ms")
                found[line["bucket"], line["key"]] = Ended(
                    line["outcome"],
                    detail=line["message"] if line["outcome"] != "succeeded" else "",
                    seconds=None if milliseconds is None else milliseconds / 1000,
                )
        return found


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2]


def log_lines(
    emulator: Emulator, stack: deployment.EmulatedStack, *, since: int = 0
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the worker's log lines from a time on, in milliseconds since 1970, each with its time.

    Lambda's own lines (START, END, REPORT) are left out.
    """
    pages = emulator.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=stack.outputs["LogGroupName"], startTime=since):
        for event in page["events"]:
            if event["message"].startswith("{"):
                yield event["timestamp"], json.loads(event["message"])


def _dead_letters(emulator: Emulator, stack: deployment.EmulatedStack) -> dict[Place, Ended]:
    """Return the objects that messages in the dead-letter queues name."""
    sqs = emulator.client("sqs")
    found = {}
    for output, url in stack.outputs.items():
        if not output.endswith("DeadLetterQueueUrl"):
            continue
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5
        ).get("Messages"):
            for message in messages:
                for source in _objects(message["Body"]):
                    found[source.bucket, source.key] = Ended("failed", "every receive failed")
    return found


def _recorded(
    emulator: Emulator, stack: deployment.EmulatedStack, places: Collection[Place]
) -> dict[Place, Ended]:
    """Return the outcome of each upload that has a record.

    A busy emulator loses the last lines that a function logs: it reads on for 5 ms only.
    """
    s3 = emulator.client("s3")
    found = {}
    for bucket, key in places:
        if record := read_record(s3, stack.thumbnail_bucket, key, stack.sources[bucket]):
            found[bucket, key] = Ended(OUTCOMES[record.state])
    return found


def _objects(body: str) -> Sequence[events.SourceObject]:
    try:
        return events.parse(body).objects
    except events.UnreadableMessageError:  # not one of this run's
        return ()


def _result(s3: Any, stack: deployment.EmulatedStack, ended: Ended, upload: Upload) -> Result:
    """Return the result with its outputs, or with the reason of a rejection."""
    source = stack.sources[bucket_of(stack, upload.source)]
    detail = ended.detail
    outputs: tuple[Output, ...] = ()
    content: Mapping[str, Any] = {}
    record = read_record(s3, stack.thumbnail_bucket, upload.key, source)
    if record and ended.outcome == "rejected":
        rejection = record.content["rejection"]
        detail = f"{rejection['reason'].replace('_', ' ')}: {rejection['detail']}"
    elif record and ended.outcome == "succeeded":
        content = record.content
        outputs = tuple(Output(one["key"], one["bytes"]) for one in content["outputs"])
    return Result(upload, ended.outcome, detail, ended.seconds, outputs, content)


def warnings(emulator: Emulator, stack: deployment.EmulatedStack) -> list[str]:
    """Return the worker's last different warnings and errors, one line each."""
    lines = []
    for _, line in log_lines(emulator, stack):
        if line.get("level") in {"WARNING", "ERROR"}:
            error = _last_line(line.get("exception", ""))
            lines.append(f"{line.get('key', '')}: {line['message']} {error}".strip(": "))
    return list(dict.fromkeys(lines))[-5:]
