"""A local run from start to end: what it needs, what it does, what it leaves."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Self

from botocore.exceptions import BotoCoreError, ClientError

from darkroom.console.progress import Progress
from darkroom.console.text import printable
from darkroom.emulator import gallery, pictures, processing, report
from darkroom.emulator.api_uploads import EmulatedApi
from darkroom.emulator.log_delivery import subscribed
from darkroom.emulator.ministack import Emulator
from darkroom.emulator.record_events import RecordEvents
from darkroom.errors import UsageError
from templates import specification

CONCURRENCY = min(max(2, os.cpu_count() or 1), 10)
"""Batches at once: one per processor, at least what a queue allows, at most the template's default.

The emulator unpacks and starts a function for each; more would only wait for the processors.
"""

DELIVERY_SECONDS = 5.0
"""How often new log lines are delivered while the emulator is kept running."""


@dataclass(frozen=True)
class Finished:
    """The results of the uploads, `elapsed` seconds after the first, and the page that shows them.

    `warnings` are the worker's last ones where a picture failed or has no outcome. `events` are the
    keys of the records that were announced, by `topic` and `eventbridge`. `log_objects` are
    the addresses of the objects in the log archive.
    """

    results: Sequence[processing.Result]
    elapsed: float
    page: Path
    warnings: Sequence[str]
    events: Mapping[str, Sequence[str]]
    log_objects: Sequence[str]

    @property
    def is_complete(self) -> bool:
        """Whether every picture was processed, or rejected for a reason."""
        return not any(one.outcome in processing.NEEDS_ATTENTION for one in self.results)


class LocalRun:
    """An emulator with a stack of a specification, and the files to send through it."""

    def __init__(
        self,
        pipeline: Path,
        paths: Sequence[Path],
        output: Path,
        *,
        progress: Progress,
        watermarks: Sequence[Path] = (),
    ) -> None:
        """Check specification, files and output directory; nothing is started yet.

        Raises:
            SpecificationError, UsageError: one of them cannot be used.
        """
        self.plan = specification.load(pipeline)
        self._watermarks = watermark_files(self.plan.watermark_keys(), watermarks)
        self.selection = pictures.select(paths or pictures.sample_photographs(), self.plan.sources)
        self._page = gallery.prepare(output)
        self._pipeline = pipeline
        self._progress = progress
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        """Start the emulator and deploy the stack."""
        with ExitStack() as exits:
            self._emulator = exits.enter_context(Emulator(progress=self._progress.update))
            self._progress.step(f"Emulator of AWS at {self._emulator.url}")
            self._deployed = processing.deploy(
                self._emulator,
                self.plan,
                concurrency=CONCURRENCY,
                progress=self._progress,
            )
            for key, file in self._watermarks.items():
                self._emulator.client("s3").put_object(
                    Bucket=self.thumbnail_bucket, Key=key, Body=file.read_bytes()
                )
            self._events = RecordEvents(self._emulator, self._deployed.stack, self.plan.events)
            self._log_deliveries = subscribed(self._emulator)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the emulator."""
        self._exits.close()

    @property
    def settings(self) -> Mapping[str, str]:
        """Environment variables that point the AWS CLI or an SDK to the emulator."""
        return self._emulator.settings

    @property
    def stack_name(self) -> str:
        """The stack's name."""
        return self._deployed.stack.name

    @property
    def thumbnail_bucket(self) -> str:
        """The bucket that the worker writes to."""
        return self._deployed.stack.thumbnail_bucket

    @property
    def api(self) -> EmulatedApi | None:
        """The upload API, where the stack has one."""
        stack = self._deployed.stack
        return EmulatedApi.of(self._emulator, stack) if self._api_source else None

    @property
    def _api_source(self) -> str | None:
        return self.plan.api.source if self.plan.api else None

    @property
    def has_log_archive(self) -> bool:
        """Whether logs are delivered to a bucket."""
        return bool(self._log_deliveries)

    @property
    def upload_places(self) -> list[str]:
        """Bucket and prefix of each source."""
        return [
            f"{processing.bucket_of(self._deployed.stack, name)}/{prefix}"
            for name, source in self.plan.sources.items()
            for prefix in source.prefixes
        ]

    def wait(self) -> None:
        """Wait for Ctrl-C, and deliver what is logged meanwhile.

        Raises:
            UserError: the emulator stopped on its own.
        """
        while True:
            self._emulator.wait(DELIVERY_SECONDS)
            with suppress(BotoCoreError, ClientError):  # the stack is deleted, or the emulator ends
                self._deliver_logs()

    def process(self) -> Finished:
        """Send the files through the stack and write the gallery."""
        stack = self._deployed.stack
        for name, source in self.plan.sources.items():
            count = sum(upload.source == name for upload in self.selection.uploads)
            self._progress.step(
                f"Source {name} ({source.type}): {count:,} to {processing.bucket_of(stack, name)},"
                f" queue {source.queue}, variants {', '.join(source.variants)}"
                + (", through the upload API" if name == self._api_source else "")
            )
        started = time.monotonic()
        results = processing.process(
            self._emulator, stack, self.plan, self.selection.uploads, progress=self._progress
        )
        elapsed = time.monotonic() - started
        recorded = sum(one.outcome in ("succeeded", "rejected") for one in results)
        events = self._events.read(recorded)
        self._progress.update("Writing the gallery")
        self._write_gallery(results, elapsed)
        attention = any(one.outcome in processing.NEEDS_ATTENTION for one in results)
        warnings = processing.warnings(self._emulator, stack) if attention else []
        return Finished(results, elapsed, self._page, warnings, events, self._deliver_logs())

    def _deliver_logs(self) -> list[str]:
        """Deliver what is new in the logs to the archive; return the objects' addresses."""
        return [
            f"s3://{one.bucket}/{key}" for one in self._log_deliveries if (key := one.deliver())
        ]

    def _write_gallery(self, results: Sequence[processing.Result], elapsed: float) -> None:
        s3 = self._emulator.client("s3")
        several = len(self.plan.sources) > 1

        def fetch(output: processing.Output) -> gallery.OutputFile:
            answer = s3.get_object(Bucket=self.thumbnail_bucket, Key=output.key)
            return gallery.OutputFile(output.key, answer["ContentType"], answer["Body"].read())

        with ThreadPoolExecutor(processing.UPLOADS_AT_ONCE) as pool:
            entries = [
                gallery.Entry(
                    title=result.upload.file.label,
                    original=result.upload.file.path,
                    outcome=result.outcome,
                    detail=result.detail,
                    source=result.upload.source if several else "",
                    seconds=result.seconds,
                    outputs=partial(_fetched, pool, fetch, result.outputs),
                    record=result.record,
                )
                for result in results
            ]
            entries += [
                gallery.Entry(file.label, file.path, "unmatched", report.UNMATCHED)
                for file in self.selection.unmatched
            ]
            summary = report.summary(results, self.selection, elapsed)
            gallery.write(self._page, entries, summary=summary, facts=self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return [
            ("Run", f"{moment}, Darkroom {metadata.version('darkroom')}"),
            ("Specification", printable(self._pipeline.name)),
            ("Template", f"{self._deployed.template_bytes:,} bytes"),
            ("Emulator", "; ".join(self._deployed.notes)),
            *(
                (
                    "Not uploaded",
                    f"{pictures.not_uploaded(counts, self.selection.suffixes)}"
                    f" in {printable(str(directory))}",
                )
                for directory, counts in self.selection.ignored.items()
            ),
        ]


def watermark_files(keys: Sequence[str], files: Sequence[Path]) -> dict[str, Path]:
    """Return the file of each watermark: the only one, or that with the file name in its key.

    Raises:
        UsageError: a watermark has no file, or a file is no watermark's, or is not there.
    """
    if absent := [file for file in files if not file.is_file()]:
        raise UsageError(f"--watermark {absent[0]}: no such file")
    if len(keys) == len(files) == 1:
        return {keys[0]: files[0]}
    found = {key: file for key in keys for file in files if file.name == key.rpartition("/")[2]}
    if missing := [key for key in keys if key not in found]:
        name = missing[0].rpartition("/")[2]
        raise UsageError(
            f"--watermark {name} is needed: variants of the specification have {missing[0]}"
        )
    if others := [file for file in files if file not in found.values()]:
        named = ", ".join(keys) or "none"
        raise UsageError(f"--watermark {others[0]}: the specification's watermarks are {named}")
    return found


def _fetched(
    pool: ThreadPoolExecutor,
    fetch: Callable[[processing.Output], gallery.OutputFile],
    outputs: Sequence[processing.Output],
) -> Sequence[gallery.OutputFile]:
    return list(pool.map(fetch, outputs))
