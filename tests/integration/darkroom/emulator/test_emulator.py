import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from darkroom.emulator import ministack as module
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UserError


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the emulator's directory is made, empty before."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_answers_over_tls_and_enforces_iam(temporary: Path) -> None:
    """D5: nothing is switched off to make things run."""
    with Emulator() as emulator:
        assert emulator.url.startswith("https://127.0.0.1:")
        identity = emulator.client("sts").get_caller_identity()
        assert emulator.client("sts") is emulator.client("sts")
        assert identity["Arn"].endswith(":root")
        stranger = {"aws_access_key_id": "AKIASTRANGER", "aws_secret_access_key": "x"}
        with pytest.raises(ClientError):
            emulator.client("sqs", credentials=stranger).list_queues()
        assert [path.name for path in temporary.iterdir()] == [emulator.directory.name]


def test_it_listens_on_loopback_alone() -> None:
    """D5: no other computer can reach it, and it takes one port only."""
    with Emulator() as emulator:
        port = int(emulator.url.rpartition(":")[2])
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))  # free, or it would be listening on every address
        listening = _listening(emulator.directory)
    if listening is not None:
        assert listening == {f"0100007F:{port:04X}"}


def _listening(directory: Path) -> set[str] | None:
    """Local addresses, as /proc spells them, that processes started in `directory` listen on."""
    if not Path("/proc/net/tcp").exists():
        return None
    sockets = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(directory) not in (process / "environ").read_bytes():
                continue
            handles = list((process / "fd").iterdir())
        except OSError:
            continue
        for handle in handles:
            with suppress(FileNotFoundError):  # closed since
                sockets.add(str(handle.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1])
    return found


def test_nothing_is_left(temporary: Path) -> None:
    """D5: no file, no process, and the caller's signal handlers as they were."""
    callers = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with Emulator() as emulator:
            assert emulator._process is not None
            group = emulator._process.pid
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, callers)
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_nothing_is_left_after_an_error(temporary: Path) -> None:
    with pytest.raises(KeyError), Emulator():
        raise KeyError
    assert list(temporary.iterdir()) == []


def test_two_run_side_by_side() -> None:
    with Emulator() as one, Emulator(region="us-west-2") as other:
        assert one.url != other.url
        one.client("sqs").create_queue(QueueName="mine")
        assert not other.client("sqs").list_queues().get("QueueUrls")


def test_a_failed_start_shows_the_log(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is in the log; without it nobody could help himself."""
    monkeypatch.setattr(sys, "executable", "/bin/sh")
    with pytest.raises(UserError, match=r"stopped with status \d+[^\n]+its log:\n.*hypercorn"):
        Emulator().__enter__()
    assert list(temporary.iterdir()) == []


def test_a_start_that_hangs_ends(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Emulator, "_is_healthy", lambda _: False)
    monkeypatch.setattr(module, "START_SECONDS", 0.3)
    heard: list[str] = []
    with pytest.raises(UserError, match="did not answer"):
        Emulator(progress=heard.append).__enter__()
    assert "Starting the emulator, for" in heard[-1]
    assert list(temporary.iterdir()) == []


def test_the_callers_aws_is_neither_read_nor_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S7, D5: real credentials, profiles, endpoints and proxies in the environment stay unused."""
    canary = tmp_path / "canary"
    canary.write_text("[default]\naws_access_key_id = AKIACANARY\nregion = canary\n")
    refusing = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{refusing.getsockname()[1]}"
    refusing.close()  # whoever goes there fails
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "canary")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(canary))
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, address)
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    os.utime(canary, (1, 1))
    with Emulator() as emulator:
        account = emulator.client("sts").get_caller_identity()["Account"]
        said = subprocess.run(
            [sys.executable, "-m", "awscli", "sts", "get-caller-identity", "--output", "text"],
            env=emulator.environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
        assert account in said
        assert "canary" not in "".join(emulator.environment.values())
        assert "AWS_PROFILE" not in emulator.environment
    assert canary.stat().st_atime == 1


def test_another_thread_can_start_one(temporary: Path) -> None:
    """Only the main thread may handle signals; the others go without."""
    ends: list[object] = []

    def start() -> None:
        with Emulator() as emulator:
            ends.append(emulator.client("sts").get_caller_identity())

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert ends
    assert list(temporary.iterdir()) == []


def test_windows_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """D5: a process group and inherited sockets are POSIX."""
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(UserError, match="WSL"), Emulator():
        pass


def test_a_platform_without_sighup_starts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """D5: macOS and Linux have SIGHUP; the emulator needs SIGTERM alone."""
    monkeypatch.setattr(module, "TERMINATION", (signal.SIGTERM,))
    with Emulator() as emulator:
        assert emulator.client("sts").get_caller_identity()


def test_a_host_without_loopback_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """D5: as under `unshare -rn`; the emulator would start and never answer."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    monkeypatch.setattr("socket.create_connection", refuse)
    with pytest.raises(UserError, match=r"no connection to 127.*Network is unreachable.*loopback"):
        Emulator().__enter__()
