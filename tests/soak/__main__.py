"""The fault run: thousands of uploads through the local pipeline, each accounted for."""

import argparse
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from zlib import crc32

from darkroom.console.progress import Progress
from darkroom.emulator import processing
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UserError
from templates import specification
from tests.e2e.harness import Pipeline
from tests.soak import observations, uploads
from tests.soak.api_faults import REMOVED_PERMISSIONS, FaultInjector
from tests.soak.faults import FaultPlan
from tests.soak.ledger import Finding, Outcome, Source, Version, check, describe
from tests.soak.observations import DeadLetter
from tests.soak.proxy import Proxy, put_before_worker
from tests.soak.uploads import Upload

# Times are as short as the specification allows, so that a lost invocation is noticed within the
# run, and tries are enough for a message to survive bad luck. Widths are small, because this run
# does not test encoding.
SPECIFICATION = {
    "sources": {"default": {"propagate_deletes": True}},
    "variants": {"default": {"widths": [240, 96]}},
    "queues": {"default": {"timeout_seconds": 10, "max_receive_count": 8}},
}
# Six time-outs by construction; here a batch returns as soon as its worker cannot be alive.
VISIBILITY_SECONDS = 12
# VISIBILITY_TIMEOUT of the worker: its back-off starts at 1 s instead of 30 s, and doubles.
BACK_OFF_SECONDS = 1
CONCURRENCY = 4

STREAMS = 4  # uploads at once; one key's versions are all in one stream, in their order
BACKLOG = 150  # waiting messages that pause uploads, so that versions of a key meet in the queue
POLL_SECONDS = 0.5
QUIET_POLLS = 4  # polls in a row with an empty queue before it counts as drained
LONGEST_DRAIN_SECONDS = 900.0  # from the last upload until the queue is empty, on a busy machine
LONGEST_REDRIVE_SECONDS = 120.0
EVENT_TIME = re.compile(r'("eventTime": ?)"[^"]+"')
LONG_AGO = r'\1"2020-01-01T00:00:00.000Z"'
SHOWN_FINDINGS = 40
SHOWN_HISTORIES = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--pictures", type=_count, default=2000, metavar="N", help="keys (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="S", help="chooses faults and uploads (default: 1)"
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


@dataclass(frozen=True)
class Report:
    """What became of each key, and everything that is wrong."""

    outcomes: dict[str, Outcome]
    findings: list[Finding]
    histories: dict[str, str]


def run(count: int, seed: int) -> int:
    """Upload `count` keys while faults are injected that `seed` chooses; print what became of them.

    Returns:
        0 when each object is accounted for and nothing is wrong with any, else 1.
    """
    progress = Progress()
    todo = uploads.make_uploads(count, seed)
    poison = [upload.key for upload in todo if upload.poison]
    with Emulator(progress=progress.update) as emulator:
        plan = specification.parse(SPECIFICATION, origin="the fault run's specification")
        pipeline = Pipeline(emulator, processing.deploy(emulator, plan, progress=progress).stack)
        faults = FaultPlan(seed, poison={f"/{pipeline.uploads}/{key}" for key in poison})
        with Proxy(emulator, faults) as proxy:
            _configure(pipeline, proxy)
            started = time.monotonic()
            injector = FaultInjector(pipeline, seed=seed)
            sources = _upload(pipeline, todo, injector, seed, progress)
            uploaded = time.monotonic() - started
            left = _drain(pipeline, LONGEST_DRAIN_SECONDS, progress)
            drained = time.monotonic() - started
            faults.active, faults.poison = False, ()
            dead = observations.dead_letters(pipeline)
            before = _check(pipeline, sources, dead, progress)
            logged = _logged(pipeline)
            _redrive(pipeline, dead)
            left += _drain(pipeline, LONGEST_REDRIVE_SECONDS, progress)
            after = _check(pipeline, sources, observations.dead_letters(pipeline), progress)
            ended = time.monotonic() - started
    progress.clear()

    findings = _findings(before, after, poison)
    _print_table("faults", sorted((*faults.injected.items(), *injector.done.items())))
    _print_table("what the worker logged", sorted(logged.items()))
    _print_table(
        "outcomes",
        [
            ("uploaded keys", len(sources)),
            ("uploaded versions", sum(len(source.versions) for source in sources)),
            *_counts(before, after, poison),
            ("dead letters in all, including older versions and copies", len(dead)),
            ("left in the queue", left),
            ("findings", len(findings)),
        ],
    )
    print(
        f"\nSeed {seed}: {faults.requests:,} requests; uploaded in {uploaded:.0f} s,"
        f" drained after {drained:.0f} s, all accounted for after {ended:.0f} s."
    )
    for finding in findings[:SHOWN_FINDINGS]:
        print(finding)
    for key, history in [*before.histories.items(), *after.histories.items()][:SHOWN_HISTORIES]:
        print(f"\n{key}\n{history}")
    if len(findings) > SHOWN_FINDINGS:
        print(f"… and {len(findings) - SHOWN_FINDINGS:,} more")
    return 1 if findings or left else 0


def _findings(before: Report, after: Report, poison: Sequence[str]) -> list[Finding]:
    """Return all findings, before and after the redrive."""
    return [
        *before.findings,
        *(
            Finding("wrong outcome", key, f"{before.outcomes[key]}, although it kills every worker")
            for key in poison
            if before.outcomes[key] != "dead letter"
        ),
        *after.findings,
        *(
            Finding("lost", key, "still a dead letter after a redrive without faults")
            for key, outcome in after.outcomes.items()
            if outcome == "dead letter"
        ),
    ]


def _counts(before: Report, after: Report, poison: Sequence[str]) -> list[tuple[str, int]]:
    """Return how many keys have which outcome."""
    counts, redriven = Counter(before.outcomes.values()), Counter(after.outcomes.values())
    killing = sum(before.outcomes[key] == "dead letter" for key in poison)
    return [
        ("thumbnails of the newest version", counts["thumbnails"]),
        ("rejection of the newest version", counts["rejected"]),
        ("dead letter: kills every worker", killing),
        ("dead letter: out of tries", counts["dead letter"] - killing),
        ("lost", counts["lost"]),
        ("after a redrive: thumbnails", redriven["thumbnails"]),
        ("after a redrive: rejection", redriven["rejected"]),
    ]


def _configure(pipeline: Pipeline, proxy: Proxy) -> None:
    """Make the worker use the proxy, shorten its times, and fit its concurrency to this machine."""
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
    injector: FaultInjector,
    seed: int,
    progress: Progress,
) -> list[Source]:
    """Upload all versions while faults are injected into queue and role; return the uploads."""
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
                    _delete(pipeline, upload.key)
                    if body is None
                    else pipeline.upload(upload.key, body)
                )

    with ThreadPoolExecutor(STREAMS + 1) as pool:
        try:
            disturbance = pool.submit(injector.disturb_queue, stop, uploaded)
            streams = [pool.submit(stream, number) for number in range(STREAMS)]
            permissions = list(REMOVED_PERMISSIONS)
            while not all(future.done() for future in streams):
                waiting = pipeline.waiting()
                (may_upload.set if waiting < BACKLOG else may_upload.clear)()
                done = uploaded()
                progress.update(f"Uploaded {done:,} of {len(order):,}, {waiting} messages wait")
                # One after the other, at equal distances in the uploads.
                if done / len(order) > 1 - len(permissions) / (len(REMOVED_PERMISSIONS) + 1):
                    injector.remove_permission(permissions.pop(0))
                time.sleep(POLL_SECONDS)
            for permission in permissions:  # a short run ends before their turn
                injector.remove_permission(permission)
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


