"""What a package is built from, and the runtimes and architectures it is built for."""

import platform
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "worker"

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html: these run on Amazon Linux 2023.
# python3.11 and older run on Amazon Linux 2, whose glibc 2.26 is older than Pillow's wheels need.
RUNTIMES = ("python3.12", "python3.13", "python3.14")
DEFAULT_RUNTIME = "python3.13"


@dataclass(frozen=True)
class Machine:
    """An architecture, as wheel tags and as ELF headers name it."""

    wheel: str
    elf: str


MACHINES = {
    "arm64": Machine(wheel="aarch64", elf="EM_AARCH64"),
    "x86_64": Machine(wheel="x86_64", elf="EM_X86_64"),
}
DEFAULT_ARCHITECTURE = "arm64"


def host_architecture() -> str | None:
    """Return this host's architecture by Lambda's name ("arm64"); None if Lambda has no such."""
    names = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}
    return names.get(platform.machine().lower())
