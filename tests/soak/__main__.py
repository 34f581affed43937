"""The fault run: thousands of pictures through the local pipeline, each accounted for."""

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from zlib import crc32

from darkroom.commands import local
from darkroom.console.progress import Progress
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UserError
from templates import specification
from tests.e2e.harness import Pipeline
from tests.soak import observations, uploads
from tests.soak.api_faults import LOST_RIGHTS, Disturber
from tests.soak.faults import Plan
from tests.soak.ledger import End, Finding, Source, Version, account, story
from tests.soak.observations import DeadLetter
from tests.soak.proxy import Proxy, put_before_worker
from tests.soak.uploads import Upload

# Times as short as the specification allows, so that a lost invocation is noticed within the run;
# tries enough for a message to outlive bad luck. Small widths: the faults are the work here.
SPECIFICATION = {
    "sources": {"default": {"propagate_deletes": True}},
    "variants": {"default": {"widths": [240, 96]}},
    "queues": {"default": {"timeout_seconds": 10, "max_receive_count": 8}},
}
# Six time-outs by construction; here a batch comes back as soon as its worker cannot be alive.
VISIBILITY_SECONDS = 12
# What the worker is told: so its back-off begins at 1 s instead of 30 s, and doubles as always.
BACK_OFF_SECONDS = 1
CONCURRENCY = 4

STREAMS = 4  # uploads at once; one key's versions are all in one stream, in their order
BACKLOG = 150  # waiting messages that make uploads wait: the versions of a key meet in the queue
POLL_SECONDS = 0.5
QUIET_POLLS = 4  # so often in a row the queue is empty before it counts as drained
LONGEST_SECONDS = 900.0  # from the first upload until the queue must be empty, on a busy machine
LONGEST_REDRIVE_SECONDS = 120.0
SHOWN_FINDINGS = 40
SHOWN_STORIES = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when each object is accounted for and nothing is wrong with any, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--pictures", type=_count, default=2000, metavar="N", help="keys (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="S", help="of faults and uploads (default: 1)"
    )
    arguments = parser.parse_args(argv)
    try:
        return run(arguments.pictures, arguments.seed)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing is left behind.", file=sys.stderr)
        return 130


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number of pictures; at least 1")
    return number


