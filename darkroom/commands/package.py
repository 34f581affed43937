"""The function's zip: the worker and its locked wheels, the same bytes from any host."""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import botocore.session
import deflate
from botocore.exceptions import BotoCoreError, ClientError
from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from python_discovery import get_interpreter

from darkroom.bundle import sbom
from darkroom.errors import UsageError, UserError

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "worker"
LOCK = WORKER / "requirements.txt"
WHEELS = ROOT / "build" / "wheels"

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html: these run on Amazon Linux 2023.
# python3.11 and older run on Amazon Linux 2, whose glibc 2.26 is older than Pillow's wheels want.
RUNTIMES = ("python3.12", "python3.13", "python3.14")
DEFAULT_RUNTIME = "python3.13"


@dataclass(frozen=True)
class Machine:
    """An architecture by the names that wheel tags and ELF headers have for it."""

    wheel: str
    elf: str


MACHINES = {
    "arm64": Machine(wheel="aarch64", elf="EM_AARCH64"),
    "x86_64": Machine(wheel="x86_64", elf="EM_X86_64"),
}
DEFAULT_ARCHITECTURE = "arm64"

GLIBC_MINORS = range(34, 16, -1)  # Amazon Linux 2023 has glibc 2.34; manylinux begins at 2.17
UNPACKED_LIMIT = (
    262_144_000  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
)

FUNCTION_ROOT = "/var/task"  # where Lambda unpacks the zip: the file names in tracebacks
COMPRESSION = 12  # libdeflate's best: two seconds, once
ZIP_DATE = (1 << 5) | 1  # 1980-01-01 in MS-DOS bits, the earliest that a zip can say
ZIP_MODE = 0o100644  # a regular file that everybody may read: the function's user is not the owner

KEPT_EXTENSIONS = {"_avif", "_imaging", "_imagingcms", "_webp"}
"""Pillow's compiled modules that pictures need; left out are fonts, Tk, arithmetic, morphology."""

KEPT_PLUGINS = {"Avif", "Bmp", "Gif", "Jpeg", "Mpo", "Png", "Ppm", "Tiff", "WebP"}
"""Formats the worker accepts, and Ppm, which Pillow itself expects beside the common ones."""

KEPT_SERVICES = {"s3", "sqs"}
"""What the worker calls, of botocore's four hundred services."""

LEFT_OUT = (
    "*.pyi",
    "*/py.typed",
    "*.data/*",  # console scripts
    "botocore/data/*/examples-1.json",
    "dateutil/zoneinfo/*",  # a copy of the zone database, for hosts without one
    "dateutil/rrule.py",  # calendar recurrences
    "dateutil/easter.py",
    "dateutil/tz/win.py",
    "urllib3/contrib/emscripten/*",  # for browsers
    "PIL/ImageMath.py",  # their compiled halves are left out above
    "PIL/ImageMorph.py",
    "PIL/ImageTk.py",  # windows to show pictures in, and taking pictures of windows
    "PIL/ImageQt.py",
    "PIL/ImageWin.py",
    "PIL/ImageShow.py",
    "PIL/ImageGrab.py",
    "PIL/*FontFile.py",  # fonts, containers and formats that no plugin above uses
    "PIL/GdImageFile.py",
    "PIL/WalImageFile.py",
    "PIL/PdfParser.py",
    "PIL/PSDraw.py",
    "PIL/TarIO.py",
    "PIL/ContainerIO.py",
)

# Vulnerability scanners such as Amazon Inspector recognise a package by METADATA; its licence
# has to go with it, and what it says of the libraries inside it (PEP 770). The rest serves
# installers.
KEPT_METADATA = (
    *("METADATA", "LICEN[CS]E*", "NOTICE*", "COPYING*", "AUTHORS*", "licenses/*", "sboms/*"),
)

# Run by an interpreter of the target version. Unchecked: the zip's files have one fixed date, so
# there is nothing to check a .pyc by, and not looking is faster (trap 50).
COMPILE = """
import json, py_compile, sys
for source, target, shown in json.load(sys.stdin):
    py_compile.compile(source, target, dfile=shown, doraise=True, optimize=0,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


@dataclass(frozen=True)
class Package:
    """A built zip: `size` in bytes, `key` its name in a bucket, `bytecode` its compiler if any."""

    path: Path
    sha256: str
    size: int
    unpacked_size: int
    bytecode: str | None

    @property
    def key(self) -> str:
        """The object key: it holds the content's hash, so new code is a new key (trap 37)."""
        return self.path.name

    @property
    def bom(self) -> Path:
        """The bill of materials, in CycloneDX: scanners know it by its ending."""
        return self.path.with_suffix(".cdx.json")


