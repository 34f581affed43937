"""Camera photographs in packages of Debian and PyPI: fetched, and checked by digest."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SAMPLES: Final = "usr/share/forensics-samples/original-files"
_WALLPAPERS: Final = "usr/share/backgrounds"
_LIMIT: Final = 300
"""Seconds for one package."""


@dataclass(frozen=True)
class DebianPackage:
    """A package of Debian or of a distribution made from it; `version` is the one looked at.

    The machine's package manager chooses the version and checks its signature. What must not
    differ is the photograph's digest.
    """

    name: str
    version: str
    licence: str

    def __str__(self) -> str:
        """Return source, name and version."""
        return f"Debian {self.name} {self.version}"


@dataclass(frozen=True)
class PythonPackage:
    """The source distribution of a package on PyPI, by its version and SHA-256."""

    name: str
    version: str
    sha256: str
    licence: str

    def __str__(self) -> str:
        """Return source, name and version."""
        return f"PyPI {self.name} {self.version}"


Package = DebianPackage | PythonPackage


@dataclass(frozen=True)
class CameraFile:
    """One file of a package, as a camera or an editor wrote it."""

    package: Package
    member: str
    sha256: str


_FORENSICS = DebianPackage("forensics-samples-files", "1.1.4-5", "CC-BY-SA-4.0")
_LOMIRI_16 = DebianPackage("lomiri-wallpapers-16.04", "20.04.0-2", "CC-BY-4.0, CC0")
_LOMIRI_20 = DebianPackage("lomiri-wallpapers-20.04", "20.04.0-2", "CC-BY-SA-4.0")
_MATE = DebianPackage("mate-backgrounds", "1.26.0-1", "GPL-2+")
_JPEG_XL = DebianPackage("libjxl-testdata", "0.0~git20230110.d6168ff-1", "BSD-3-Clause")
_THUMBOR = PythonPackage(
    "thumbor",
    "7.8.0",
    "3211d7b3210864fae09a67a822e69851aa54ac6137d8a35c1a4047881e3c6dfc",
    "CC-BY-SA (Wikimedia Commons)",
)

PYTHON_PACKAGES: Final = (_THUMBOR,)

FILES: Final[Mapping[str, CameraFile]] = {
    "phone-dogs": CameraFile(
        _FORENSICS,
        f"{_SAMPLES}/pic2/IMG_20200608_111614.jpg",
        "1f23a3bd64e685f9364046b1ff05b2953071c18e90b2bfb3f9a1e0d6ad234bf5",
    ),
    "phone-indoors": CameraFile(
        _FORENSICS,
        f"{_SAMPLES}/pic2/IMG_20191224_234846.jpg",
        "653193b3238e0c056cc834c8144aa9801419516e751f8682daa425d7f3dacc5c",
    ),
    "phone-upside-down": CameraFile(
        _FORENSICS,
        f"{_SAMPLES}/pic2/IMG_20200124_231153.jpg",
        "850048a1eb65a2147ea05927976aa927c03926c85f880c2f9d2196380bf10403",
    ),
    "phone-board": CameraFile(
        _FORENSICS,
        f"{_SAMPLES}/pic1/IMG_20200827_231612.jpg",
        "29694a6e485e9bc523c08cc3333ffd17570ab61a94a41419fa9db81ff05e9ad0",
    ),
    "bird": CameraFile(
        _LOMIRI_20,
        f"{_WALLPAPERS}/Kleiber_by_Lukas_Baubkus.jpg",
        "6572410c09f4492c74ccadde133565a14c0161617d5917d4c820c66d65a44ba7",
    ),
    "wood": CameraFile(
        _MATE,
        f"{_WALLPAPERS}/mate/nature/Wood.jpg",
        "19c78500ac00a622e19907ab9cc7d06d46fe08c4a6142759a84195696150ec07",
    ),
    "elephants": CameraFile(
        _MATE,
        f"{_WALLPAPERS}/mate/abstract/Elephants_5640x3172.jpg",
        "7ab602cd55aedd107743973353e58771860d1a74a0cd0701e8351096535edde8",
    ),
    "dandelion": CameraFile(
        _LOMIRI_16,
        f"{_WALLPAPERS}/seeding_by_Clements_Engelhardt.jpg",
        "a5634d1ab5e41a3568e92d4a894a500c92b891f9ff734e50bd224d6e185a605f",
    ),
    "mountains": CameraFile(
        _LOMIRI_16,
        f"{_WALLPAPERS}/picosdeeuropa_by_Aitzol_Berasategi.jpg",
        "414d0072b2f6f2c555deafeaef6e45c4fed6fa9ad26eba6560ca8803959cf97a",
    ),
    "speaker": CameraFile(
        _THUMBOR,
        "tests/fixtures/images/10_years_of_Wikipedia_by_Guillaume_Paumier.jpg",
        "1f29c29fb3fde0d6f9a211d74872c1b0b267d09e83e6a18bfb7b1a4d71c0352e",
    ),
    "portrait": CameraFile(
        _THUMBOR,
        "tests/fixtures/images/Christophe_Henner_-_June_2016.jpg",
        "5d0521461e9964b55b8c87f4b3e5ac39b5d8b0c34eefff905f47cd3fe984f1d7",
    ),
    "flower": CameraFile(
        _JPEG_XL,
        "usr/share/libjxl-testdata/jxl/flower/flower.png",
        "06fe0af7a5c790d2932a40e2d76b0d91aa6e73f3e55cc3f97ea6afae0133c2e7",
    ),
    "flower-cut-out": CameraFile(
        _JPEG_XL,
        "usr/share/libjxl-testdata/jxl/flower/flower_alpha.png",
        "e877c5e420e37d3ff369796410f244e73389d4a81c082681fd91af37e50c03df",
    ),
}


def fetch(directory: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the photographs by name, and why others are missing; fetched ones are kept."""
    directory.mkdir(parents=True, exist_ok=True)
    problems = []
    for package in dict.fromkeys(file.package for file in FILES.values()):
        wanted = {name: file for name, file in FILES.items() if file.package == package}
        if all(_is_right(directory / name, file) for name, file in wanted.items()):
            continue
        try:
            _extract(package, wanted, directory)
        except (OSError, subprocess.SubprocessError, tarfile.TarError, LookupError) as error:
            said = getattr(error, "stderr", None)
            reason = str(said).strip().splitlines()[-1] if said else str(error)
            problems.append(f"{package}: {reason}")
    found = {}
    for name, file in FILES.items():
        path = directory / name
        if _is_right(path, file):
            found[name] = path
        elif path.exists():
            problems.append(f"{file.package}: {file.member} is another file than the one measured")
    return found, problems