def run(count: int, seed: int) -> int:
    """Send `count` pictures through the faults that `seed` chooses; print what became of them."""
    progress = Progress()
    todo = uploads.plan(count, seed)
    with Emulator(progress=progress.update) as emulator:
        plan = specification.parse(SPECIFICATION, origin="the fault run's specification")
        pipeline = Pipeline(emulator, local.install(emulator, plan, progress=progress))
        faults = Plan(
            seed, doomed={f"/{pipeline.uploads}/{upload.key}" for upload in todo if upload.doomed}
        )
        with Proxy(emulator, faults) as proxy:
            _configure(pipeline, proxy)
            began = time.monotonic()
            disturber = Disturber(pipeline, seed=seed)
            sources = _upload(pipeline, todo, disturber, seed, progress)
            uploaded = time.monotonic() - began
            left = _drain(pipeline, LONGEST_SECONDS - uploaded, progress)
            drained = time.monotonic() - began
            faults.active, faults.doomed = False, ()
            dead = observations.dead_letters(pipeline)
            after = _account(pipeline, sources, dead, progress)
            outcomes = _outcomes(pipeline)
            _redrive(pipeline, dead)
            left += _drain(pipeline, LONGEST_REDRIVE_SECONDS, progress)
            cured = _account(pipeline, sources, observations.dead_letters(pipeline), progress)
            ended = time.monotonic() - began
    progress.clear()

    doomed = [upload.key for upload in todo if upload.doomed]
    findings = [
        *after.findings,
        *(
            Finding("wrong end", key, f"{after.ends[key]}, although it kills every worker")
            for key in doomed
            if after.ends[key] != "dead letter"
        ),
        *cured.findings,
        *(
            Finding("lost", key, "still a dead letter after a redrive without faults")
            for key, end in cured.ends.items()
            if end == "dead letter"
        ),
    ]
    versions = sum(len(source.versions) for source in sources)
    ends = Counter[str](after.ends.values())
    by_bad_luck = ends["dead letter"] - sum(after.ends[key] == "dead letter" for key in doomed)
    _table("faults", sorted((*faults.injected.items(), *disturber.done.items())))
    _table("what the worker logged", sorted(outcomes.items()))
    _table(
        "ends",
        [
            ("uploaded keys", len(sources)),
            ("uploaded versions", versions),
            ("thumbnails of the newest version", ends["thumbnails"]),
            ("rejection of the newest version", ends["rejected"]),
            ("dead letter: kills every worker", ends["dead letter"] - by_bad_luck),
            ("dead letter: out of tries", by_bad_luck),
            ("lost", ends["lost"]),
            ("dead letters in all, of older versions and copies too", len(dead)),
            ("after a redrive: thumbnails", Counter(cured.ends.values())["thumbnails"]),
            ("after a redrive: rejection", Counter(cured.ends.values())["rejected"]),
            ("left in the queue", left),
            ("wrong", len(findings)),
        ],
    )
    print(
        f"\nSeed {seed}: {faults.requests:,} requests; uploaded in {uploaded:.0f} s,"
        f" drained after {drained:.0f} s, all accounted for after {ended:.0f} s."
    )
    for finding in findings[:SHOWN_FINDINGS]:
        print(finding)
    for key, told in [*after.stories.items(), *cured.stories.items()][:SHOWN_STORIES]:
        print(f"\n{key}\n{told}")
    if len(findings) > SHOWN_FINDINGS:
        print(f"… and {len(findings) - SHOWN_FINDINGS:,} more")
    return 1 if findings or left else 0


def _configure(pipeline: Pipeline, proxy: Proxy) -> None:
    """Put the proxy before the worker, shorten its times, and narrow it to this machine."""
    pipeline.drained()  # of S3's test events: the emulator loses invocations when it updates
    name = pipeline.stack.outputs["FunctionName"]
    put_before_worker(proxy, pipeline.emulator, name, VISIBILITY_TIMEOUT=str(BACK_OFF_SECONDS))
    client = pipeline.emulator.client("lambda")
    (mapping,) = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    client.update_event_source_mapping(
        UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": CONCURRENCY}
    )
    pipeline.sqs.set_queue_attributes(
        QueueUrl=pipeline.stack.outputs["WorkQueueUrl"],
        Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)},
    )


def _upload(
    pipeline: Pipeline,
    todo: Sequence[Upload],
    disturber: Disturber,
    seed: int,
    progress: Progress,
) -> list[Source]:
    """Upload all versions while queue and role are disturbed; return what was uploaded."""
    order = uploads.schedule(todo, seed)
    ids: dict[str, list[str]] = {upload.key: [] for upload in todo}
    stop, may_upload = threading.Event(), threading.Event()

    def uploaded() -> int:
        return sum(map(len, ids.values()))

    def stream(number: int) -> None:
        for upload, index in order:
            if crc32(upload.key.encode()) % STREAMS == number:
                may_upload.wait()
                if stop.is_set():
                    return
                body = upload.contents[index].body
                ids[upload.key].append(
                    _remove(pipeline, upload.key)
                    if body is None
                    else pipeline.upload(upload.key, body)
                )

    with ThreadPoolExecutor(STREAMS + 1) as pool:
        try:
            disturbance = pool.submit(disturber.disturb_queue, stop, uploaded)
            streams = [pool.submit(stream, number) for number in range(STREAMS)]
            rights = list(LOST_RIGHTS)
            while not all(future.done() for future in streams):
                waiting = pipeline.waiting()
                (may_upload.set if waiting < BACKLOG else may_upload.clear)()
                done = uploaded()
                progress.update(f"Uploaded {done:,} of {len(order):,}, {waiting} messages wait")
                # One of three at a quarter, one at a half, one at three quarters of the uploads.
                if done / len(order) > 1 - len(rights) / (len(LOST_RIGHTS) + 1):
                    disturber.take_right(rights.pop(0))
                time.sleep(POLL_SECONDS)
            for right in rights:  # a short run is over before its turn
                disturber.take_right(right)
        finally:
            stop.set()
            may_upload.set()
        for future in (*streams, disturbance):
            future.result()
    return [
        Source(
            upload.key,
            tuple(
                Version(version, content.colour, content.reason)
                for version, content in zip(ids[upload.key], upload.contents, strict=True)
            ),
        )
        for upload in todo
    ]


