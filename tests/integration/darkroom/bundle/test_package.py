"""The function's zip: reproducible, whole, for the right machine."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import botocore.session
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from darkroom import cli
from darkroom.bundle import archive, bytecode, imaging_library, wheels
from darkroom.bundle import build as building
from darkroom.bundle.build import Package, build
from darkroom.bundle.shared_objects import check, needed_libraries
from darkroom.bundle.target import MACHINES, ROOT, RUNTIMES, WORKER
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UsageError, UserError
from tests.unit.worker.imaging import heic_files

HERE = f"python{sys.version_info.major}.{sys.version_info.minor}"
HOST = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[
    os.uname().machine.lower()
]
PROBE = Path(__file__).parent / "package_probe.py"


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return build(output=tmp_path_factory.mktemp("default"))


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """A copy of the worker that a test may change."""
    copy = tmp_path / "checkout" / "worker"
    return shutil.copytree(WORKER, copy, ignore=shutil.ignore_patterns("__pycache__"))


def contents(built: Package) -> dict[str, bytes]:
    with zipfile.ZipFile(built.path) as archive:
        assert archive.testzip() is None
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


@pytest.mark.parametrize("hash_seed", ["0", "3"])  # sets of service names iterate differently
def test_another_host_builds_the_same_bytes(
    hash_seed: str, default: Package, worker: Path, tmp_path: Path
) -> None:
    """D1: other directory, file dates, hash seed, umask, time zone, locale: the same bytes."""
    for number, path in enumerate(sorted(worker.rglob("*"), reverse=True)):
        os.utime(path, (number * 1e6, number * 1e6))
        if path.suffix == ".py":
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (worker / "__pycache__").mkdir()
    (worker / "__pycache__" / "events.cpython-313.pyc").write_bytes(b"stale")
    script = (
        "import os, sys; from pathlib import Path; from darkroom.bundle.build import build;"
        "os.umask(0o077); print(build(output=Path('out'), worker=Path(sys.argv[1])).sha256)"
    )
    environment = {
        **os.environ,
        **{"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Kathmandu"},
        **{"LC_ALL": "C", "SOURCE_DATE_EPOCH": "1", "PYTHONOPTIMIZE": "2"},
    }
    done = subprocess.run(
        [sys.executable, "-c", script, str(worker)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == default.sha256
    assert [path.name for path in (tmp_path / "out").glob("*.zip")] == [default.key]
    assert (tmp_path / "out" / default.sbom.name).read_bytes() == default.sbom.read_bytes()


def test_the_name_says_the_content(default: Package, worker: Path) -> None:
    """Pitfall 37: other code has another key; CloudFormation sees that there is something new."""
    assert hashlib.sha256(default.path.read_bytes()).hexdigest() == default.sha256
    assert default.key == f"darkroom-worker-python3.13-arm64-{default.sha256[:12]}.zip"
    with (worker / "keys.py").open("a") as file:
        file.write("# another comment\n")
    changed = build(output=default.path.parent, worker=worker)
    assert changed.key != default.key


def test_building_again_is_free(default: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    output = default.path.parent
    build(output=output)
    with monkeypatch.context() as patch:
        patch.setattr(archive, "zipped", lambda _: pytest.fail("built once more"))
        assert build(output=output) == default
    default.sbom.unlink()
    build(output=output)
    assert default.sbom.exists()
    default.path.write_bytes(b"cut off")
    assert build(output=output) == default
    assert hashlib.sha256(default.path.read_bytes()).hexdigest() == default.sha256


def test_entries_are_the_same_on_every_host(default: Package) -> None:
    """D1: sorted, one date, readable by everybody; nothing of the build left behind."""
    with zipfile.ZipFile(default.path) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.create_system for entry in entries} == {3}
    assert not [name for name in names if name.startswith("worker/requirements")]
    assert not [path for path in default.path.parent.iterdir() if path.name.startswith("tmp")]


@pytest.mark.parametrize("architecture", MACHINES)
def test_compiled_files_are_for_the_machine(architecture: str, tmp_path: Path) -> None:
    """Pitfall 38: each shared object is for the function's machine and Python, from any host."""
    built = build(architecture=architecture, output=tmp_path)
    machine = {"arm64": "EM_AARCH64", "x86_64": "EM_X86_64"}[architecture]
    files = contents(built)
    objects = {name: data for name, data in files.items() if data.startswith(b"\x7fELF")}
    assert {ELFFile(io.BytesIO(data))["e_machine"] for data in objects.values()} == {machine}
    resizing = ELFFile(io.BytesIO(objects[imaging_library.NAME]))
    symbols = resizing.get_section_by_name(".dynsym")
    assert isinstance(symbols, SymbolTableSection)
    named = {one.name for one in symbols.iter_symbols() if one.name}
    assert named == {"darkroom_resize", "darkroom_unfilter"}  # they call no libc
    modules = [name for name in objects if ".cpython-" in name]
    assert len(modules) > 4
    assert {name.split(".")[1].split("-")[1] for name in modules} == {"313"}
    assert built.size < 8_500_000
    assert built.unpacked_size == sum(map(len, files.values()))


