"""Compare the outputs of the arm64 package with those of the x86_64 one: `tox run -e arm64`.

Both packages are built and unpacked, and each runs over the test corpus and the sample photographs
on a CPython of its architecture; the one that is not this host's is emulated by QEMU. Interpreters
and emulator are Debian's packages, kept in build/arm64.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from darkroom.bundle.build import build
from darkroom.bundle.target import DEFAULT_RUNTIME
from darkroom.emulator.pictures import sample_photographs
from tests.arm64 import debian
from tests.unit.worker.imaging import corpus

FOLDER = Path("build/arm64").resolve()
DIGESTS = Path(__file__).with_name("digests.py")
ARCHITECTURES = ("arm64", "x86_64")
LONGEST_FILE = 1_000_000
"""Bytes; larger specimens test limits only, and emulation takes seven times as long."""

Outcomes = Mapping[tuple[str, str], object]
"""What became of each file, by its name and the variants."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both packages; 1 if they differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.arm64", description=__doc__)
    parser.add_argument(
        "--required", action="store_true", help="fail where Debian's packages are not to be had"
    )
    options = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        commands = {
            name: debian.interpreter(DEFAULT_RUNTIME, name, FOLDER) for name in ARCHITECTURES
        }
    except debian.UnavailableError as error:
        print(f"{'failed' if options.required else 'skipped'}: {error}")
        return int(options.required)
    files = write_corpus(FOLDER / "corpus")
    started = time.monotonic()
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda name: outcomes(name, commands[name], files), ARCHITECTURES))
    print(f"{time.monotonic() - started:.0f} s for {len(list(files.iterdir()))} files")
    lines = differences(*found)
    print("\n".join([*lines, summary(found[0], len(lines))]))
    return int(bool(lines))


def write_corpus(folder: Path) -> Path:
    """Write the specimens and sample photographs as files, and return their folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for specimen in corpus.SPECIMENS:
        data = specimen.make()
        if len(data) <= LONGEST_FILE:
            (folder / specimen.name.replace("/", " ")).write_bytes(data)
    for path in sample_photographs():
        shutil.copy(path, folder / path.name)
    return folder


def outcomes(architecture: str, command: Sequence[str], files: Path) -> Outcomes:
    """Run the package of an architecture over the files.

    Raises:
        SystemExit: it does not run to its end; its standard error says why.
    """
    package = FOLDER / f"package-{architecture}"
    shutil.rmtree(package, ignore_errors=True)
    with zipfile.ZipFile(build(architecture=architecture).path) as archive:
        archive.extractall(package)
    done = subprocess.run(
        [*command, "-I", str(DIGESTS), str(package), str(files)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        sys.exit(f"{architecture}: exit status {done.returncode}\n{done.stderr[-2_000:]}")
    lines = map(json.loads, done.stdout.splitlines())
    return {(name, variants): found for name, variants, found in lines}


def differences(arm64: Outcomes, x86_64: Outcomes) -> list[str]:
    """Return a line for each file and variants that do not have the same outcome in both."""
    return [
        f"{name}, {variants}: arm64 {arm64.get((name, variants))},"
        f" x86_64 {x86_64.get((name, variants))}"
        for name, variants in sorted(arm64.keys() | x86_64.keys())
        if arm64.get((name, variants)) != x86_64.get((name, variants))
    ]


def summary(found: Outcomes, different: int) -> str:
    """Return a sentence that says how much was compared."""
    outputs = sum(
        len(parts) - 1 for parts in found.values() if isinstance(parts, list) and len(parts) > 1
    )
    rejected = sum(isinstance(parts, list) and len(parts) == 1 for parts in found.values())
    return (
        f"{len(found):,} runs, {outputs:,} outputs, {rejected:,} rejections: {different} different"
    )


if __name__ == "__main__":
    sys.exit(main())