def _delete(pipeline: Pipeline, key: str) -> str:
    """Delete an upload as its owner does; return the version of its delete marker."""
    version: str = pipeline.s3.delete_object(Bucket=pipeline.uploads, Key=key)["VersionId"]
    return version


def _drain(pipeline: Pipeline, seconds: float, progress: Progress) -> int:
    """Wait until the work queue is empty, or for this long; return how many messages it holds."""
    deadline = time.monotonic() + seconds
    quiet, waiting = 0, pipeline.waiting()
    while quiet < QUIET_POLLS and time.monotonic() < deadline:
        waiting = pipeline.waiting()
        quiet = quiet + 1 if waiting == 0 else 0
        progress.update(
            f"{waiting} messages wait, {pipeline.waiting('DeadLetterQueueUrl')} are dead letters"
        )
        time.sleep(POLL_SECONDS)
    return waiting


def _check(
    pipeline: Pipeline,
    sources: Sequence[Source],
    dead: Iterable[DeadLetter],
    progress: Progress,
) -> Report:
    found, findings = observations.observe(pipeline, sources, dead, progress=progress)
    outcomes: dict[str, Outcome] = {}
    histories = {}
    for source in sources:
        outcomes[source.key], wrong = check(source, found[source.key], pipeline.variant_names)
        findings += wrong
        if wrong:
            histories[source.key] = describe(source, found[source.key])
    if histories:
        for line in pipeline.log_lines():
            if line.get("key") in histories:
                error = line.get("exception", "").rstrip().rpartition("\n")[2]
                histories[line["key"]] += (
                    f"\n  {line['timestamp']} {line['version_id']}: {line['message']} {error}"
                )
    return Report(outcomes, findings, histories)


def _redrive(pipeline: Pipeline, dead: Iterable[DeadLetter]) -> None:
    """Redrive dead letters, as an operator does after a fix.

    That is never as soon as here: `worker.retry.is_late` relies on it.
    """
    for dead_letter in dead:
        pipeline.send(EVENT_TIME.sub(LONG_AGO, dead_letter.body))
        pipeline.sqs.delete_message(
            QueueUrl=pipeline.stack.outputs["DeadLetterQueueUrl"], ReceiptHandle=dead_letter.receipt
        )


def _logged(pipeline: Pipeline) -> Counter[str]:
    """Count the worker's log lines by outcome, and the results that it wrote more than once."""
    counts: Counter[str] = Counter()
    results: Counter[tuple[str, str]] = Counter()
    for line in pipeline.log_lines():
        if "outcome" in line:
            counts[line["outcome"]] += 1
            if line["outcome"] in {"succeeded", "rejected"}:
                results[line["key"], line["version_id"]] += 1
    counts["(again, for a duplicate or after a crash)"] = sum(results.values()) - len(results)
    timed_out = pipeline.emulator.log_tail(lines=sys.maxsize, about="timed out after")
    counts["(invocations that timed out)"] = len(timed_out.splitlines())
    return counts


def _print_table(title: str, rows: Iterable[tuple[str, int]]) -> None:
    print(f"\n| {title} | |\n|---|--:|")
    for name, number in rows:
        print(f"| {name} | {number:,} |")


if __name__ == "__main__":
    sys.exit(main())
