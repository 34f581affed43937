"""Runs pip, and says why it failed."""

import re
import subprocess
import sys
from collections.abc import Sequence

from darkroom.errors import UserError


def run_pip(arguments: Sequence[str], *, failure: str) -> None:
    """Run pip with `arguments`, without a word where it succeeds.

    Raises:
        UserError: pip failed. The message is `failure`, and the cause: where the package index
            cannot be reached, what to check; else pip's errors.
    """
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        problem = done.stderr.strip() or f"pip ended with exit status {done.returncode}"
        raise UserError(f"{failure}{_cause(problem)}")


def _cause(output: str) -> str:
    # Pip tries again several times, and then reports that there is no such distribution.
    broken = re.findall(r"after connection broken by (.+)", output)
    if broken and "No matching distribution" in output:
        return (
            ": there is no connection to the package index. Check the network, the proxy"
            f" (HTTPS_PROXY) and pip's index (`pip config list`). Pip's last attempt: {broken[-1]}"
        )
    lines = (line for line in output.splitlines() if not line.startswith("WARNING: Retrying"))
    return ":\n" + "\n".join(lines)