def build(
    *,
    runtime: str = DEFAULT_RUNTIME,
    architecture: str = DEFAULT_ARCHITECTURE,
    output: Path = ROOT / "build",
    python: Path | None = None,
    bytecode: bool = True,
) -> Package:
    """Build the zip for `runtime` ("python3.13") on `architecture` ("arm64"), or find it built.

    Beside it goes its bill of materials.

    The same worker, lock, runtime, architecture and bytecode compiler give the same bytes on any
    host. The compiler is `python`, by default a CPython of the runtime's version that is found on
    this host; without one, or without `bytecode`, the zip has no .pyc files and another hash.
    """
    if not re.fullmatch(r"python3\.\d+", runtime):
        raise UsageError(f"the runtime is {runtime!r}, but has to look like {DEFAULT_RUNTIME!r}")
    if architecture not in MACHINES:
        raise UsageError(f"the architecture is {architecture!r}, not one of {', '.join(MACHINES)}")
    compiler = _find_compiler(runtime, python) if bytecode else None
    wheels = _wheels(runtime, architecture)
    sources = _worker_sources()
    inputs = _fingerprint(
        Path(__file__).read_bytes(),
        repr((runtime, architecture, compiler and compiler.version)).encode(),
        *(part for wheel in wheels for part in (wheel.name.encode(), wheel.read_bytes())),
        *(part for name, data in sources.items() for part in (name.encode(), data)),
    )
    stem = f"darkroom-worker-{runtime}-{architecture}"
    record = output / f"{stem}.json"
    built = _built_before(record, inputs)
    if built:
        _write(built.bom, sbom.render(built.path, wheels))
        return built

    files = {name: data for wheel in wheels for name, data in _unpacked(wheel)} | sources
    files = _without_unneeded_libraries(files)
    for name, data in files.items():
        _check_shared_object(name, data, runtime, architecture)
    if compiler:
        files |= _compile(files, compiler)
    unpacked_size = sum(map(len, files.values()))
    if unpacked_size > UNPACKED_LIMIT:
        raise UserError(
            f"unpacked, the package has {unpacked_size:,} bytes; Lambda takes {UNPACKED_LIMIT:,}:"
            " leave something out of worker/requirements.in"
        )
    content = _zip(files)
    sha256 = hashlib.sha256(content).hexdigest()
    package = Package(
        path=output / f"{stem}-{sha256[:12]}.zip",
        sha256=sha256,
        size=len(content),
        unpacked_size=unpacked_size,
        bytecode=compiler.version if compiler else None,
    )
    _write(package.path, content)
    _write(package.bom, sbom.render(package.path, wheels))
    facts = asdict(package) | {"path": package.path.name, "inputs": inputs}
    _write(record, json.dumps(facts, indent=2).encode() + b"\n")
    return package


def _fingerprint(*parts: bytes) -> str:
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(digests).hexdigest()


def _built_before(record: Path, inputs: str) -> Package | None:
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


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also for a build beside this one."""
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


# Wheels


def _wheels(runtime: str, architecture: str) -> list[Path]:
    """Return the locked wheels for the target, downloaded once, in the lock's order."""
    lock = LOCK.read_text("utf-8")
    directory = WHEELS / f"{runtime}-{architecture}-{_fingerprint(lock.encode())[:12]}"
    if not directory.is_dir():
        _download(directory, runtime, architecture)
    there = {parse_wheel_filename(path.name)[:2]: path for path in directory.glob("*.whl")}
    wheels = []
    for name, version, hashes in _locked(lock):
        wheel = there.get((canonicalize_name(name), Version(version)))
        if wheel is None or hashlib.sha256(wheel.read_bytes()).hexdigest() not in hashes:
            raise UserError(
                f"the wheel of {name} {version} in {directory} is "
                + ("missing" if wheel is None else f"not one whose hash {LOCK.name} has")
                + ": delete the directory, the next build downloads it again"
            )
        wheels.append(wheel)
    return wheels


