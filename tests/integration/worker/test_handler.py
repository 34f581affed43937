"""Importing the worker, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def test_importing_calls_nothing_and_needs_no_environment() -> None:
    """S7: no client, no credentials, no region until the first event."""
    code = """
import sys, botocore.session
def refuse(*_args, **_kwargs): raise SystemExit("an AWS session at import")
botocore.session.get_session = botocore.session.Session = refuse
import worker.handler
"""
    subprocess.run([sys.executable, "-c", code], env={"PATH": os.environ["PATH"]}, check=True)


def test_garbage_is_collected_again_after_importing() -> None:
    """P9: what pictures leave behind is found, and what was imported is not searched."""
    code = """
import gc
import worker.handler
assert gc.isenabled()
assert gc.get_freeze_count() > 10_000
"""
    subprocess.run([sys.executable, "-c", code], env={"PATH": os.environ["PATH"]}, check=True)
