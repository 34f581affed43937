"""Progress and result on terminals."""

import os
import subprocess
import sys
from pathlib import Path

from tests.unit.darkroom.console.test_progress import screen

ROOT = Path(__file__).parents[4]
SCRIPT = """
import time
from darkroom.console.output import print_result
from darkroom.console.progress import Progress
progress = Progress()
progress.update("Writing the gallery")
time.sleep(0.3)
print_result({}, "the table", "table")
"""


def run_on_terminals(stdout: int, stderr: int) -> list[str]:
    """Run SCRIPT on terminals, by number; return what each of them has received."""
    pairs = [os.openpty() for _ in range(max(stdout, stderr) + 1)]
    files = [slave for _, slave in pairs]
    command = [sys.executable, "-c", SCRIPT]
    environment = os.environ | {"TERM": "xterm"}
    subprocess.run(
        command,
        stdout=files[stdout],
        stderr=files[stderr],
        cwd=ROOT,
        env=environment,
        check=True,
    )
    received = []
    for master, slave in pairs:
        os.set_blocking(master, False)
        try:
            received.append(os.read(master, 100_000).decode())
        except BlockingIOError:
            received.append("")
        os.close(slave)
        os.close(master)
    return received


def test_a_result_is_never_glued_to_the_status() -> None:
    (text,) = run_on_terminals(0, 0)
    assert "Writing the gallery" in text
    assert screen(text.replace("\r\n", "\n")) == ["the table"]


def test_under_tox_no_line_is_rewritten() -> None:
    """Each stream has a terminal of its own there, and tox passes both on in any order."""
    stdout, stderr = run_on_terminals(0, 1)
    assert stdout == "the table\r\n"
    assert stderr == ""
