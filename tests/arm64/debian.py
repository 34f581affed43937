"""CPython and an emulator of processors from Debian's packages, in a folder and without root."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE = "trixie"
"""It has the CPython of the default runtime."""

# What the package leaves to the runtime's host: see needed_libraries() of darkroom.bundle.
LIBRARIES = ("libstdc++6", "zlib1g")

DEBIAN_NAMES = {"arm64": "arm64", "x86_64": "amd64"}
QEMU_NAMES = {"arm64": "aarch64", "x86_64": "x86_64"}
TRIPLETS = {"arm64": "aarch64-linux-gnu", "x86_64": "x86_64-linux-gnu"}

# Graviton2's core, and one with AVX2 as Lambda has. `max` signs pointers, 13 times slower.
PROCESSORS = {"arm64": "neoverse-n1", "x86_64": "Haswell"}


class UnavailableError(Exception):
    """Debian's packages are not to be had here; the message says why."""


def host_architecture() -> str:
    """Return the architecture of this host, as Lambda names it.

    Raises:
        UnavailableError: it is neither of the two.
    """
    names = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}
    try:
        return names[platform.machine().lower()]
    except KeyError:
        raise UnavailableError(f"this host is {platform.machine()}") from None


def interpreter(runtime: str, architecture: str, folder: Path) -> Sequence[str]:
    """Return the command that runs `runtime` ("python3.13") of an architecture on this host.

    It is emulated where the host's architecture is another one.

    Raises:
        UnavailableError: this host is no Linux with apt, or cannot fetch the packages.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg") and KEYRING.exists()):
        raise UnavailableError("it needs apt, dpkg and the package debian-archive-keyring")
    root = _unpacked([runtime, *LIBRARIES], architecture, folder)
    triplet = TRIPLETS[architecture]
    loader = next((root / "usr" / "lib" / triplet).glob("ld-linux-*.so.*"))
    libraries = root / "usr" / "lib" / triplet
    program = [str(loader), "--library-path", str(libraries), str(root / "usr" / "bin" / runtime)]
    if architecture == host_architecture():
        return program
    emulator = _unpacked(["qemu-user"], host_architecture(), folder)
    name = f"qemu-{QEMU_NAMES[architecture]}"
    return [str(emulator / "usr" / "bin" / name), "-cpu", PROCESSORS[architecture], *program]


def _unpacked(packages: Sequence[str], architecture: str, folder: Path) -> Path:
    """Return a folder with these packages and what they depend on, unpacked; it is kept."""
    root = folder / f"{packages[0]}-{architecture}"
    if root.exists():
        return root
    unpack = [shutil.which("dpkg") or "dpkg", "-x"]
    for archive in _downloaded(packages, architecture, folder / f"apt-{root.name}"):
        subprocess.run([*unpack, str(archive), f"{root}.part"], check=True)
    Path(f"{root}.part").rename(root)
    return root


def _downloaded(packages: Sequence[str], architecture: str, folder: Path) -> list[Path]:
    """Return the packages' files, fetched by apt with a state of its own."""
    name = DEBIAN_NAMES[architecture]
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    status, sources = folder / "status", folder / "sources.list"
    status.touch()
    sources.write_text(f"deb [arch={name} signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
    settings = {
        "APT::Architecture": name,
        "APT::Architectures": name,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",  # the folder is nobody else's
        "Acquire::Retries": "2",
        "Debug::NoLocking": "true",
        "Dir::State": folder / "state",
        "Dir::State::status": status,
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
    }
    apt = ["apt-get", "--quiet=2"]
    for key, value in settings.items():
        apt += ["-o", f"{key}={value}"]
    for arguments in (["update"], ["install", "--yes", "--download-only", *packages]):
        done = subprocess.run(
            [*apt, *arguments], check=False, capture_output=True, encoding="utf-8"
        )
        archives = sorted((folder / "cache" / "archives").glob("*.deb"))
        if done.returncode or (arguments[0] == "install" and not archives):
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise UnavailableError(f"apt-get {arguments[0]}: {lines[-1] if lines else 'nothing'}")
    return archives
