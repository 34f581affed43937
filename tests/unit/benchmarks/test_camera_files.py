"""Camera files from packages: only those that were measured, and what is missing is said."""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from benchmarks import camera_files
from benchmarks.camera_files import FILES, CameraFile, PythonPackage

PACKAGE = PythonPackage("photographs", "1.0", "0" * 64, "CC0")


def package_with(directory: Path, content: bytes) -> Path:
    path = directory / "photographs-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("photographs-1.0/images/one.jpg")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def _one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(b"a photograph").hexdigest()
    file = CameraFile(PACKAGE, "images/one.jpg", digest)
    monkeypatch.setattr(camera_files, "FILES", {"one": file})


@pytest.mark.usefixtures("_one_file")
def test_a_file_is_taken_out_of_its_package_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = []

    def download(package: camera_files.Package, directory: Path) -> Path:
        downloads.append(package)
        return package_with(directory, b"a photograph")

    monkeypatch.setattr(camera_files, "_download", download)
    for _ in range(2):
        found, problems = camera_files.fetch(tmp_path)
        assert found["one"].read_bytes() == b"a photograph"
        assert problems == []
    assert downloads == [PACKAGE]


@pytest.mark.usefixtures("_one_file")
def test_another_file_of_that_name_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        camera_files, "_download", lambda _, directory: package_with(directory, b"another")
    )
    found, problems = camera_files.fetch(tmp_path)
    assert found == {}
    assert problems == [f"{PACKAGE}: images/one.jpg is another file than the one measured"]


@pytest.mark.usefixtures("_one_file")
def test_without_network_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Path:
        raise subprocess.CalledProcessError(1, ["pip"], stderr="WARNING: 1\nERROR: no network\n")

    monkeypatch.setattr(camera_files, "_download", fail)
    assert camera_files.fetch(tmp_path) == ({}, [f"{PACKAGE}: ERROR: no network"])


def test_every_file_has_a_digest_of_its_own() -> None:
    digests = [file.sha256 for file in FILES.values()]
    assert all(len(digest) == 64 for digest in digests)
    assert len(set(digests)) == len(digests)