def _locked(lock: str) -> Iterator[tuple[str, str, set[str]]]:
    """Yield each requirement of a lock file: name, version, the SHA-256 of its files."""
    for block in re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", lock)):
        match = re.match(r"([\w.-]+)==([\w.!+]+)", block)
        if match:
            yield match[1], match[2], set(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))


def _download(directory: Path, runtime: str, architecture: str) -> None:
    """Let pip fetch the wheels for the target and check their hashes; all of them or none."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    machine = MACHINES[architecture].wheel
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"),
            *("--disable-pip-version-check", "--require-hashes", "--only-binary=:all:"),
            *("--implementation", "cp", "--python-version", runtime.removeprefix("python")),
            *(f"--platform={platform}" for platform in [*platforms, f"manylinux2014_{machine}"]),
            *("--dest", f"{scratch}/wheels", "--requirement", str(LOCK)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            problem = done.stderr.strip() or f"pip ended with exit status {done.returncode}"
            raise UserError(
                f"the function's wheels for {runtime} on {architecture} are not to be had"
                f" as {LOCK.name} locks them:\n{problem}"
            )
        with suppress(OSError):  # another build was here first
            Path(scratch, "wheels").rename(directory)


def _unpacked(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what a wheel brings to the package: file name, content."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not name.endswith("/") and _is_kept(PurePosixPath(name)):
                yield _slimmed(name, archive.read(name))


def _is_kept(path: PurePosixPath) -> bool:
    match path.parts:
        case [top, *rest] if top.endswith(".dist-info"):
            return any(fnmatchcase("/".join(rest), pattern) for pattern in KEPT_METADATA)
        case ["PIL", name] if name.endswith(".so"):
            return name.partition(".")[0] in KEPT_EXTENSIONS
        case ["PIL", name] if name.endswith("ImagePlugin.py"):
            return name.removesuffix("ImagePlugin.py") in KEPT_PLUGINS
        case ["botocore", "data", service, _, *_] if service not in KEPT_SERVICES:
            return False
    return not any(fnmatchcase(str(path), pattern) for pattern in LEFT_OUT)


def _slimmed(name: str, data: bytes) -> tuple[str, bytes]:
    """Return compiled files without debug information, botocore's models plain and unexplained."""
    if _is_shared_object(name):
        return name, _without_debug_information(data)
    if not name.startswith("botocore/data/"):
        return name, data
    if name.endswith(".gz"):
        name, data = name.removesuffix(".gz"), gzip.decompress(data)
    model = json.loads(data, object_hook=_without_prose)
    if name == "botocore/data/endpoints.json":
        for partition in model["partitions"]:
            services = partition["services"]
            partition["services"] = {key: services[key] for key in services if key in KEPT_SERVICES}
    return name, json.dumps(model, separators=(",", ":")).encode()


def _without_prose(value: dict[str, Any]) -> dict[str, Any]:
    """Empty the documentation, some of which botocore reads; a member called so is an object."""
    return {
        key: "" if key in {"documentation", "documentationUrl"} and isinstance(item, str) else item
        for key, item in value.items()
    }


def _worker_sources() -> dict[str, bytes]:
    """Return the worker's modules, with the line ends they have in the repository."""
    return {
        path.relative_to(WORKER.parent).as_posix(): path.read_text("utf-8").encode()
        for path in sorted(WORKER.rglob("*.py"))
    }


# Shared objects


def _is_shared_object(name: str) -> bool:
    return re.search(r"\.(so(\.[\d.]+)?|dylib|pyd|dll)$", name) is not None


def _without_debug_information(data: bytes) -> bytes:
    """Zero what only a debugger reads, most of Pillow's compiled modules: zeros compress away."""
    with suppress(ELFError):  # what is no ELF file is refused later, by name
        slim, elf = bytearray(data), ELFFile(io.BytesIO(data))
        loaded = [(part["p_offset"], part["p_filesz"]) for part in elf.iter_segments()]
        for section in elf.iter_sections():
            start, size = section["sh_offset"], section["sh_size"]
            if section.name.startswith(".debug_") and not any(
                start < begin + length and begin < start + size for begin, length in loaded
            ):
                slim[start : start + size] = bytes(size)
        return bytes(slim)
    return data


