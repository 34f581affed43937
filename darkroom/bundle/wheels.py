"""The locked wheels for a target: the lock checked against what it locks, downloaded, verified."""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from darkroom.bundle.pip import run_pip
from darkroom.bundle.target import MACHINES, ROOT
from darkroom.errors import UserError

DOWNLOADS = ROOT / "build" / "wheels"
REQUIREMENTS = "requirements.in"
LOCK = "requirements.txt"
GLIBC_MINORS = range(34, 16, -1)  # Amazon Linux 2023 has glibc 2.34; manylinux begins at 2.17


@dataclass(frozen=True)
class LockedWheel:
    """A distribution as the lock pins it: `hashes` are the SHA-256 of its allowed files."""

    name: str
    version: str
    hashes: frozenset[str]


def wheels(worker: Path, *, runtime: str, architecture: str) -> list[Path]:
    """Return the wheels that `worker`'s lock pins for the target, in the lock's order.

    They are downloaded once and verified each time.

    Raises:
        UserError: the lock lacks a requirement, or a wheel cannot be downloaded or has changed.
    """
    lock = (worker / LOCK).read_text("utf-8")
    check_lock((worker / REQUIREMENTS).read_text("utf-8"), lock)
    pinned = list(locked(lock, runtime=runtime, architecture=architecture))
    digest = hashlib.sha256(_requirements(pinned).encode()).hexdigest()
    directory = DOWNLOADS / f"{runtime}-{architecture}-{digest[:12]}"
    if not directory.is_dir():
        download(pinned, directory, runtime=runtime, architecture=architecture)
    downloaded = {parse_wheel_filename(path.name)[:2]: path for path in directory.glob("*.whl")}
    found = []
    for pin in pinned:
        wheel = downloaded.get((canonicalize_name(pin.name), Version(pin.version)))
        if wheel is None or hashlib.sha256(wheel.read_bytes()).hexdigest() not in pin.hashes:
            raise UserError(
                f"the wheel of {pin.name} {pin.version} in {directory} "
                + ("is missing" if wheel is None else f"has a hash that {LOCK} does not list")
                + ": delete the directory, and the next build downloads it again"
            )
        found.append(wheel)
    return found


def check_lock(requirements: str, lock: str) -> None:
    """Refuse a lock that lacks a requirement: the package would be built without it.

    Raises:
        UserError: a line of `requirements` is not a requirement, or `lock` has no version for it.
    """
    versions = {canonicalize_name(one.name): version for one, version, _ in _entries(lock)}
    missing = []
    for requirement in required(requirements):
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            missing.append(str(requirement))
    if missing:
        raise UserError(
            f"worker/{LOCK} does not lock {', '.join(missing)}, which worker/{REQUIREMENTS} names:"
            " run `tox run -e lock`"
        )


def required(requirements: str) -> Iterator[Requirement]:
    """Yield each requirement of a requirements file.

    Raises:
        UserError: a line is not a requirement.
    """
    for line in requirements.splitlines():
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if not text:
            continue
        try:
            yield Requirement(text)
        except InvalidRequirement:
            raise UserError(
                f"worker/{REQUIREMENTS}: {text!r} is not a requirement like pillow==13.0.0"
            ) from None


def locked(lock: str, *, runtime: str, architecture: str) -> Iterator[LockedWheel]:
    """Yield each distribution that a lock file pins for the target."""
    version = runtime.removeprefix("python")
    target = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": MACHINES[architecture].wheel,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
    }
    for requirement, pinned, hashes in _entries(lock):
        if requirement.marker is None or requirement.marker.evaluate(target):
            yield LockedWheel(requirement.name, pinned, hashes)


def _entries(lock: str) -> Iterator[tuple[Requirement, str, frozenset[str]]]:
    """Yield each entry of a lock file: requirement, version, SHA-256 hashes of its files."""
    for block in re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", lock)):
        pinned = re.match(r"[\w.-]+==([\w.!+]+)[^\\\n]*", block)
        if pinned:
            hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", block)
            yield Requirement(pinned[0]), pinned[1], frozenset(hashes)


def _requirements(pinned: Sequence[LockedWheel]) -> str:
    """Return a requirements file without markers: pip evaluates them for this host's Python."""
    return "".join(
        " ".join(
            [f"{pin.name}=={pin.version}", *(f"--hash=sha256:{one}" for one in sorted(pin.hashes))]
        )
        + "\n"
        for pin in pinned
    )


def download(
    pinned: Sequence[LockedWheel], directory: Path, *, runtime: str, architecture: str
) -> None:
    """Download wheels for the target with pip, which checks their hashes; all or none.

    Not `uv pip install --target`: it leaves installed files, and the SBOM needs each wheel's own
    name and hash.

    Raises:
        UserError: with the cause, if a wheel is not available or has another hash.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    machine = MACHINES[architecture].wheel
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
        requirements = Path(scratch, LOCK)
        requirements.write_text(_requirements(pinned), encoding="utf-8")
        arguments = [
            *(
                "download",
                "--implementation",
                "cp",
                "--python-version",
                runtime.removeprefix("python"),
            ),
            *(f"--platform={platform}" for platform in [*platforms, f"manylinux2014_{machine}"]),
            *("--dest", f"{scratch}/wheels", "--requirement", str(requirements)),
        ]
        run_pip(
            arguments,
            failure=f"pip cannot download the function's wheels for {runtime} on {architecture}"
            f" as worker/{LOCK} locks them",
        )
        with suppress(OSError):  # another build finished first
            Path(scratch, "wheels").rename(directory)
