"""The function's zip: the worker and its locked wheels, the same bytes from any host."""

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from darkroom.bundle import (
    archive,
    bytecode,
    imaging_library,
    sbom,
    shared_objects,
    slimming,
    wheels,
)
from darkroom.bundle.target import DEFAULT_ARCHITECTURE, DEFAULT_RUNTIME, MACHINES, ROOT, WORKER
from darkroom.errors import UsageError, UserError

UNPACKED_LIMIT = (
    262_144_000  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
)


@dataclass(frozen=True)
class Package:
    """A built zip.

    Sizes are in bytes; `bytecode` is the version of its compiler if it has any, and
    `resizes_with_vectors` whether it has the compiled worker/imaging/resize.c.
    """

    path: Path
    sha256: str
    size: int
    unpacked_size: int
    bytecode: str | None
    resizes_with_vectors: bool

    @property
    def key(self) -> str:
        """The object key: it holds the content's hash, so new code is a new key (pitfall 37)."""
        return self.path.name

    @property
    def sbom(self) -> Path:
        """The software bill of materials in CycloneDX: scanners know it by its suffix."""
        return self.path.with_suffix(".cdx.json")


def build(
    *,
    runtime: str = DEFAULT_RUNTIME,
    architecture: str = DEFAULT_ARCHITECTURE,
    output: Path = ROOT / "build",
    python: Path | None = None,
    with_bytecode: bool = True,
    worker: Path = WORKER,
) -> Package:
    """Build the zip for `runtime` ("python3.13") on `architecture` ("arm64"), and its SBOM.

    The same worker, lock, runtime, architecture and bytecode compiler give the same bytes on any
    host; a zip that `output` already holds for them is not built again. The compiler is `python`,
    by default a CPython of the runtime's version that is found on this host; without one, or
    without bytecode, the zip has no .pyc files and another hash. So it has without ziglang, the
    compiler of the worker's C: then Pillow resizes, to the same pixels in more time.

    Raises:
        UsageError: the runtime or the architecture is not one that Lambda has.
        UserError: the lock lacks a requirement, a wheel or the compiler does not fit the target,
            resize.c does not compile, or the package is larger than Lambda allows.
    """
    if not re.fullmatch(r"python3\.\d+", runtime):
        raise UsageError(f"the runtime is {runtime!r}; it must look like {DEFAULT_RUNTIME!r}")
    if architecture not in MACHINES:
        raise UsageError(f"the architecture is {architecture!r}, not one of {', '.join(MACHINES)}")
    compiler = bytecode.find_compiler(runtime, python) if with_bytecode else None
    used = wheels.wheels(worker, runtime=runtime, architecture=architecture)
    sources = _worker_sources(worker)
    if imaging_library.is_available():
        sources[imaging_library.NAME] = imaging_library.compiled(architecture, worker).read_bytes()
    inputs = _fingerprint(
        *(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))),
        repr((runtime, architecture, compiler and compiler.version)).encode(),
        *(part for wheel in used for part in (wheel.name.encode(), wheel.read_bytes())),
        *(part for name, data in sources.items() for part in (name.encode(), data)),
    )
    stem = f"darkroom-worker-{runtime}-{architecture}"
    record = output / f"{stem}.json"
    package = _previous_build(record, inputs)
    if package is None:
        files = {name: data for wheel in used for name, data in slimming.slimmed(wheel)} | sources
        files = shared_objects.without_unneeded_libraries(files)
        for name, data in files.items():
            shared_objects.check(name, data, runtime=runtime, architecture=architecture)
        if compiler:
            files |= bytecode.compiled(files, compiler)
        version = compiler.version if compiler else None
        package = _write_zip(files, output / stem, version, imaging_library.NAME in files)
        facts = asdict(package) | {"path": package.path.name, "inputs": inputs}
        _write(record, json.dumps(facts, indent=2).encode() + b"\n")
    requirements = wheels.required((worker / wheels.REQUIREMENTS).read_text("utf-8"))
    _write(package.sbom, sbom.render(package.path, used, [one.name for one in requirements]))
    return package


def _worker_sources(worker: Path) -> dict[str, bytes]:
    """Return the worker's modules, with the line ends they have in the repository."""
    return {
        path.relative_to(worker.parent).as_posix(): path.read_text("utf-8").encode()
        for path in sorted(worker.rglob("*.py"))
    }


def _fingerprint(*parts: bytes) -> str:
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(digests).hexdigest()


def _previous_build(record: Path, inputs: str) -> Package | None:
    """Return what an earlier build with the same inputs made, if it is still there and whole."""
    try:
        facts = json.loads(record.read_bytes())
        path = record.parent / facts["path"]
        whole = hashlib.sha256(path.read_bytes()).hexdigest() == facts["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole or facts.pop("inputs", None) != inputs:
        return None
    return Package(**facts | {"path": path})


def _write_zip(
    files: Mapping[str, bytes], stem: Path, compiler: str | None, resizes_with_vectors: bool
) -> Package:
    unpacked_size = sum(map(len, files.values()))
    if unpacked_size > UNPACKED_LIMIT:
        raise UserError(
            f"unpacked, the package has {unpacked_size:,} bytes; Lambda allows {UNPACKED_LIMIT:,}:"
            " remove something from worker/requirements.in"
        )
    content = archive.zipped(files)
    sha256 = hashlib.sha256(content).hexdigest()
    path = stem.with_name(f"{stem.name}-{sha256[:12]}.zip")
    _write(path, content)
    return Package(path, sha256, len(content), unpacked_size, compiler, resizes_with_vectors)


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also for a concurrent build."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.close()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise
