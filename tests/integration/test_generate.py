"""`python generate.py` in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from templates import pipeline
from templates.specification import Specification

ROOT = Path(__file__).parents[2]


def run(
    *arguments: str, cwd: Path = ROOT, isolated: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run generate.py; `isolated`: without any installed package."""
    return subprocess.run(
        [
            sys.executable,
            *(["-S"] if isolated else []),
            str(ROOT / "generate.py"),
            *arguments,
        ],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def is_size_note(text: str) -> bool:
    """Return whether this is the line about a template too large for a direct deployment."""
    return text.startswith("note: ") and "--s3-bucket" in text and text.count("\n") == 1


def test_standard_output_is_the_template_and_nothing_else() -> None:
    """D7: `python generate.py > stack.json` works as is."""
    done = run()
    assert done.returncode == 0
    assert is_size_note(done.stderr)
    assert "Resources" in json.loads(done.stdout)


def test_it_works_from_anywhere_and_writes_where_told(tmp_path: Path) -> None:
    """D7: a path with spaces, a folder that is not there yet."""
    target = Path("my stacks", "stack.json")
    done = run("--output", str(target), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert is_size_note(done.stderr)
    assert "Resources" in json.loads((tmp_path / target).read_text())


def test_without_its_packages_it_says_what_to_install() -> None:
    """D7: and --help works."""
    done = run(isolated=True)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert (
        "needs the Python package 'awacs'" in line
        or "needs the Python package 'troposphere'" in line
    )
    assert line.endswith("; in the project's folder: python -m pip install -e .")
    assert run("--help", isolated=True).returncode == 0


def test_a_closed_standard_output_is_status_1() -> None:
    """C1: `python generate.py >&-`."""
    command = f"'{sys.executable}' '{ROOT / 'generate.py'}' >&-"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: standard output: is closed\n")


def test_a_reader_that_has_enough_ends_it_without_an_error() -> None:
    """C1: `python generate.py | head -1`."""
    command = f"'{sys.executable}' '{ROOT / 'generate.py'}' | head -c 1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "{"
    assert not done.stderr or is_size_note(done.stderr)  # as soon as the reader ends, or later


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """C1: whatever clock, environment, directory and hash seed."""
    (tmp_path / "defaults.toml").write_text("")
    outputs = set()
    for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo")):
        environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed, "TZ": zone}
        run = subprocess.run(
            [sys.executable, str(ROOT / "generate.py"), "--pipeline", "defaults.toml"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        outputs.add(run.stdout)
    assert outputs == {pipeline.render(pipeline.build(Specification())).encode()}