def _needed_libraries(data: bytes) -> set[str]:
    dynamic = ELFFile(io.BytesIO(data)).get_section_by_name(".dynamic")
    if not isinstance(dynamic, DynamicSection):
        return set()
    tags = dynamic.iter_tags("DT_NEEDED")
    return {tag.needed for tag in tags}  # type: ignore[attr-defined]  # set for such tags only


def _without_unneeded_libraries(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Leave out bundled libraries (pillow.libs/…) that no kept module needs, directly or not."""
    bundled = {
        name.rpartition("/")[2]: name
        for name in files
        if ".libs/" in name and _is_shared_object(name)
    }
    needed: set[str] = set()
    waiting = [name for name in files if _is_shared_object(name) and name not in bundled.values()]
    while waiting:
        found = _needed_libraries(files[waiting.pop()])
        fresh = {bundled[library] for library in found & bundled.keys()} - needed
        needed |= fresh
        waiting += fresh
    unneeded = set(bundled.values()) - needed
    return {name: data for name, data in files.items() if name not in unneeded}


def _check_shared_object(name: str, data: bytes, runtime: str, architecture: str) -> None:
    """Refuse a compiled file that the function could not load (trap 38)."""
    if not _is_shared_object(name):
        return
    machine = MACHINES[architecture]
    try:
        found = ELFFile(io.BytesIO(data))["e_machine"]
    except ELFError:
        raise UserError(f"{name} is not a Linux library, so Lambda cannot load it") from None
    if found != machine.elf:
        raise UserError(
            f"{name} is compiled for {found}, but {architecture} is {machine.elf}:"
            f" a wheel for another architecture is in the package"
        )
    abi = "cpython-" + runtime.removeprefix("python").replace(".", "") + "-"
    tag = re.search(r"\.(cpython-\w+-)", name)
    if tag and tag[1] != abi:
        raise UserError(f"{name} is for another Python than {runtime}: its ABI tag is not {abi}…")


# Bytecode


@dataclass(frozen=True)
class Compiler:
    """A CPython of the runtime's version: its executable and its full version ("3.13.0")."""

    executable: Path
    version: str


def _find_compiler(runtime: str, python: Path | None) -> Compiler | None:
    """Find an interpreter that writes the runtime's bytecode; `python` is taken or refused."""
    version = runtime.removeprefix("python")
    # pyenv puts only the versions it was told to on the search path, uv none.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    hidden = [str(path) for path in sorted(pyenv.glob(f"versions/{version}*/bin"))]
    path = os.pathsep.join([*hidden, os.environ.get("PATH", os.defpath)])
    found = get_interpreter(
        str(python.absolute()) if python else f"cpython{version}",
        env={**os.environ, "PATH": path},
        predicate=lambda info: (
            info.implementation == "CPython"
            and info.version_info.releaselevel == "final"
            and f"{info.version_info.major}.{info.version_info.minor}" == version
        ),
    )
    if not found:
        if python:
            raise UserError(f"{python} is not a CPython {version}, which {runtime} needs")
        return None
    return Compiler(Path(found.executable), ".".join(map(str, found.version_info[:3])))


def _compile(files: Mapping[str, bytes], compiler: Compiler) -> dict[str, bytes]:
    """Return the .pyc files of all modules, by the names the import system looks for."""
    tag = "cpython-" + "".join(compiler.version.split(".")[:2])
    targets = {}
    with tempfile.TemporaryDirectory() as scratch:
        work = []
        for number, (name, data) in enumerate(sorted(files.items())):
            if not name.endswith(".py"):
                continue
            path = PurePosixPath(name)
            source, target = Path(scratch, f"{number}.py"), Path(scratch, f"{number}.pyc")
            source.write_bytes(data)
            targets[str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc")] = target
            work.append([str(source), str(target), f"{FUNCTION_ROOT}/{name}"])
        done = subprocess.run(
            [str(compiler.executable), "-I", "-S", "-W", "ignore", "-c", COMPILE],
            input=json.dumps(work),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UserError(f"{compiler.executable} cannot compile the worker:\n{done.stderr}")
        return {name: target.read_bytes() for name, target in targets.items()}


# The archive


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Return a zip with sorted entries, one date and one mode.

    The standard library's zipfile compresses with whichever zlib the host has: zlib, zlib-ng and
    Apple's give different bytes. Stored, the package would be three times as large. libdeflate,
    pinned, gives the same bytes everywhere (its author: github.com/ebiggers/libdeflate/issues/400)
    but zipfile takes no other compressor. Layout: section 4.3 of PKWARE's APPNOTE.
    """
    body, directory = io.BytesIO(), io.BytesIO()
    for name, data in sorted(files.items()):
        path = name.encode()
        packed = deflate.deflate_compress(data, COMPRESSION)
        # version needed 2.0, UTF-8 names, deflate
        common = struct.pack(
            "<5H3L2H",
            *(20, 0x800, 8, 0, ZIP_DATE),
            *(zlib.crc32(data), len(packed), len(data), len(path), 0),
        )
        # made by 2.0 on Unix; no comment, disk 0, no internal attributes; mode; offset
        directory.write(b"PK\1\2" + struct.pack("<H", 3 << 8 | 20) + common)
        directory.write(struct.pack("<3H2L", 0, 0, 0, ZIP_MODE << 16, body.tell()) + path)
        body.write(b"PK\3\4" + common + path + packed)
    start, size = body.tell(), directory.tell()
    end = struct.pack("<4H2LH", 0, 0, len(files), len(files), size, start, 0)
    return body.getvalue() + directory.getvalue() + b"PK\5\6" + end


# The command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default=DEFAULT_RUNTIME,
        help="the function's runtime, as the stack's parameter Runtime (default: %(default)s)",
    )
    parser.add_argument(
        "--architecture",
        choices=list(MACHINES),
        default=DEFAULT_ARCHITECTURE,
        help="as the stack's parameter Architecture (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("build"),
        help="where the zip and its bill of materials go (default: %(default)s)",
    )
    parser.add_argument(
        "--upload",
        metavar="BUCKET",
        help="put the zip into this bucket and print the two parameters to deploy with",
    )
    compiling = parser.add_mutually_exclusive_group()
    compiling.add_argument(
        "--python",
        metavar="FILE",
        type=Path,
        help="the interpreter that compiles the bytecode (default: one of the runtime's version"
        " that is found; another patch release may compile to other bytes)",
    )
    compiling.add_argument(
        "--no-bytecode",
        dest="bytecode",
        action="store_false",
        help="leave the bytecode out: the same zip whatever Python there is, a slower cold start",
    )


def run(arguments: argparse.Namespace) -> int:
    """Build, and upload if asked; standard output gets only the path or the parameters."""
    package = build(
        runtime=arguments.runtime,
        architecture=arguments.architecture,
        output=arguments.output,
        python=arguments.python,
        bytecode=arguments.bytecode,
    )
    if arguments.bytecode and not package.bytecode:
        version = arguments.runtime.removeprefix("python")
        print(
            f"warning: no Python {version} found here, so the package has no bytecode, and each"
            " cold start compiles it all again; install one (pyenv, uv) or name it with --python",
            file=sys.stderr,
        )
    bytecode = f"bytecode by Python {package.bytecode}" if package.bytecode else "no bytecode"
    print(
        f"{package.path}: {package.size:,} bytes, unpacked {package.unpacked_size:,}, {bytecode}",
        file=sys.stderr,
    )
    print(f"{package.bom}: what is in it, as CycloneDX", file=sys.stderr)
    if arguments.upload:
        try:
            s3 = botocore.session.get_session().create_client("s3")
        except BotoCoreError as error:
            raise UserError(f"cannot reach S3: {error}") from error
        if not upload(package, arguments.upload, s3=s3):
            print(f"{package.key} is in {arguments.upload} already", file=sys.stderr)
        print(f"CodeBucket={arguments.upload} CodeKey={package.key}")
    else:
        print(package.path)
    return 0


def upload(package: Package, bucket: str, *, s3: Any) -> bool:
    """Put the package into a bucket with a botocore client; False if it is there already.

    The key stands for the content, so what is there is never written again.
    """
    try:
        s3.put_object(
            Bucket=bucket,
            Key=package.key,
            Body=package.path.read_bytes(),
            ChecksumAlgorithm="SHA256",
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "PreconditionFailed":
            return False
        raise UserError(f"cannot put {package.key} into the bucket {bucket}: {error}") from error
    except BotoCoreError as error:
        raise UserError(f"cannot put {package.key} into the bucket {bucket}: {error}") from error
    return True
