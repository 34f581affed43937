"""The function's zip: reproducible, whole, for the right machine."""

import argparse
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

from darkroom.commands import package
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UsageError, UserError

HERE = f"python{sys.version_info.major}.{sys.version_info.minor}"
HOST = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[
    os.uname().machine.lower()
]
PROBE = Path(__file__).parent / "package_probe.py"


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> package.Package:
    return package.build(output=tmp_path_factory.mktemp("default"))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the worker that a test may change, packaged instead of the project's."""
    copy = tmp_path / "checkout" / "worker"
    shutil.copytree(package.WORKER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(package, "WORKER", copy)
    monkeypatch.setattr(package, "LOCK", copy / "requirements.txt")
    return copy


def contents(built: package.Package) -> dict[str, bytes]:
    with zipfile.ZipFile(built.path) as archive:
        assert archive.testzip() is None
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


@pytest.mark.parametrize("hash_seed", ["0", "3"])  # sets of service names iterate differently
def test_another_host_builds_the_same_bytes(
    hash_seed: str, default: package.Package, checkout: Path, tmp_path: Path
) -> None:
    """D1: other directory, file dates, hash seed, umask, time zone, locale: the same bytes."""
    for number, path in enumerate(sorted(checkout.rglob("*"), reverse=True)):
        os.utime(path, (number * 1e6, number * 1e6))
        if path.suffix == ".py":
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (checkout / "__pycache__").mkdir()
    (checkout / "__pycache__" / "events.cpython-313.pyc").write_bytes(b"stale")
    script = (
        "import os, sys; from pathlib import Path; from darkroom.commands import package; os.umask(0o077);"
        "package.WORKER = Path(sys.argv[1]); package.LOCK = package.WORKER / 'requirements.txt';"
        "print(package.build(output=Path('out')).sha256)"
    )
    environment = {
        **os.environ,
        **{"PYTHONPATH": str(package.ROOT), "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Kathmandu"},
        **{"LC_ALL": "C", "SOURCE_DATE_EPOCH": "1", "PYTHONOPTIMIZE": "2"},
    }
    done = subprocess.run(
        [sys.executable, "-c", script, str(checkout)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == default.sha256
    assert [path.name for path in (tmp_path / "out").glob("*.zip")] == [default.key]
    assert (tmp_path / "out" / default.bom.name).read_bytes() == default.bom.read_bytes()


def test_the_name_says_the_content(default: package.Package, checkout: Path) -> None:
    """Trap 37: other code has another key; CloudFormation sees that there is something new."""
    assert hashlib.sha256(default.path.read_bytes()).hexdigest() == default.sha256
    assert default.key == f"darkroom-worker-python3.13-arm64-{default.sha256[:12]}.zip"
    with (checkout / "keys.py").open("a") as file:
        file.write("# another comment\n")
    changed = package.build(output=default.path.parent)
    assert changed.key != default.key


def test_building_again_is_free(default: package.Package, monkeypatch: pytest.MonkeyPatch) -> None:
    output = default.path.parent
    package.build(output=output)
    with monkeypatch.context() as patch:
        patch.setattr(package, "_zip", lambda _: pytest.fail("built once more"))
        assert package.build(output=output) == default
    default.bom.unlink()
    package.build(output=output)
    assert default.bom.exists()
    default.path.write_bytes(b"cut off")
    assert package.build(output=output) == default
    assert hashlib.sha256(default.path.read_bytes()).hexdigest() == default.sha256


def test_entries_are_the_same_on_every_host(default: package.Package) -> None:
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


@pytest.mark.parametrize("architecture", package.MACHINES)
def test_compiled_files_are_for_the_machine(architecture: str, tmp_path: Path) -> None:
    """Trap 38: each shared object is for the function's machine and Python, from any host."""
    built = package.build(architecture=architecture, output=tmp_path)
    machine = {"arm64": "EM_AARCH64", "x86_64": "EM_X86_64"}[architecture]
    files = contents(built)
    objects = {name: data for name, data in files.items() if data.startswith(b"\x7fELF")}
    assert {ELFFile(io.BytesIO(data))["e_machine"] for data in objects.values()} == {machine}
    modules = [name for name in objects if name.startswith("PIL/")]
    assert {name.split(".")[1].split("-")[1] for name in modules} == {"313"}
    assert built.size < 7_000_000
    assert built.unpacked_size == sum(map(len, files.values()))


def test_libraries_are_all_there_and_no_more(default: package.Package) -> None:
    """What a compiled module needs is in the package or on Amazon Linux, indirectly, too."""
    files = contents(default)
    objects = {name.rpartition("/")[2]: name for name in files if ".so" in name}
    needed = {
        library for name in objects.values() for library in package._needed_libraries(files[name])
    }
    system = re.compile(r"(lib(c|m|dl|rt|pthread|gcc_s|z|stdc\+\+)|ld-linux-aarch64)\.so\.\d+")
    assert [name for name in needed - objects.keys() if not system.fullmatch(name)] == []
    bundled = {name for name, path in objects.items() if path.startswith("pillow.libs/")}
    assert bundled <= needed


def test_licences_and_versions_go_along(default: package.Package) -> None:
    files = contents(default)
    for name, version, _ in package._locked(package.LOCK.read_text()):
        about = f"{name.replace('-', '_')}-{version}.dist-info/"
        assert about + "METADATA" in files
        assert [path for path in files if path.startswith(about) and "LICENSE" in path]


@pytest.mark.parametrize("runtime", [HERE, "python3.13"])
def test_the_package_runs(runtime: str, tmp_path: Path) -> None:
    """D1, trap 50: nothing that the worker needs was trimmed, and all of it is compiled."""
    built = package.build(runtime=runtime, architecture=HOST, output=tmp_path)
    compiler = package._find_compiler(runtime, None)
    if compiler is None:
        pytest.skip(f"no {runtime} here to run the package with")
    assert built.bytecode == compiler.version
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(tmp_path / "task")
    command = [str(compiler.executable), "-I", "-S", str(PROBE), str(tmp_path / "task")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    probe = json.loads(done.stdout)
    assert probe["encoded"] == {name: [name, 40, 30] for name in probe["encoded"]}
    assert probe["handler"]
    assert len(probe["sent"]) == 4 * 5
    assert probe["elsewhere"] == []
    assert probe["uncompiled"] == []
    session = botocore.session.get_session()
    for place, endpoint in probe["endpoints"].items():
        service, region = place.split()
        whole = session.create_client(
            service, region, aws_access_key_id="none", aws_secret_access_key="none"
        )
        assert endpoint == whole.meta.endpoint_url  # trimming endpoints.json changed nothing


def test_bytecode_is_not_checked_against_its_source(default: package.Package) -> None:
    """Trap 50: unchecked-hash .pyc of the runtime's version, beside each module."""
    if default.bytecode is None:
        pytest.skip("no Python 3.13 here")
    files = contents(default)
    compiled = {name: data for name, data in files.items() if name.endswith(".pyc")}
    assert {int.from_bytes(data[4:8], "little") for data in compiled.values()} == {0b01}
    assert len(compiled) == len([name for name in files if name.endswith(".py")])
    assert all(name.endswith(".cpython-313.pyc") for name in compiled)


def test_bytecode_is_a_choice(default: package.Package, tmp_path: Path) -> None:
    """D1: without bytecode no Python of the runtime's version is needed for the same bytes."""
    bare = package.build(output=tmp_path, bytecode=False)
    assert bare.bytecode is None
    # Where there is no Python of that version, the default has none either.
    assert (bare.sha256 == default.sha256) is (default.bytecode is None)
    assert not [name for name in contents(bare) if name.endswith(".pyc")]


def test_without_an_interpreter_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trap 50: a package without bytecode is never a surprise."""
    monkeypatch.setattr(package, "get_interpreter", lambda *_, **__: None)
    parser = argparse.ArgumentParser()
    package.add_arguments(parser)
    assert package.run(parser.parse_args(["--output", str(tmp_path)])) == 0
    told = capsys.readouterr()
    assert "no Python 3.13 found here" in told.err
    assert "no bytecode" in told.err
    assert told.out.startswith(str(tmp_path))


def test_an_interpreter_of_another_version_is_refused(tmp_path: Path) -> None:
    wrong = "python3.12" if HERE != "python3.12" else "python3.14"
    with pytest.raises(UserError, match=rf"{re.escape(sys.executable)} is not a CPython 3\.1"):
        package.build(runtime=wrong, output=tmp_path, python=Path(sys.executable))


@pytest.mark.parametrize("architecture", package.MACHINES)
@pytest.mark.parametrize("runtime", package.RUNTIMES)
def test_the_lock_is_enough_for_every_target(runtime: str, architecture: str) -> None:
    """D1: pip takes nothing without a hash, so that the lock has one for each target's wheels."""
    wheels = package._wheels(runtime, architecture)
    assert len(wheels) == len(list(package._locked(package.LOCK.read_text())))


def test_a_tampered_lock_is_refused(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D1: pip takes only files whose hash the lock has."""
    monkeypatch.setattr(package, "WHEELS", tmp_path / "wheels")
    lock = checkout / "requirements.txt"
    lock.write_text(
        re.sub(r"(six==.*?sha256:).{64}(.*?sha256:).{64}", rf"\g<1>{'0' * 64}\g<2>{'1' * 64}",
               lock.read_text(), flags=re.DOTALL)
    )  # fmt: skip
    with pytest.raises(UserError, match=r"(?s)as requirements.txt locks them:.*six"):
        package.build(output=tmp_path)
    assert list((tmp_path / "wheels").iterdir()) == []


def test_a_tampered_wheel_is_refused(
    default: package.Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D1: wheels from an earlier download are checked as well."""
    shutil.copytree(package.WHEELS, tmp_path / "wheels")
    monkeypatch.setattr(package, "WHEELS", tmp_path / "wheels")
    wheel = next((tmp_path / "wheels").glob("python3.13-arm64-*/six-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(UserError, match=r"six 1.* is not one whose hash requirements.txt has"):
        package.build(output=default.path.parent)
    wheel.unlink()
    with pytest.raises(UserError, match=r"six 1.* is missing"):
        package.build(output=default.path.parent)


def test_a_second_build_needs_no_network(
    default: package.Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "_download", lambda *_: pytest.fail("asked the network"))
    assert package.build(output=tmp_path).sha256 == default.sha256


def test_a_foreign_library_is_refused(default: package.Package) -> None:
    """Trap 38: said when building, not at the first invocation."""
    name, data = next(
        (name, data) for name, data in contents(default).items() if name.startswith("PIL/_imaging.")
    )
    package._check_shared_object(name, data, "python3.13", "arm64")
    with pytest.raises(UserError, match="compiled for EM_AARCH64, but x86_64 is EM_X86_64"):
        package._check_shared_object(name, data, "python3.13", "x86_64")
    with pytest.raises(UserError, match=r"another Python than python3\.12"):
        package._check_shared_object(name, data, "python3.12", "arm64")
    with pytest.raises(UserError, match="not a Linux library"):
        package._check_shared_object("PIL/_imaging.so", b"\xcf\xfa\xed\xfe", "python3.13", "arm64")
    with pytest.raises(UserError, match="not a Linux library"):
        package._check_shared_object("PIL/_imaging.pyd", b"MZ", "python3.13", "arm64")


def test_a_package_too_large_for_lambda_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "UNPACKED_LIMIT", 1_000_000)
    with pytest.raises(UserError, match=r"has \d\d,\d{3},\d{3} bytes; Lambda takes 1,000,000"):
        package.build(output=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_choices_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has to look like 'python3\.13'"):
        package.build(runtime="nodejs22.x", output=tmp_path)
    with pytest.raises(UsageError, match="not one of arm64, x86_64"):
        package.build(architecture="riscv64", output=tmp_path)


def test_an_upload_prints_what_to_deploy_with(tmp_path: Path) -> None:
    """D1: two parameters and nothing else on standard output; the same content goes up once."""
    choices = ("--no-bytecode", "--output", str(tmp_path))
    with Emulator(region="us-east-1") as emulator:
        emulator.client("s3").create_bucket(Bucket="code")

        def run(bucket: str, **changes: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "darkroom", "package", *choices, "--upload", bucket],
                cwd=package.ROOT,
                env={**emulator.environment, **changes},
                capture_output=True,
                text=True,
                check=False,
            )

        first, second = run("code"), run("code")
        assert first.returncode == second.returncode == 0, first.stderr + second.stderr
        match = re.fullmatch(r"CodeBucket=code CodeKey=(\S+)\n", first.stdout)
        assert match
        assert second.stdout == first.stdout
        assert "already" not in first.stderr
        assert f"{match[1]} is in code already" in second.stderr
        stored = emulator.client("s3").get_object(Bucket="code", Key=match[1])["Body"].read()
        assert hashlib.sha256(stored).hexdigest().startswith(match[1][-16:-4])

        for failed, told in (
            (run("no-such-bucket"), "into the bucket no-such-bucket: "),
            (run("code", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""), "credentials"),
        ):
            assert failed.returncode == 1
            assert failed.stdout == ""
            assert told in failed.stderr
            assert "Traceback" not in failed.stderr


def test_the_lock_matches_the_project() -> None:
    """C1: the versions tested here are the versions shipped, and no registry is named."""
    lock = package.LOCK.read_text()
    project = (package.ROOT / "pyproject.toml").read_text()
    wanted = (package.WORKER / "requirements.in").read_text()
    versions = {name: version for name, version, _ in package._locked(lock)}
    for name in ("botocore", "pillow"):
        assert f'"{name}=={versions[name]}"' in project
        assert f"{name}=={versions[name]}" in wanted
    assert all(len(hashes) >= 2 for *_, hashes in package._locked(lock))
    assert "http" not in lock
    assert "index" not in lock
