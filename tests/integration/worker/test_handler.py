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
