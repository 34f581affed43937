"""Uploads files through a stack's upload API, and waits for what comes of each."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from darkroom.aws.upload_api import RefusedError, UploadApi
from darkroom.console.progress import Progress
from darkroom.console.tables import table
from darkroom.console.text import plural
from darkroom.errors import UsageError, UserError

AT_ONCE = 4
"""Files that are uploaded at the same time, while as many others are waited for."""

FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 1.0, 5.0
"""Between two questions about an upload."""

ENDS = ("done", "rejected", "deleted")
"""States after which nothing changes any more."""

EXPIRED = 403
"""S3's status for a URL that may no longer be used."""


class File(Protocol):
    """A file to upload: where it is, and its name for people."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def label(self) -> str:
        """Its name for people."""


@dataclass(frozen=True)
class Outcome:
    """What came of a file: the state that the API tells, or `refused`, with the reason."""

    file: File
    state: str
    id: str = ""
    key: str = ""
    outputs: Sequence[Mapping[str, Any]] = ()
    detail: str = ""

    @property
    def is_ended(self) -> bool:
        """Whether the file has outputs, or a recorded rejection."""
        return self.state in ENDS

    def data(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "file": self.file.label,
            "state": self.state,
            "id": self.id,
            "key": self.key,
            "outputs": list(self.outputs),
            "detail": self.detail,
        }


@dataclass
class Checkpoint:
    """The ids of uploads, a line of JSON each, so that the same command continues after a stop."""

    path: Path
    url: str
    _ids: dict[tuple[str, str], str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, path: Path, url: str) -> "Checkpoint":
        """Return the checkpoint at `path`, or an empty one where there is no file.

        Raises:
            UsageError: The file is none, or of another API.
        """
        found = cls(path, url)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return found
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: not a checkpoint of uploads: {error}") from None
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                api, place, sha256, id_ = (entry[name] for name in ("api", "file", "sha256", "id"))
            except (ValueError, KeyError, TypeError):
                if number == len(lines):  # a stop in the middle of a line
                    continue
                raise UsageError(f"{path}:{number}: not a checkpoint of uploads") from None
            if api != url:
                raise UsageError(f"{path}: the checkpoint of another API, {api}")
            found._ids[place, sha256] = id_
        return found

    def id_of(self, file: File, sha256: str) -> str | None:
        """Return the id that a file with this content had; None without one."""
        return self._ids.get((str(file.path.resolve()), sha256))

    def add(self, file: File, sha256: str, id_: str) -> None:
        """Note an id, before anything is uploaded."""
        place = str(file.path.resolve())
        entry = {"api": self.url, "file": place, "sha256": sha256, "id": id_}
        with self._lock:
            self._ids[place, sha256] = id_
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(entry, ensure_ascii=False) + "\n")


@dataclass
class Uploads:
    """One run: every file to the API, then to S3, then until its record is there."""

    api: UploadApi
    checkpoint: Checkpoint
    progress: Progress
    timeout: float
    """Seconds without any news after which the run gives up."""

    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _news: float = field(default_factory=time.monotonic, init=False)
    _uploaded: int = field(default=0, init=False)
    _done: int = field(default=0, init=False)

    def run(self, files: Sequence[File]) -> list[Outcome]:
        """Upload the files and return what came of each, in the same order.

        Raises:
            UserError: There is no connection; the same command continues.
            KeyboardInterrupt: likewise.
        """
        self._count = len(files)
        uploading, waiting = ThreadPoolExecutor(AT_ONCE), ThreadPoolExecutor(AT_ONCE)
        try:
            uploads = [uploading.submit(self._upload, file) for file in files]
            return list(waiting.map(self._outcome, files, uploads))
        except (KeyboardInterrupt, UserError) as stop:
            self.stop()
            uploading.shutdown(cancel_futures=True)
            waiting.shutdown(cancel_futures=True)
            continues = f"the same command continues ({self.checkpoint.path})"
            if isinstance(stop, UserError):
                raise UserError(f"{stop}\n{continues}") from stop
            raise KeyboardInterrupt(continues) from None
        finally:
            uploading.shutdown()
            waiting.shutdown()

    def stop(self) -> None:
        """End the run early: what is not uploaded stays so, and nobody is waited for."""
        self._stop.set()

    def _upload(self, file: File) -> str:
        """Return the id of an upload whose bytes are in the bucket, perhaps an earlier one."""
        if self._stop.is_set():
            raise UserError("stopped")
        body = file.path.read_bytes()
        sha256 = base64.b64encode(hashlib.sha256(body).digest()).decode()
        try:
            id_ = self._id_of(file, body, sha256)
        except RefusedError:
            raise
        except UserError:  # of the others no one would fare better
            self.stop()
            raise
        self._uploaded += 1
        self._tell()
        return id_

    def _id_of(self, file: File, body: bytes, sha256: str) -> str:
        if (known := self.checkpoint.id_of(file, sha256)) and self._is_there(known):
            return known
        for last in (False, True):
            upload = self.api.expect(file.path.name, len(body), sha256)
            self.checkpoint.add(file, sha256, upload.id)
            try:
                self.api.put(upload, body)
                break
            except RefusedError as refusal:
                # A slow connection, or a computer that slept: a URL is good for minutes only.
                if last or refusal.status != EXPIRED:
                    raise
        return upload.id

    def _is_there(self, id_: str) -> bool:
        try:
            return bool(self.api.state(id_)["state"] != "expected")
        except RefusedError as refusal:
            if refusal.status == 404:
                return False
            raise

    def _outcome(self, file: File, upload: Future[str]) -> Outcome:
        try:
            return self._wait(file, upload.result())
        except OSError as error:
            return Outcome(file, "refused", detail=f"cannot be read: {error.strerror}")
        except RefusedError as refusal:
            return Outcome(file, "refused", detail=str(refusal))
        finally:
            self._done += 1

    def _wait(self, file: File, id_: str) -> Outcome:
        pause = FIRST_LOOK_SECONDS
        while True:
            found = self.api.state(id_)
            state, key = str(found["state"]), str(found.get("key", ""))
            self.progress.update(
                f"{self._uploaded:,} of {plural(self._count, 'file')} uploaded, {self._done:,} done"
            )
            if state in ENDS:
                self._tell()
                outputs, reason = found.get("outputs") or (), found.get("reason", "")
                detail = f"{reason}: {found.get('detail', '')}" if reason else ""
                return Outcome(file, state, id_, key, outputs, detail)
            if time.monotonic() - self._news > self.timeout:
                detail = f"no result after {self.timeout:.0f} s; the same command waits on"
                if found.get("attention"):
                    detail = "it may be in the dead-letter queue"
                return Outcome(file, state, id_, key, detail=detail)
            if self._stop.wait(pause):
                return Outcome(file, state, id_, key)
            pause = min(LONGEST_LOOK_SECONDS, 1.5 * pause)

    def _tell(self) -> None:
        self._news = time.monotonic()


def results_table(outcomes: Sequence[Outcome]) -> str:
    """Return a line for each file, for people."""
    rows = [["file", "state", "outputs"]]
    for one in outcomes:
        names = ", ".join(str(output["name"]) for output in one.outputs)
        rows.append([one.file.label, one.state, names or one.detail])
    return table(rows)
