"""`darkroom local` as people run it: what it says, how it ends, what it leaves behind."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e import pictures

ROOT = Path(__file__).parents[2]

# Enters a network of its own, with loopback and nothing else, before it runs its arguments.
ALONE = """
import fcntl, os, socket, struct, sys
request = struct.pack("16sh", b"lo", 1)  # IFF_UP
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass
class Trap:
    """A listener that nobody should call; `calls` counts who did."""

    address: str
    calls: list[str] = field(default_factory=list)


@pytest.fixture
def trap() -> Iterator[Trap]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Trap(f"http://127.0.0.1:{server.getsockname()[1]}")

        def listen() -> None:
            while True:
                try:
                    connection, peer = server.accept()
                except OSError:  # closed: the test is over
                    return
                found.calls.append(str(peer))
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "darkroom", "local", *map(str, arguments)]


def environment(tmp_path: Path, **more: str) -> Mapping[str, str]:
    """The caller's environment, with a temporary directory whose content tells what is left."""
    temporary = tmp_path / "temporary files"
    temporary.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT), **more}


def leftovers(tmp_path: Path) -> list[str]:
    """Files in the temporary directory and processes that were started with it."""
    temporary = tmp_path / "temporary files"
    found = [str(path) for path in temporary.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            started_with = (process / "environ").read_bytes()
        except OSError:  # it has ended, or it is not ours
            continue
        if bytes(temporary) in started_with:
            found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def test_pictures_become_a_gallery_and_nothing_else_is_touched(tmp_path: Path, trap: Trap) -> None:
    """D5, S7: odd names and odd files in, a page out; the caller's own AWS is never touched."""
    album = tmp_path / "my album"
    (album / "sub").mkdir(parents=True)
    (album / "a b.jpg").write_bytes(pictures.jpeg())
    (album / "sub" / "a b.jpg").write_bytes(pictures.half_transparent())
    (album / "日本.JPG").write_bytes(pictures.turned(6))
    (album / "junk.png").write_bytes(b"junk")
    (album / "notes.txt").write_bytes(b"notes")
    (album / ".hidden.jpg").write_bytes(b"")
    real = tmp_path / "credentials"
    real.write_text("[canary]\naws_access_key_id=AKIACANARY\naws_secret_access_key=canary\n")
    os.utime(real, (1, 1))
    done = subprocess.run(
        command(album, album / "a b.jpg", "--output", tmp_path / "out"),
        env=environment(
            tmp_path,
            AWS_PROFILE="canary",
            AWS_ACCESS_KEY_ID="AKIACANARY",
            AWS_SECRET_ACCESS_KEY="canary",
            AWS_SESSION_TOKEN="canary",
            AWS_SHARED_CREDENTIALS_FILE=str(real),
            AWS_CONFIG_FILE=str(real),
            AWS_ENDPOINT_URL=trap.address,
            AWS_ENDPOINT_URL_S3=trap.address,
            AWS_CA_BUNDLE=str(real),
            HTTP_PROXY=trap.address,
            HTTPS_PROXY=trap.address,
            ALL_PROXY=trap.address,
        ),
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {line.partition("  ")[0]: line for line in done.stdout.splitlines()}
    for name in ("my album/a b.jpg", "my album/sub/a b.jpg", "my album/日本.JPG"):
        assert rows[name].endswith("thumbnails")
    assert "rejected: not_an_image" in rows["my album/junk.png"]
    assert "not watched" in rows["my album/notes.txt"]
    assert "hidden" not in done.stdout
    assert "without FlowLog" in done.stderr
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("data:image/webp;base64,") == 3 * 3
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert not trap.calls
    assert "AKIACANARY" not in done.stdout + done.stderr + page
    assert real.stat().st_atime == 1, "the caller's credentials were read"
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux's unshare")
def test_no_network_is_needed(tmp_path: Path) -> None:
    """D5: once the packages are there, the sample photographs need nothing but loopback."""
    alone = ["unshare", "--net", "--map-root-user", sys.executable, "-c", ALONE]
    if subprocess.run(
        [*alone, shutil.which("true") or ""], capture_output=True, check=False
    ).returncode:
        pytest.skip("this host lets nobody make a network of his own")
    done = subprocess.run(
        [*alone, *command("--output", tmp_path / "out")],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" thumbnails") >= 5
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("signal_number", "moment"),
    [
        (signal.SIGINT, "Embedded AWS at"),
        (signal.SIGINT, "Deployed"),
        (signal.SIGINT, "Ctrl-C stops it"),
        (signal.SIGTERM, "Deployed"),
        (signal.SIGHUP, "Ctrl-C stops it"),
    ],
)
def test_interrupted_it_leaves_nothing(
    tmp_path: Path, signal_number: signal.Signals, moment: str
) -> None:
    """D5: Ctrl-C, SIGTERM or a closed terminal: no process, no file, at whatever moment."""
    process = subprocess.Popen(
        command("--keep", "--output", tmp_path / "out"),
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert process.stdout is not None
    with process.stdout as output:
        said = ""
        for line in output:
            said += line
            if moment in line:
                process.send_signal(signal_number)
                break
        said += output.read()
    status = process.wait(30)
    kept = moment == "Ctrl-C stops it" and signal_number == signal.SIGINT
    assert status == (0 if kept else 128 + signal_number), said
    assert "Traceback" not in said
    assert leftovers(tmp_path) == []


def test_kept_it_can_be_used_as_it_says(tmp_path: Path) -> None:
    """D5: the printed exports are enough for the AWS CLI to send another picture through."""
    process = subprocess.Popen(
        command("--keep", "--output", tmp_path / "out"),
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C stops it" in line:
                break
        lines = [line for line in said.splitlines() if line.startswith("  export ")]
        exports = dict(shlex.split(line)[1].split("=", 1) for line in lines)
        (bucket, prefix) = re.findall(r"s3://([^/\s]+)/(\S+)", said)[0]
        (thumbnails,) = re.findall(r"--recursive s3://([^/\s]+)/", said)
        (tmp_path / "new.jpg").write_bytes(pictures.jpeg())
        cli = [sys.executable, "-m", "awscli", "s3"]
        used = {**environment(tmp_path), **exports, "AWS_CONFIG_FILE": os.devnull}
        subprocess.run(
            [*cli, "cp", str(tmp_path / "new.jpg"), f"s3://{bucket}/{prefix}"],
            env=used,
            check=True,
            capture_output=True,
        )
        deadline = time.monotonic() + 30
        listed = ""
        while "uploads/new.jpg/w128.webp" not in listed and time.monotonic() < deadline:
            listed = subprocess.run(
                [*cli, "ls", "--recursive", f"s3://{thumbnails}/"],
                env=used,
                check=True,
                capture_output=True,
                encoding="utf-8",
            ).stdout
        assert "uploads/new.jpg/w128.webp" in listed
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert leftovers(tmp_path) == []