def _remove(pipeline: Pipeline, key: str) -> str:
    """Delete an upload as its owner does; return the version of the mark that it leaves."""
    version: str = pipeline.s3.delete_object(Bucket=pipeline.uploads, Key=key)["VersionId"]
    return version


def _drain(pipeline: Pipeline, seconds: float, progress: Progress) -> int:
    """Wait until the work queue is empty, at most so long; return how many messages it holds."""
    deadline = time.monotonic() + seconds
    quiet = waiting = 0
    while quiet < QUIET_POLLS and time.monotonic() < deadline:
        waiting = pipeline.waiting()
        quiet = quiet + 1 if waiting == 0 else 0
        progress.update(
            f"{waiting} messages wait, {pipeline.waiting('DeadLetterQueueUrl')} are dead letters"
        )
        time.sleep(POLL_SECONDS)
    return waiting


@dataclass(frozen=True)
class Account:
    """How each key's newest version ended, and everything that is wrong."""

    ends: dict[str, End]
    findings: list[Finding]
    stories: dict[str, str]


def _account(
    pipeline: Pipeline,
    sources: Sequence[Source],
    dead: Iterable[DeadLetter],
    progress: Progress,
) -> Account:
    found, findings = observations.observe(pipeline, sources, dead, progress=progress)
    ends: dict[str, End] = {}
    stories = {}
    for source in sources:
        ends[source.key], wrong = account(source, found[source.key], pipeline.variant_names)
        findings += wrong
        if wrong:
            stories[source.key] = story(source, found[source.key])
    if stories:
        for line in pipeline.log_lines():
            if line.get("key") in stories:
                error = line.get("exception", "").rstrip().rpartition("\n")[2]
                stories[line["key"]] += (
                    f"\n  {line['timestamp']} {line['version_id']}: {line['message']} {error}"
                )
    return Account(ends, findings, stories)


def _redrive(pipeline: Pipeline, dead: Iterable[DeadLetter]) -> None:
    """Send dead letters back to where they came from, as an operator does after a repair."""
    for letter in dead:
        pipeline.send(letter.body)
        pipeline.sqs.delete_message(
            QueueUrl=pipeline.stack.outputs["DeadLetterQueueUrl"], ReceiptHandle=letter.receipt
        )


def _outcomes(pipeline: Pipeline) -> Counter[str]:
    """Count the worker's log lines by outcome, and the work that it did more than once."""
    outcomes: Counter[str] = Counter()
    written: Counter[tuple[str, str]] = Counter()
    for line in pipeline.log_lines():
        if "outcome" in line:
            outcomes[line["outcome"]] += 1
            if line["outcome"] in {"succeeded", "rejected"}:
                written[line["key"], line["version_id"]] += 1
    outcomes["written or rejected again, for a duplicate"] = sum(written.values()) - len(written)
    timed_out = pipeline.emulator.log_tail(lines=sys.maxsize, about="timed out after")
    outcomes["(invocations that ran into their time-out)"] = len(timed_out.splitlines())
    return outcomes


def _table(title: str, rows: Iterable[tuple[str, int]]) -> None:
    print(f"\n| {title} | |\n|---|--:|")
    for name, number in rows:
        print(f"| {name} | {number:,} |")


if __name__ == "__main__":
    sys.exit(main())
