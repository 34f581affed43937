"""`darkroom capacity` in a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_an_interrupt_ends_the_simulation_quietly() -> None:
    """D6: no traceback, nothing half on standard output."""
    script = (
        "import signal, sys; from darkroom import cli; from darkroom.console import progress\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "progress.Progress.update = lambda *_: signal.raise_signal(signal.SIGINT)\n"
        "sys.exit(cli.main(['capacity', '--simulate']))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stdout == ""
    assert done.stderr.strip() == "interrupted"
