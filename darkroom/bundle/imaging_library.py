"""The worker's C files, compiled: the same bytes from any host, as the compiler is pinned."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from darkroom.bundle.target import MACHINES, ROOT, WORKER, host_architecture
from darkroom.errors import UserError
from worker.imaging import resize

NAME: Final = "worker/imaging/libimaging.so"
"""In the package; where worker.imaging.resize looks for it."""

_CACHE: Final = ROOT / "build" / "resize"

_OPTIONS: Final = (
    *("-dynamic", "-O", "ReleaseFast", "-fstrip", "-fPIC", "-fsoname=libimaging.so"),
    "-fno-compiler-rt",  # nothing of it is called, and building it takes longer than all else
    # No libc; and products are not added without rounding, so that both architectures' weights
    # are Pillow's.
    *("-cflags", "-ffreestanding", "-fno-stack-protector", "-ffp-contract=off", "--"),
)


def is_available() -> bool:
    """Return whether the compiler is installed here."""
    return importlib.util.find_spec("ziglang") is not None


def compiled(architecture: str, worker: Path = WORKER) -> Path:
    """Return the library for an architecture ("arm64"), compiled once for each source.

    Raises:
        UserError: the compiler fails, with what it says.
    """
    sources = {
        path.name: path.read_text("utf-8").encode()
        for path in sorted((worker / "imaging").glob("*.c"))
    }
    target = f"{MACHINES[architecture].wheel}-linux-none"
    arguments = ["build-lib", "-target", target, *_OPTIONS]
    identity = repr((metadata.version("ziglang"), arguments, sources)).encode()
    library = _CACHE / f"{architecture}-{hashlib.sha256(identity).hexdigest()[:16]}.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        for name, source in sources.items():
            Path(scratch, name).write_bytes(source)
        _compile([*arguments[:3], "-femit-bin=libimaging.so", *arguments[3:], *sources], scratch)
        Path(scratch, "libimaging.so").replace(library)  # whole, also for a concurrent build
    return library


def use_here() -> None:
    """Let the worker in this process use the library, if this host can have it."""
    architecture = host_architecture()
    if sys.platform == "linux" and architecture and is_available():
        resize.use(compiled(architecture))


def _compile(arguments: Sequence[str], directory: str) -> None:
    folders = {f"ZIG_{kind}_CACHE_DIR": f"{directory}/{kind}" for kind in ("LOCAL", "GLOBAL")}
    done = subprocess.run(
        [sys.executable, "-m", "ziglang", *arguments],
        cwd=directory,
        env={**os.environ, **folders},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"ziglang cannot compile the worker's C files:\n{done.stderr}")
