"""`python -m benchmarks.backfill`: memory and rate of a large back-fill on the emulator.

Only listing and sending: the worker is switched off. The rate is limited by the emulator, the
memory is that of `darkroom backfill`.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.results import ROOT
from darkroom.console.progress import Progress
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UserError
from templates import pipeline, specification
from worker import records
from worker.events import SourceObject
from worker.keys import record_key
from worker.results import Rejection

STACK = "backfilled"
UPLOADS_AT_ONCE = 8
FOLDER = 1000
"""Objects per folder; the small run takes ten folders."""


def main() -> int:
    """Upload, back-fill a tenth and then all, print the figures; return 1 if any is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backfill", description=__doc__)
    parser.add_argument("--objects", metavar="N", type=int, default=100_000)
    arguments = parser.parse_args()
    progress = Progress()
    plan = specification.parse(
        {"variants": {"default": {"widths": [128], "formats": {"jpeg": 85}}}}, origin="benchmarks"
    )
    with Emulator(progress=progress.update) as emulator:
        stack = _deploy(emulator, plan)
        s3, bucket = emulator.client("s3"), stack.outputs["UploadBucketName"]
        names = [f"uploads/{n // FOLDER:03}/{n:06}.jpg" for n in range(arguments.objects)]
        began = time.monotonic()
        _each(
            lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"x"),
            names,
            lambda count: progress.update(f"{count:,} of {len(names):,} uploaded"),
        )
        progress.step(f"{len(names):,} uploaded in {time.monotonic() - began:.0f} s")
        runs = [
            ("ten folders", ("--prefix", "uploads/00"), min(len(names), 10 * FOLDER)),
            ("all", (), len(names)),
        ]
        missing = 0
        for title, choice, expected in runs:
            missing += expected - _run(emulator, stack, title, choice)
        done = names[:: max(1, len(names) // (10 * FOLDER))]
        source = stack.sources[bucket]

        def put_record(key: str) -> None:
            head = s3.head_object(Bucket=bucket, Key=key)
            version = SourceObject(bucket, key, head["VersionId"], head["ETag"].strip('"'))
            rejection = Rejection("empty", "It is empty.")
            made_with = records.made_with(source)
            record = records.rejected("rejected", version, made_with, rejection)
            s3.put_object(Bucket=stack.thumbnail_bucket, Key=record_key(key), Body=record.body())

        _each(
            put_record,
            done,
            lambda count: progress.update(f"{count:,} of {len(done):,} records written"),
        )
        left = len(names) - len(done)
        missing += left - _run(emulator, stack, "those not done", ("--skip-processed",))
    print("nothing is missing" if not missing else f"{missing:,} are missing")
    return 1 if missing else 0


def _deploy(emulator: Emulator, plan: specification.Specification) -> deployment.EmulatedStack:
    template, _ = deployment.runnable(json.loads(pipeline.render(pipeline.build(plan))))
    package = deployment.package_for_this_host(ROOT / "build")
    stack = deployment.deploy(
        emulator,
        template,
        stack_name=STACK,
        parameters={"NamePrefix": STACK, **deployment.package_parameters(emulator, package)},
    )
    client = emulator.client("lambda")
    for function in stack.functions:
        mappings = client.list_event_source_mappings(FunctionName=function)
        for mapping in mappings["EventSourceMappings"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    emulator.client("s3").put_bucket_notification_configuration(
        Bucket=stack.outputs["UploadBucketName"], NotificationConfiguration={}
    )
    return stack


def _each(
    function: Callable[[str], Any], names: Iterable[str], progress: Callable[[int], None]
) -> None:
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        for count, _ in enumerate(pool.map(function, names), start=1):
            if count % 100 == 0:
                progress(count)


def _run(
    emulator: Emulator, stack: deployment.EmulatedStack, title: str, choice: tuple[str, ...]
) -> int:
    """Back-fill in its own process, print its figures; return how many messages were sent."""
    sqs, url = emulator.client("sqs"), stack.outputs["WorkQueueUrl"]
    sqs.purge_queue(QueueUrl=url)
    command = [
        sys.executable,
        "-m",
        "darkroom",
        "backfill",
        "--stack-name",
        STACK,
        "--yes",
        *choice,
    ]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--checkpoint", str(emulator.directory / "checkpoint.json")],
        cwd=ROOT,
        env=emulator.environment,
        stdout=subprocess.DEVNULL,
    )
    peak = 0.0
    while process.poll() is None:
        peak = _peak_megabytes(process.pid) or peak
        time.sleep(0.1)
    seconds = time.monotonic() - began
    if process.returncode:
        raise UserError(f"{' '.join(command)} ended with {process.returncode}")
    name = "ApproximateNumberOfMessages"
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    count = int(answer["Attributes"][name])
    print(
        f"{title}: {count:,} sent in {seconds:.0f} s, {count / seconds:,.0f} per second;"
        f" at most {peak:.0f} MiB",
        flush=True,
    )
    return count


def _peak_megabytes(process: int) -> float | None:
    """Return the peak memory of a process in MiB; None when it is about to end.

    Not getrusage: that includes its parent's memory at the start.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else None


if __name__ == "__main__":
    sys.exit(main())