def test_the_imaging_library_is_compiled_to_the_same_bytes(
    default: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D1: in another folder, and with nothing left of the last time; another source is another."""
    name = imaging_library.NAME
    monkeypatch.setattr(imaging_library, "_CACHE", tmp_path / "cache")
    first = imaging_library.compiled("arm64")
    assert first.read_bytes() == contents(default)[name]
    assert imaging_library.compiled("arm64") == first
    assert list(first.parent.iterdir()) == [first]
    (tmp_path / "imaging").mkdir()
    (tmp_path / "imaging" / "resize.c").write_text("int darkroom_resize(void) { return unknown; }")
    with pytest.raises(
        UserError, match=r"(?s)cannot compile the worker's C files:.*undeclared.*unknown"
    ):
        imaging_library.compiled("arm64", tmp_path)


def test_without_the_compiler_pillow_resizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """D1: the package is built all the same, and the command says what is lost."""
    monkeypatch.setattr(imaging_library, "is_available", lambda: False)
    assert cli.main(["package", "--no-bytecode", "--output", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "warning: ziglang is not installed" in err
    with zipfile.ZipFile(out.strip()) as archive:
        assert imaging_library.NAME not in archive.namelist()


def test_libraries_are_all_there_and_no_more(default: Package) -> None:
    """What a compiled module needs is in the package or on Amazon Linux, indirectly, too."""
    files = contents(default)
    objects = {name.rpartition("/")[2]: name for name in files if ".so" in name}
    needed = {library for name in objects.values() for library in needed_libraries(files[name])}
    system = re.compile(r"(lib(c|m|dl|rt|pthread|gcc_s|z|stdc\+\+)|ld-linux-aarch64)\.so\.\d+")
    assert [name for name in needed - objects.keys() if not system.fullmatch(name)] == []
    bundled = {name for name, path in objects.items() if ".libs/" in path}
    assert bundled <= needed


def test_licences_and_versions_go_along(default: Package) -> None:
    files = contents(default)
    lock = (WORKER / "requirements.txt").read_text()
    for pin in wheels.locked(lock, runtime="python3.13", architecture="arm64"):
        about = f"{pin.name.replace('-', '_')}-{pin.version}.dist-info/"
        assert about + "METADATA" in files
        assert [path for path in files if path.startswith(about) and "LICENSE" in path]


@pytest.mark.parametrize("runtime", [HERE, "python3.13"])
def test_the_package_runs(runtime: str, tmp_path: Path) -> None:
    """D1, pitfall 50: nothing that the worker needs was trimmed, and all of it is compiled."""
    built = build(runtime=runtime, architecture=HOST, output=tmp_path)
    compiler = bytecode.find_compiler(runtime)
    if compiler is None:
        pytest.skip(f"no {runtime} here to run the package with")
    assert built.bytecode == compiler.version
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(tmp_path / "task")
    task, heic = tmp_path / "task", heic_files.FOLDER / "quarters.heic"
    command = [str(compiler.executable), "-I", "-S", str(PROBE), str(task), str(heic)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    probe = json.loads(done.stdout)
    assert probe["heic"] == ["HEIC", 200, 100]
    assert probe["encoded"] == {name: [name, 40, 30] for name in probe["encoded"]}
    assert probe["handler"]
    assert probe["resizes_with_vectors"]
    assert len(probe["sent"]) == 7 * 5
    assert probe["elsewhere"] == []
    assert probe["uncompiled"] == []
    session = botocore.session.get_session()
    for place, endpoint in probe["endpoints"].items():
        service, region = place.split()
        whole = session.create_client(
            service, region, aws_access_key_id="none", aws_secret_access_key="none"
        )
        assert endpoint == whole.meta.endpoint_url  # trimming endpoints.json changed nothing


def test_bytecode_is_not_checked_against_its_source(default: Package) -> None:
    """Pitfall 50: unchecked-hash .pyc of the runtime's version, beside each module."""
    if default.bytecode is None:
        pytest.skip("no Python 3.13 here")
    files = contents(default)
    compiled = {name: data for name, data in files.items() if name.endswith(".pyc")}
    assert {int.from_bytes(data[4:8], "little") for data in compiled.values()} == {0b01}
    assert len(compiled) == len([name for name in files if name.endswith(".py")])
    assert all(name.endswith(".cpython-313.pyc") for name in compiled)


def test_bytecode_is_a_choice(default: Package, tmp_path: Path) -> None:
    """D1: without bytecode no Python of the runtime's version is needed for the same bytes."""
    bare = build(output=tmp_path, with_bytecode=False)
    assert bare.bytecode is None
    # Where there is no Python of that version, the default has none either.
    assert (bare.sha256 == default.sha256) is (default.bytecode is None)
    assert not [name for name in contents(bare) if name.endswith(".pyc")]


def test_without_an_interpreter_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pitfall 50: a package without bytecode is never a surprise."""
    monkeypatch.setattr(bytecode, "get_interpreter", lambda *_, **__: None)
    assert cli.main(["package", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "no Python 3.13 found on this host" in printed.err
    assert "no bytecode" in printed.err
    assert printed.out.startswith(str(tmp_path))


def test_an_interpreter_of_another_version_is_refused(tmp_path: Path) -> None:
    wrong = "python3.12" if HERE != "python3.12" else "python3.14"
    with pytest.raises(UsageError, match=rf"{re.escape(sys.executable)}: is not a CPython 3\.1"):
        build(runtime=wrong, output=tmp_path, python=Path(sys.executable))


@pytest.mark.parametrize(
    ("python", "problem"),
    [
        ("/bin/ls", "is not a Python interpreter"),
        ("/dev/null", "is not a Python interpreter"),
        (str(PROBE.parent), "is not a Python interpreter"),
        ("/nonexistent", "there is no such file"),
    ],
)
def test_what_is_not_an_interpreter_is_usage(
    python: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """D9: status 2 and a sentence, whatever the path names."""
    assert cli.main(["package", "--python", python]) == 2
    assert capsys.readouterr().err == f"error: --python {python}: {problem}\n"


def test_without_a_network_the_cause_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """D1: not a page of pip's tries, which ends with a distribution that it did not find."""
    monkeypatch.setattr(wheels, "DOWNLOADS", tmp_path / "wheels")
    monkeypatch.setenv("PIP_RETRIES", "2")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    assert cli.main(["package", "--no-bytecode", "--output", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "locks them: there is no connection to the package index. Check the network" in line
    assert "Connection refused" in line


@pytest.mark.parametrize("architecture", MACHINES)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_lock_is_enough_for_every_target(runtime: str, architecture: str) -> None:
    """D1: pip takes nothing without a hash, so that the lock has one for each target's wheels."""
    found = wheels.wheels(WORKER, runtime=runtime, architecture=architecture)
    lock = (WORKER / "requirements.txt").read_text()
    pinned = wheels.locked(lock, runtime=runtime, architecture=architecture)
    assert len(found) == len(list(pinned)) > 5


def test_a_requirement_that_is_not_locked_is_refused(worker: Path, tmp_path: Path) -> None:
    """D1: nothing is built without what the worker imports; the error says how to lock."""
    with (worker / "requirements.in").open("a") as file:
        file.write("pypdf==5.1.0\n")
    with pytest.raises(UserError, match=r"does not lock pypdf==5\.1\.0, .*`tox run -e lock`"):
        build(output=tmp_path / "out", worker=worker)
    assert not (tmp_path / "out").exists()


def test_a_tampered_lock_is_refused(
    worker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D1: pip takes only files whose hash the lock has."""
    monkeypatch.setattr(wheels, "DOWNLOADS", tmp_path / "wheels")
    lock = worker / "requirements.txt"
    lock.write_text(
        re.sub(r"(six==.*?sha256:).{64}(.*?sha256:).{64}", rf"\g<1>{'0' * 64}\g<2>{'1' * 64}",
               lock.read_text(), flags=re.DOTALL)
    )  # fmt: skip
    with pytest.raises(UserError, match=r"(?s)as worker/requirements.txt locks them:.*six"):
        build(output=tmp_path, worker=worker)
    assert list((tmp_path / "wheels").iterdir()) == []


def test_a_tampered_wheel_is_refused(
    default: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D1: wheels from an earlier download are checked as well."""
    downloads = wheels.wheels(WORKER, runtime="python3.13", architecture="arm64")[0].parent
    monkeypatch.setattr(wheels, "DOWNLOADS", tmp_path)
    copy = shutil.copytree(downloads, tmp_path / downloads.name)
    wheel = next(copy.glob("six-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(UserError, match=r"six 1.* has a hash that requirements.txt does not list"):
        build(output=default.path.parent)
    wheel.unlink()
    with pytest.raises(UserError, match=r"six 1.* is missing"):
        build(output=default.path.parent)


def test_a_second_build_needs_no_network(
    default: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "download", lambda *_, **__: pytest.fail("asked the network"))
    assert build(output=tmp_path).sha256 == default.sha256


def test_a_library_for_another_target_is_refused(default: Package) -> None:
    """Pitfall 38: said when building, not at the first invocation."""
    name, data = next(
        (name, data) for name, data in contents(default).items() if name.startswith("PIL/_imaging.")
    )
    arm, mach_o = {"architecture": "arm64"}, b"\xcf\xfa\xed\xfe"
    check(name, data, runtime="python3.13", **arm)
    with pytest.raises(UserError, match="compiled for EM_AARCH64, but x86_64 is EM_X86_64"):
        check(name, data, runtime="python3.13", architecture="x86_64")
    with pytest.raises(UserError, match=r"another Python than python3\.12"):
        check(name, data, runtime="python3.12", **arm)
    with pytest.raises(UserError, match="not a Linux library"):
        check("PIL/_imaging.so", mach_o, runtime="python3.13", **arm)
    with pytest.raises(UserError, match="not a Linux library"):
        check("PIL/_imaging.pyd", b"MZ", runtime="python3.13", **arm)


def test_a_package_too_large_for_lambda_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "UNPACKED_LIMIT", 1_000_000)
    with pytest.raises(UserError, match=r"has \d\d,\d{3},\d{3} bytes; Lambda allows 1,000,000"):
        build(output=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_choices_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must look like 'python3\.13'"):
        build(runtime="nodejs22.x", output=tmp_path)
    with pytest.raises(UsageError, match="not one of arm64, x86_64"):
        build(architecture="riscv64", output=tmp_path)


def test_an_upload_prints_what_to_deploy_with(tmp_path: Path) -> None:
    """D1: two parameters and nothing else on standard output; the same content goes up once."""
    with Emulator(region="us-east-1") as emulator:
        emulator.client("s3").create_bucket(Bucket="code")

        def upload(bucket: str, **changes: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "darkroom", "package", "--no-bytecode", "--upload", bucket],
                cwd=tmp_path,
                env={**emulator.environment, "PYTHONPATH": str(ROOT), **changes},
                capture_output=True,
                text=True,
                check=False,
            )

        for failed, sentence in (
            (upload("no-such-bucket"), "there is no bucket 'no-such-bucket'"),
            (upload("code", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""), "no AWS credentials"),
        ):
            assert failed.returncode == 1
            assert failed.stdout == ""
            assert sentence in failed.stderr
            assert "Traceback" not in failed.stderr
            assert not (tmp_path / "build").exists()  # checked before building

        first, second = upload("code"), upload("code")
        assert first.returncode == second.returncode == 0, first.stderr + second.stderr
        match = re.fullmatch(r"CodeBucket=code CodeKey=(\S+)\n", first.stdout)
        assert match
        assert second.stdout == first.stdout
        assert "already" not in first.stderr
        assert f"{match[1]} is already in code" in second.stderr
        stored = emulator.client("s3").get_object(Bucket="code", Key=match[1])["Body"].read()
        assert hashlib.sha256(stored).hexdigest().startswith(match[1][-16:-4])


def test_the_lock_matches_the_project() -> None:
    """C1: the versions tested here are the versions shipped, and no registry is named."""
    lock = (WORKER / "requirements.txt").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    pinned = list(wheels.locked(lock, runtime="python3.13", architecture="arm64"))
    versions = {pin.name: pin.version for pin in pinned}
    for name in ("botocore", "isal", "pi-heif", "pillow"):
        assert f'"{name}=={versions[name]}"' in project
    wheels.check_lock((WORKER / "requirements.in").read_text(), lock)
    assert all(len(pin.hashes) >= 2 for pin in pinned)
    assert "http" not in lock
    assert "index" not in lock
