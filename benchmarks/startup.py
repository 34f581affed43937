"""Cold start and size of the built package, compared with a stock installation."""

import os
import platform
import shutil
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import botocore

from benchmarks.measuring import one_core
from benchmarks.results import Startup
from darkroom.bundle.build import build
from darkroom.bundle.bytecode import Compiler, find_compiler
from darkroom.bundle.target import DEFAULT_RUNTIME, MACHINES, ROOT, WORKER
from darkroom.errors import UserError

_ENVIRONMENT = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "none"),
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "ENCRYPTION_KEY_ARN": "none",
    "LOG_LEVEL": "INFO",
    "MAX_OBJECT_BYTES": "1",
    "MAX_PIXELS": "1",
    "THUMBNAIL_BUCKET": "thumbnails",
    "SOURCES": '{"uploads":{"name":"default"}}',
    "VARIANTS": '{"default":{"widths":[1200],"formats":{"jpeg":85},"cache_control":"none"}}',
    "VISIBILITY_TIMEOUT": "1",
    "WORK_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/000000000000/queue",
    "NODE_NO_WARNINGS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",  # a function's files are read-only
}

# An empty batch: everything that a first event waits for, without any work.
_OURS = """
from worker.handler import handle
class Context:
    aws_request_id = "none"
    def get_remaining_time_in_millis(self): return 1000
handle({"Records": []}, Context())
"""
_STOCK = """
import boto3
from PIL import Image
boto3.client("s3"), boto3.client("sqs")
"""
_NOTHING = ""
_END = "import os; os._exit(0)"  # an execution environment is not left as a process is
_NODE = """
const { S3Client } = require("@aws-sdk/client-s3");
const { SQSClient } = require("@aws-sdk/client-sqs");
require("sharp");
new S3Client(); new SQSClient();
process.exit(0);
"""


def measure(directory: Path, *, rounds: int, node_directory: Path | None) -> Startup:
    """Build, install and measure with the default runtime's Python, or else the running one.

    `node_directory` is where sharp and the AWS SDK for JavaScript are installed.

    Raises:
        UserError: This is not Linux, or an installation or a start failed.
    """
    compiler = _interpreter()
    python, version = compiler.executable, compiler.version
    architecture = next(
        (name for name, machine in MACHINES.items() if machine.wheel == platform.machine()), None
    )
    if architecture is None or sys.platform != "linux":
        raise UserError("the package holds Linux libraries, which this machine cannot load")
    runtime = "python" + ".".join(version.split(".")[:2])
    wanted: dict[str, Any] = {"runtime": runtime, "architecture": architecture, "output": directory}
    bare = build(**wanted, with_bytecode=False)
    built = build(**wanted, python=python)
    ours, stock, compiled = (directory / name for name in ("package", "stock", "stock-compiled"))
    untrimmed = directory / "untrimmed"
    for path in (ours, stock, compiled, untrimmed):
        shutil.rmtree(path, ignore_errors=True)
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(ours)
    lock = WORKER / "requirements.txt"
    pillow = next(name for name in lock.read_text("utf-8").split() if name.startswith("pillow=="))
    version_of_both = botocore.__version__  # they are released together, under one number
    sdk = [f"{name}=={version_of_both}" for name in ("boto3", "botocore")]
    _install(stock, runtime, *sdk, pillow)
    shutil.copytree(stock, compiled)
    _compile(compiled, python)
    _install(untrimmed, runtime, "--no-deps", "--requirement", str(lock))
    shutil.copytree(WORKER, untrimmed / "worker", ignore=shutil.ignore_patterns("__pycache__"))
    sizes = {
        "the built package": built.size,
        "the built package, no bytecode": bare.size,
        "untrimmed, no bytecode": _zipped_size(untrimmed),
    }
    _compile(untrimmed, python)
    sizes["untrimmed, with bytecode"] = _zipped_size(untrimmed)
    start = (str(python), "-S", "-c")
    starts: dict[str, tuple[Path, Sequence[str]]] = {
        "the built package": (ours, (*start, _OURS + _END)),
        "stock, no bytecode": (stock, (*start, _STOCK + _END)),
        "stock, with bytecode": (compiled, (*start, _STOCK + _END)),
        "Python alone": (ours, (*start, _NOTHING + _END)),
    }
    if node_directory is not None:
        starts["Node.js, SDK and sharp"] = node_directory, ("node", "-e", _NODE)
        starts["Node.js alone"] = node_directory, ("node", "-e", "process.exit(0)")
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    with one_core():
        for number in range(rounds + 1):
            for name, (path, command) in starts.items():
                taken = _cpu_seconds(command, path)
                if number:  # the first one had to fetch the files from the disk
                    seconds[name].append(taken)
    return Startup(
        python=version,
        seconds={name: statistics.median(taken) for name, taken in seconds.items()},
        sizes=sizes,
    )


def _interpreter() -> Compiler:
    """Return a Python of the default runtime's version, or the running one where there is none."""
    found = find_compiler(DEFAULT_RUNTIME)
    return found or Compiler(Path(sys.executable), platform.python_version())


def _compile(directory: Path, python: Path) -> None:
    """Write unchecked bytecode beside the modules, as in the built package."""
    mode = ("--invalidation-mode", "unchecked-hash")
    subprocess.run([python, "-m", "compileall", "-q", *mode, directory], check=True)


def _install(target: Path, runtime: str, *requirements: str) -> None:
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-input"),
        *("--disable-pip-version-check", "--only-binary=:all:", "--target", str(target)),
        *("--python-version", runtime.removeprefix("python"), *requirements),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"pip could not install {' '.join(requirements)}:\n{done.stderr.strip()}")


def _cpu_seconds(command: Sequence[str], path: Path) -> float:
    """Return user and system time of one process, from its start to its end."""
    environment = {**_ENVIRONMENT, "PYTHONPATH": str(path), "PATH": os.environ["PATH"]}
    # Python first looks in the working directory, which must not hold our sources.
    process = subprocess.Popen(command, cwd=path, env=environment, stdout=subprocess.DEVNULL)
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"starting from {path.relative_to(ROOT)} failed")
    return usage.ru_utime + usage.ru_stime


def _zipped_size(directory: Path) -> int:
    """Return the bytes of a plain zip of a directory, as `zip -r` makes it."""
    archive_path = directory.with_suffix(".zip")
    with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*")):
            archive.write(path, path.relative_to(directory))
    return archive_path.stat().st_size
