"""Which files of a wheel the package keeps, and what is removed from those."""

import gzip
import json
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from darkroom.bundle.shared_objects import is_shared_object, without_debug_information

KEPT_EXTENSIONS = {"_avif", "_imaging", "_imagingcms", "_imagingmath", "_webp"}
"""Pillow's compiled modules that pictures need; left out: fonts, Tk, morphology."""

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
    "PIL/ImageMorph.py",  # its compiled half is left out above
    "PIL/ImageTk.py",  # windows to show pictures in, and screenshots
    "PIL/ImageQt.py",
    "PIL/ImageWin.py",
    "PIL/ImageShow.py",
    "PIL/ImageGrab.py",
    "pi_heif/*",  # around the compiled module, which the worker uses alone
    "isal/igzip*.py",  # a gzip command
    "isal/isa-l/[!L]*",  # notes for its developers; the licence stays
    "PIL/*FontFile.py",  # fonts, containers and formats that no plugin above uses
    "PIL/GdImageFile.py",
    "PIL/WalImageFile.py",
    "PIL/PdfParser.py",
    "PIL/PSDraw.py",
    "PIL/TarIO.py",
    "PIL/ContainerIO.py",
)

# Vulnerability scanners such as Amazon Inspector recognise a package by METADATA; its licence has
# to go with it, and so does its list of the libraries inside it (PEP 770). The rest serves
# installers.
KEPT_METADATA = (
    *("METADATA", "LICEN[CS]E*", "NOTICE*", "COPYING*", "AUTHORS*", "licenses/*", "sboms/*"),
)


def slimmed(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what a wheel adds to the package: file name, content."""
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
    """Return compiled files without debug information, botocore's models without prose."""
    if is_shared_object(name):
        return name, without_debug_information(data)
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
    """Empty the documentation, which botocore partly reads; a member of that name is an object."""
    return {
        key: "" if key in {"documentation", "documentationUrl"} and isinstance(item, str) else item
        for key, item in value.items()
    }
