"""The package's bytecode: compiled by an interpreter of the runtime's version, if there is one."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from python_discovery import get_interpreter

from darkroom.errors import UsageError, UserError

FUNCTION_ROOT = "/var/task"  # where Lambda unpacks the zip: the file names in tracebacks

# Run by an interpreter of the target version. Unchecked: the zip's files have one fixed date, so
# there is nothing to check a .pyc against, and not checking is faster (pitfall 50).
COMPILE = """
import json, py_compile, sys
for source, target, shown in json.load(sys.stdin):
    py_compile.compile(source, target, dfile=shown, doraise=True, optimize=0,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


@dataclass(frozen=True)
class Compiler:
    """A CPython of the runtime's version: its executable and its full version ("3.13.0")."""

    executable: Path
    version: str


def find_compiler(runtime: str, python: Path | None = None) -> Compiler | None:
    """Return an interpreter that writes the runtime's bytecode; None if this host has none.

    Raises:
        UsageError: `python` is given and is not a CPython of the runtime's version.
    """
    version = runtime.removeprefix("python")
    if python and not python.exists():
        raise UsageError(f"--python {python}: there is no such file")
    # pyenv puts only selected versions on the search path, uv none.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    hidden = [str(path) for path in sorted(pyenv.glob(f"versions/{version}*/bin"))]
    path = os.pathsep.join([*hidden, os.environ.get("PATH", os.defpath)])
    try:
        found = get_interpreter(
            str(python.absolute()) if python else f"cpython{version}",
            env={**os.environ, "PATH": path},
            predicate=lambda info: (
                info.implementation == "CPython"
                and info.version_info.releaselevel == "final"
                and f"{info.version_info.major}.{info.version_info.minor}" == version
            ),
        )
    except RuntimeError:  # it cannot be run, or does not answer as an interpreter
        if not python:
            raise
        raise UsageError(f"--python {python}: is not a Python interpreter") from None
    if not found:
        if python:
            raise UsageError(f"--python {python}: is not a CPython {version}, as {runtime} needs")
        return None
    return Compiler(Path(found.executable), ".".join(map(str, found.version_info[:3])))


def compiled(files: Mapping[str, bytes], compiler: Compiler) -> dict[str, bytes]:
    """Return the .pyc files of all modules, by the names that the import system looks for.

    Raises:
        UserError: with the interpreter's output, if it cannot compile a module.
    """
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