def _is_right(path: Path, file: CameraFile) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def _extract(package: Package, wanted: Mapping[str, CameraFile], directory: Path) -> None:
    """Download a package and write its photographs.

    Raises:
        OSError, subprocess.SubprocessError, tarfile.TarError: There is no such program, or no
            such package.
        LookupError: The package has no such file.
    """
    temporary = directory / "packages"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        archive_path = _download(package, temporary)
        with tarfile.open(archive_path) as archive:
            members = {_inner(package, member.name): member for member in archive}
            for name, file in wanted.items():
                content = archive.extractfile(members[file.member])
                if content is None:
                    raise LookupError(f"{file.member} is no file")
                (directory / name).write_bytes(content.read())
    finally:
        shutil.rmtree(temporary)


def _inner(package: Package, name: str) -> str:
    """Return a member's path without `./`, or without a source distribution's own folder."""
    return name.removeprefix("./") if isinstance(package, DebianPackage) else name.partition("/")[2]


def _download(package: Package, directory: Path) -> Path:
    """Return the package's tar archive."""
    if isinstance(package, DebianPackage):
        _run("apt-get", "download", package.name, directory=directory)
        (deb,) = directory.glob("*.deb")
        archive = directory / "files.tar"
        with archive.open("wb") as file:
            command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
            subprocess.run(command, stdout=file, check=True, timeout=_LIMIT)
        return archive
    requirement = directory / "requirements.txt"
    requirement.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    options = ("--no-deps", "--no-binary", package.name, "--require-hashes")
    _run(*pip, *options, "--requirement", requirement.name, directory=directory)
    (archive,) = directory.glob("*.tar.gz")
    return archive


def _run(*command: str, directory: Path) -> None:
    subprocess.run(
        command, cwd=directory, capture_output=True, text=True, check=True, timeout=_LIMIT
    )
