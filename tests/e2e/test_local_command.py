"""`darkroom local` as people run it: what it says, how it ends, what it leaves behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.e2e import pictures
from tests.workload import thumbnails_only

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


def run(tmp_path: Path, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the temporary directory to its end."""
    return subprocess.run(
        command(*arguments),
        env=environment(tmp_path, **more),
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=180,
        check=False,
    )


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


@thumbnails_only
@pytest.mark.usefixtures("package")  # its proxy is a trap
def test_pictures_become_a_gallery_and_nothing_else_is_touched(tmp_path: Path, trap: Trap) -> None:
    """D5, S7: odd names and odd files in, a page out; the caller's own AWS is never touched."""
    album = tmp_path / "my album"
    (album / "sub").mkdir(parents=True)
    (album / "a b.jpg").write_bytes(pictures.jpeg())
    (album / "sub" / "a b.jpg").write_bytes(pictures.half_transparent())
    (album / "日本.JPG").write_bytes(pictures.turned(6))
    (album / "junk.png").write_bytes(b"junk")
    (album / "new\nline.jpg").write_bytes(pictures.jpeg())
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
        assert rows[name].endswith("succeeded")
        assert " 5 files, " in rows[name]
    assert "rejected: not an image: " in rows["my album/junk.png"]
    assert rows["my album/new\N{REPLACEMENT CHARACTER}line.jpg"].endswith("succeeded")
    assert "Not uploaded from" in done.stdout
    assert "1 file without one of the suffixes .jpg" in done.stdout
    assert "1 hidden file" in done.stdout
    assert ".hidden" not in done.stdout
    assert "without FlowLog" in done.stderr
    page = (tmp_path / "out" / "index.html").read_text()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len([link for link in links if link.endswith(".webp")]) == 2 * 4 * 2
    assert all((tmp_path / "out" / unquote(link)).is_file() for link in links)
    assert not trap.calls
    assert "AKIACANARY" not in done.stdout + done.stderr + page
    assert real.stat().st_atime == 1, "the caller's credentials were read"
    assert leftovers(tmp_path) == []


PLAN = """
[sources.default]
prefixes = ["in/", "more/"]
variants = ["default", "square"]
[sources.scans]
type = "eventbridge"
suffixes = [".jpg"]
queue = "bulk"
variants = "square"
[sources.partner]
type = "sns"
raw_message_delivery = true
suffixes = [".png"]
queue = "bulk"
variants = "square"
[queues.default]
[queues.bulk]
[variants.default]
widths = [64]
[variants.default.formats]
jpeg = 80
[variants.square]
widths = [32, 16]
fit = "cover"
aspect_ratio = "1:1"
[variants.square.formats]
webp = 80
[variants.square.watermark]
min_width = 32
[network]
vpc = "existing"
endpoints = "existing"
[events]
topic = true
eventbridge = true
"""


