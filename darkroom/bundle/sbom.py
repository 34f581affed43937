"""The package's software bill of materials (SBOM), for scanners and licence reviews."""

import hashlib
import json
import re
import uuid
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from darkroom.bundle import imaging_library

_LIBRARY_LICENSES: Final = {
    "libde265": "LGPL-3.0-or-later",
    "libheif": "LGPL-3.0-or-later",
    "libimaging": "MIT",
}
"""Licenses of bundled libraries whose wheel does not list them in an SBOM of its own (PEP 770).

https://github.com/strukturag/libheif/blob/master/COPYING and
https://github.com/strukturag/libde265/blob/master/COPYING; the sources say "or any later version".
`libimaging` is the worker's own, under this project's license.
"""


def render(package: Path, wheels: Sequence[Path], required: Collection[str]) -> bytes:
    """Return a CycloneDX 1.6 document that describes a zip and the wheels it was made of.

    The same zip and wheels give the same bytes: the document has no date, and its serial number
    is derived from the zip. Each wheel has its own SHA-256, which the lock file pins.
    https://cyclonedx.org/docs/1.6/json/

    Args:
        package: The zip.
        wheels: What it was made of.
        required: Names of the distributions that the worker itself requires.
    """
    sha256 = hashlib.sha256(package.read_bytes()).hexdigest()
    version = sha256[:12]  # as in the zip's name
    root = f"pkg:generic/darkroom-worker@{version}?checksum=sha256:{sha256}"
    described = {
        _reference(wheel, metadata): (wheel, metadata) for wheel, metadata in _read(wheels)
    }
    references = {canonicalize_name(one["name"]): ref for ref, (_, one) in described.items()}
    needs = {ref: sorted(_needs(one, references)) for ref, (_, one) in described.items()}
    needs = {root: sorted(references[canonicalize_name(name)] for name in required), **needs}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, root).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "darkroom-worker",
                "version": version,
                "purl": root,
                "hashes": _hashes(sha256),
            }
        },
        "components": [
            *(_component(ref, wheel, metadata) for ref, (wheel, metadata) in described.items()),
            *_libraries(package),
        ],
        "dependencies": [{"ref": ref, "dependsOn": on} for ref, on in needs.items()],
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _read(wheels: Sequence[Path]) -> Iterator[tuple[Path, RawMetadata]]:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
            yield wheel, parse_email(archive.read(name))[0]


def _reference(wheel: Path, metadata: RawMetadata) -> str:
    """Return the package URL: https://github.com/package-url/purl-spec, type `pypi`."""
    name, version = canonicalize_name(metadata["name"]), metadata["version"]
    return f"pkg:pypi/{name}@{version}?file_name={wheel.name}"


def _needs(metadata: RawMetadata, references: dict[Any, str]) -> Iterator[str]:
    """Yield the package's wheels that a distribution requires, without its extras."""
    for text in metadata.get("requires_dist", []):
        requirement = Requirement(text)
        reference = references.get(canonicalize_name(requirement.name))
        if reference and "extra" not in str(requirement.marker):
            yield reference


def _component(reference: str, wheel: Path, metadata: RawMetadata) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": reference,
        "name": metadata["name"],
        "version": metadata["version"],
        "purl": reference,
        "hashes": _hashes(hashlib.sha256(wheel.read_bytes()).hexdigest()),
        "licenses": _licenses(metadata),
    }


def _libraries(package: Path) -> Iterator[dict[str, Any]]:
    """Yield the compiled libraries that wheels bring along, and the worker's, as in the zip."""
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            if ".libs/" in name or name == imaging_library.NAME:
                sha256 = hashlib.sha256(archive.read(name)).hexdigest()
                library = {"type": "file", "bom-ref": name, "name": name, "hashes": _hashes(sha256)}
                license_ = _LIBRARY_LICENSES.get(re.split(r"[-.]", PurePosixPath(name).name)[0])
                if license_:
                    library["licenses"] = [{"expression": license_}]
                yield library


def _licenses(metadata: RawMetadata) -> list[dict[str, Any]]:
    """Return the SPDX expression, otherwise the names that the distribution gives its licences."""
    given = metadata.get("license_expression") or metadata.get("license", "")
    try:
        return [{"expression": canonicalize_license_expression(given)}]
    except InvalidLicenseExpression:
        kinds = [one for one in metadata.get("classifiers", []) if one.startswith("License :: ")]
        names = [one.rpartition(" :: ")[2] for one in kinds] or [given]
        return [{"license": {"name": name}} for name in names]


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]
