"""Fuzz the imaging package and the event parser, guided by coverage: `tox run -e fuzz`.

Atheris (libFuzzer) keeps each input that reaches new Python code: the worker's, and Pillow's
plugins. Pillow's decoders in C and the libraries under them are run but not instrumented: they
do not guide it, and their errors show only as a crash, a time-out or too much memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.fuzz.targets import TARGETS, Target

BUILD = Path("build/fuzz")
SECONDS_PER_INPUT = 10
RESIDENT_MEGABYTES = 1_000
"""Includes what this process took to make the seeds, about half."""

SECONDS_TO_END = 120
"""Beyond the time it was given, for its start and for an input that takes long."""

LONGEST_INPUT = 32_768


@dataclass(frozen=True)
class Report:
    """How a run went: inputs tried, places covered, and the files that broke a requirement."""

    name: str
    executions: int
    coverage: int
    findings: Sequence[Path]
    failed: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz each target for some seconds; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument(
        "--seconds", type=int, default=60, metavar="N", help="for each target (default: 60)"
    )
    options = parser.parse_args(arguments)
    names = options.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}; allowed: {', '.join(TARGETS)}")
    if options.seconds < 1:
        parser.error("--seconds takes a whole number of at least 1")
    if importlib.util.find_spec("atheris") is None:
        print("skipped: atheris has wheels for CPython 3.11 to 3.13 on x86-64 Linux only")
        return 0
    reports = []
    for name in names:
        print(f"{name}: {options.seconds} s, log in {BUILD / name / 'log'}", flush=True)
        reports.append(report := fuzz(name, options.seconds))
        print(f"{name}: {report.executions:,} inputs, {report.coverage:,} places reached")
        for path in report.findings:
            print(f"{name}: found {path}")
        if report.failed and not report.findings:
            print(f"{name}: the fuzzer itself failed; see {BUILD / name / 'log'}")
    return int(any(report.failed for report in reports))


def fuzz(name: str, seconds: int) -> Report:
    """Fuzz one target in its own process, from its seeds and the corpus of earlier runs."""
    folder = BUILD / name
    found = folder / "findings"
    shutil.rmtree(found, ignore_errors=True)
    for path in (found, folder / "seeds", folder / "corpus"):
        path.mkdir(parents=True, exist_ok=True)
    target = TARGETS[name]
    for seed in target.seeds():
        (folder / "seeds" / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    (folder / "words").write_text(dictionary(target), encoding="ascii")
    with (folder / "log").open("wb") as log:
        try:
            status = subprocess.run(
                command(name, folder, seconds),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=seconds + SECONDS_TO_END,
            ).returncode
        except subprocess.TimeoutExpired:  # a damaged heap: its handler waits for itself
            status = None
    text = (folder / "log").read_text(encoding="utf-8", errors="replace")
    executed = re.findall(r"^(?:stat::number_of_executed_units: |#)(\d+)", text, re.MULTILINE)
    covered = re.findall(r" cov: (\d+) ", text)
    return Report(
        name=name,
        executions=max(map(int, executed), default=0),
        coverage=int(covered[-1]) if covered else 0,
        findings=sorted(found.iterdir()),
        # A run without inputs has tested nothing.
        failed=status != 0 or not executed,
    )


def command(name: str, folder: Path, seconds: int) -> Sequence[str]:
    """Return the fuzzer's command line."""
    return [
        *(sys.executable, "-m", "tests.fuzz.instrumented", name),
        *(str(folder / "corpus"), str(folder / "seeds")),
        f"-artifact_prefix={folder / 'findings'}/",
        f"-dict={folder / 'words'}",
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={RESIDENT_MEGABYTES}",
        f"-max_len={LONGEST_INPUT}",
        "-print_final_stats=1",
    ]


def dictionary(target: Target) -> str:
    """Return the target's words as libFuzzer reads them."""
    lines = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    return "".join(f'"{line}"\n' for line in lines)


if __name__ == "__main__":
    sys.exit(main())