@thumbnails_only
def test_any_specification_runs(tmp_path: Path) -> None:
    """D5, T5: each picture through every source that matches it, in the source's own envelope."""
    (tmp_path / "plan.toml").write_text(PLAN)
    for name in ("a.jpg", "b.jpg", "c.png"):
        (tmp_path / name).write_bytes(pictures.jpeg())
    done = run(
        tmp_path,
        *("a.jpg", "b.jpg", "c.png", "--pipeline", "plan.toml", "--watermark", "c.png"),
        *("--format", "json", "--output", "out"),
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    announced = {way: len(set(keys)) for way, keys in found["events"].items()}
    assert announced == dict.fromkeys(("topic", "eventbridge"), len(found["pictures"]))
    made = {(one["source"], one["key"]): one for one in found["pictures"]}
    assert {place: len(one["outputs"]) for place, one in made.items()} == {
        ("default", "in/a.jpg"): 3,
        ("default", "more/b.jpg"): 3,
        ("default", "in/c.png"): 3,
        ("scans", "uploads/a.jpg"): 2,
        ("scans", "uploads/b.jpg"): 2,
        ("partner", "uploads/c.png"): 2,
    }
    assert {one["outcome"] for one in made.values()} == {"succeeded"}
    assert made["scans", "uploads/a.jpg"]["outputs"][0]["key"].startswith("thumbnails/scans/")
    assert all(one["processing_seconds"] > 0 for one in made.values())


API_PLAN = """
[api]
source = "scans"
prefix = "in/"
[sources.default]
suffixes = [".jpg"]
[sources.scans]
suffixes = [".jpg", ".png"]
prefixes = ["in/"]
queue = "scans"
variants = "small"
[queues.default]
[queues.scans]
max_file_size_mb = 1
maximum_batching_window_seconds = 0
[variants.default]
widths = [64]
[variants.small]
widths = [32]
"""


@thumbnails_only
def test_a_source_of_the_upload_api_has_its_pictures_through_it(tmp_path: Path) -> None:
    """A1, D5: under the keys that the API chose, with what it refuses; others as always."""
    (tmp_path / "plan.toml").write_text(API_PLAN)
    (tmp_path / "a.jpg").write_bytes(pictures.jpeg())
    (tmp_path / "junk.png").write_bytes(b"junk")
    (tmp_path / "large.png").write_bytes(bytes(1_000_001))
    done = run(
        tmp_path,
        *("a.jpg", "junk.png", "large.png", "--pipeline", "plan.toml"),
        *("--format", "json", "--output", "out"),
    )
    assert done.returncode == 1, done.stderr + done.stdout  # one was refused
    assert "and ignores private endpoints" in done.stderr
    found = {
        (one["source"], Path(one["file"]).name): one for one in json.loads(done.stdout)["pictures"]
    }
    assert {place: one["outcome"] for place, one in found.items()} == {
        ("default", "a.jpg"): "succeeded",
        ("scans", "a.jpg"): "succeeded",
        ("scans", "junk.png"): "rejected",
        ("scans", "large.png"): "refused",
    }
    assert found["default", "a.jpg"]["key"] == "uploads/a.jpg"
    for name in ("a.jpg", "junk.png"):
        chosen = found["scans", name]["key"]
        assert re.fullmatch(rf"in/[0-9a-f]{{16}}/[0-9a-f-]{{36}}{Path(name).suffix}", chosen)
        assert found["scans", name]["processing_seconds"] is not None
    assert found["scans", "a.jpg"]["outputs"][0]["key"].endswith("/small-w32")
    assert found["scans", "junk.png"]["detail"].startswith("not an image: ")
    assert "413" in found["scans", "large.png"]["detail"]
    assert leftovers(tmp_path) == []


def checkout(tmp_path: Path) -> Path:
    """A copy of the repository's own files, whose worker a test may change."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("darkroom", "templates", "worker", "params", "generate.py"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    (copy / "build").mkdir()
    (ROOT / "build" / "wheels").mkdir(parents=True, exist_ok=True)
    (copy / "build" / "wheels").symlink_to(ROOT / "build" / "wheels")  # downloaded once
    return copy


def readme_block(language: str, containing: str) -> str:
    """The README's code block of a language that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (found,) = (str(block) for block in blocks if containing in block)
    return found


def test_the_readmes_other_workload_runs(tmp_path: Path) -> None:
    """D5, T1: README, "Another workload": its function and its settings, and nothing else."""
    copy = checkout(tmp_path)
    (copy / "worker" / "process.py").write_text(readme_block("python", "def process("))
    (copy / "params" / "pipeline.toml").write_text(readme_block("toml", ".txt"))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("three short words")
    (tmp_path / "notes" / "b.txt").write_bytes(b"\xff\xfe")
    done = run(tmp_path, "notes", "--output", "out", "--format", "json", PYTHONPATH=str(copy))
    assert done.returncode == 0, done.stderr + done.stdout
    first, second = json.loads(done.stdout)["pictures"]
    assert first["outcome"] == "succeeded"
    assert [one["key"] for one in first["outputs"]] == ["thumbnails/uploads/a.txt/stats.json"]
    assert (second["outcome"], second["outputs"]) == ("rejected", [])
    assert second["detail"] == "not text: The file is not UTF-8 text."
    page = (tmp_path / "out" / "index.html").read_text()
    assert "stats.json" in page
    assert "{&#34;words&#34;: 3}" in page


def test_a_worker_that_cannot_start_ends_the_run(tmp_path: Path) -> None:
    """D5: at once and with its message, not after two minutes without an outcome."""
    copy = checkout(tmp_path)
    process = copy / "worker" / "process.py"
    process.write_text(
        process.read_text().replace("from worker import", "import pypdf\nfrom worker import", 1)
    )
    done = run(tmp_path, "--output", "out", PYTHONPATH=str(copy))
    assert done.returncode == 1, done.stdout
    assert "The worker cannot start: No module named 'pypdf'" in done.stderr
    assert "requirements.in" in done.stderr
    assert leftovers(tmp_path) == []


@thumbnails_only
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
    assert done.stdout.count(" succeeded") >= 5
    assert leftovers(tmp_path) == []


@thumbnails_only
@pytest.mark.parametrize(
    ("signal_number", "moment"),
    [
        (signal.SIGINT, "Emulator of AWS at"),
        (signal.SIGINT, "Deployed"),
        (signal.SIGINT, "Ctrl-C stops the emulator"),
        (signal.SIGTERM, "Deployed"),
        (signal.SIGHUP, "Ctrl-C stops the emulator"),
    ],
)
def test_interrupted_it_leaves_nothing(
    tmp_path: Path, signal_number: signal.Signals, moment: str
) -> None:
    """D5: Ctrl-C, SIGTERM or a closed terminal: no process, no file, at whatever moment."""
    process = subprocess.Popen(
        command("--keep-running", "--output", tmp_path / "out"),
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
                process.send_signal(signal_number)  # the terminal's, and tox's
                break
        said += output.read()
    status = process.wait(30)
    kept = moment == "Ctrl-C stops the emulator" and signal_number == signal.SIGINT
    assert status == (0 if kept else 128 + signal_number), said
    assert ("The emulator is stopped, and its files are deleted." in said) is kept
    assert "Traceback" not in said
    assert leftovers(tmp_path) == []


@thumbnails_only
def test_kept_it_can_be_used_as_it_says(tmp_path: Path) -> None:
    """D5, O6: with the printed lines another picture is sent, and followed in the archive."""
    process = subprocess.Popen(
        command("--keep-running", "--output", tmp_path / "out"),
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
            if "Ctrl-C stops the emulator" in line:
                break
        (tmp_path / "new.jpg").write_bytes(pictures.jpeg())
        block = [line for line in said.splitlines() if line.startswith("  ")]
        (logs,) = [line for line in block if "darkroom logs" in line]
        lines = [line.replace("cp FILE", "cp new.jpg") for line in block if line != logs]
        script = [f'aws() {{ "{sys.executable}" -m awscli "$@"; }}', *lines]
        # The last line lists the thumbnail bucket: again, until the new picture is there.
        script[-1] = (
            f"until {lines[-1].strip()} | grep uploads/new.jpg/index.json; do sleep 1; done"
        )
        # And the line about the logs reads the archive, which gets the picture's lines soon after.
        command_line, _, option = logs.strip().partition("  # or with ")
        assert option == "--archive"
        reading = f"{command_line} {option} --format json".replace(" KEY ", " uploads/new.jpg ")
        reading = f'"{sys.executable}" -m darkroom {reading.partition(" ")[2]}'
        script.append(f"until {reading}; do sleep 1; done")
        stale = {"AWS_PROFILE": "doesnotexist", "AWS_SESSION_TOKEN": "stale"}
        done = subprocess.run(
            ["/bin/sh", "-euc", "\n".join(script)],
            env={**environment(tmp_path), "AWS_CONFIG_FILE": os.devnull, **stale},
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=60,
        )
        found = json.loads(done.stdout[done.stdout.index(b"[") :])
        texts = [one["text"] for one in found if isinstance(one["text"], dict)]
        assert [one["outcome"] for one in texts if "outcome" in one] == ["succeeded"]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert leftovers(tmp_path) == []
