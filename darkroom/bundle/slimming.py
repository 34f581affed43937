"""Which files of a wheel the package keeps, and what is removed from those."""

import gzip
import json
import zipfile
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from darkroom.bundle.shared_objects import is_shared_object, without_debug_information

KEPT_EXTENSIONS = {"_avif", "_imaging", "_imagingcms", "_imagingmath", "_webp"}
"""Pillow's compiled modules that pictures need; left out: fonts, Tk, morphology."""

KEPT_PLUGINS = {"Avif", "Bmp", "Gif", "Jpeg", "Png", "Ppm", "Tiff", "WebP"}
"""Formats the worker accepts, and Ppm, which Pillow itself expects beside the common ones."""

KEPT_OPERATIONS = {
    "s3": {
        *("DeleteObject", "GetObject", "HeadObject", "ListObjectsV2", "PutObject"),
        "HeadBucket",  # botocore's own, to find the Region of a bucket
    },
    "sqs": {"ChangeMessageVisibility", "DeleteMessage"},
}
"""What the worker calls, of botocore's four hundred services; loading the others takes time."""

REPLACED = {
    # Writes documentation of a client's methods for help(), which imports a tenth of botocore.
    "botocore/docs/__init__.py": "",
    "botocore/docs/docstring.py": """\
class _NoDocstring(str):
    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)


ClientMethodDocstring = PaginatorDocstring = WaiterDocstring = _NoDocstring
""",
    # Offers HTTP/2, which botocore does not use, and imports packaging metadata to do so.
    "urllib3/http2/__init__.py": "",
}
"""Modules that must exist, by what they hold in the package."""

LEFT_OUT = (
    "*.pyi",
    "*/py.typed",
    "*.data/*",  # console scripts
    "botocore/data/*/examples-1.json",
    "botocore/data/*/paginators-1.*",  # read for get_paginator() and get_waiter() only
    "botocore/data/*/waiters-2.json",
    "dateutil/zoneinfo/*",  # a copy of the zone database, for hosts without one
    "dateutil/rrule.py",  # calendar recurrences
    "dateutil/easter.py",
    "dateutil/tz/win.py",
    "urllib3/contrib/emscripten/*",  # for browsers
    "urllib3/http2/connection.py",
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
        case ["botocore", "data", service, _, *_] if service not in KEPT_OPERATIONS:
            return False
        case ["botocore", "docs", *rest]:  # botocore.handlers imports utils
            return str(path) in REPLACED or rest == ["utils.py"]
    return not any(fnmatchcase(str(path), pattern) for pattern in LEFT_OUT)


def _slimmed(name: str, data: bytes) -> tuple[str, bytes]:
    """Return compiled files without debug information, models with what is called, no prose."""
    if name in REPLACED:
        return name, REPLACED[name].encode()
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
            partition["services"] = {
                key: services[key] for key in services if key in KEPT_OPERATIONS
            }
    elif name.endswith("/service-2.json"):
        model = _with_operations(model, KEPT_OPERATIONS[PurePosixPath(name).parts[2]])
    return name, json.dumps(model, separators=(",", ":")).encode()


def _with_operations(model: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return a service's model with these operations and the shapes that they need."""
    operations = {name: model["operations"][name] for name in sorted(names)}
    shapes: dict[str, Any] = {}
    needed = set(_shapes(operations))
    while needed:
        name = needed.pop()
        shapes[name] = model["shapes"][name]
        needed |= set(_shapes(shapes[name])) - shapes.keys()
    return model | {"operations": operations, "shapes": dict(sorted(shapes.items()))}


def _shapes(value: object) -> Iterator[str]:
    """Yield the names of the shapes that a part of a model refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        for item in value.values():
            yield from _shapes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _shapes(item)


def _without_prose(value: dict[str, Any]) -> dict[str, Any]:
    """Empty the documentation, which botocore partly reads; a member of that name is an object."""
    return {
        key: "" if key in {"documentation", "documentationUrl"} and isinstance(item, str) else item
        for key, item in value.items()
    }
