"""The bill of materials: valid, whole, true to the zip."""

import hashlib
import json
import re
import zipfile
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from darkroom.commands import package

Json = dict[str, Any]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> package.Package:
    return package.build(output=tmp_path_factory.mktemp("bom"), bytecode=False)


@pytest.fixture(scope="module")
def bom(built: package.Package) -> Json:
    content: Json = json.loads(built.bom.read_bytes())
    return content


def components(bom: Json, kind: str) -> list[Json]:
    return [one for one in bom["components"] if one["type"] == kind]


def sha256(component: Json) -> str:
    (only,) = component["hashes"]
    assert only["alg"] == "SHA-256"
    return str(only["content"])


def test_it_is_cyclonedx(bom: Json) -> None:
    """D1: by the schema of CycloneDX itself, which refuses what it does not know."""
    assert bom["specVersion"] == "1.6"
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(bom)) is None
    assert validator.validate_str(json.dumps({**bom, "licence": "MIT"})) is not None
    for one in [bom["metadata"]["component"], *components(bom, "library")]:
        purl = PackageURL.from_string(one["purl"])
        assert purl.version == one["version"]
        assert purl.to_string() == one["purl"] == one["bom-ref"]


def test_it_stands_for_one_zip(built: package.Package, bom: Json) -> None:
    """D1: by hash, and with no date or chance in it."""
    assert sha256(bom["metadata"]["component"]) == built.sha256
    assert built.bom.name == built.key.removesuffix(".zip") + ".cdx.json"
    assert re.fullmatch(r"urn:uuid:\w{8}-\w{4}-5\w{3}-\w{4}-\w{12}", bom["serialNumber"])
    assert "timestamp" not in bom["metadata"]


def test_every_distribution_is_listed_as_the_lock_pins_it(
    built: package.Package, bom: Json
) -> None:
    """D1: name, version, licence and the hash of the wheel; no more and no less than in the zip."""
    lock = package.LOCK.read_text()
    locked = {name: (version, pins) for name, version, pins in package._locked(lock)}
    listed = {one["name"].lower(): one for one in components(bom, "library")}
    assert listed.keys() == locked.keys()
    for name, one in listed.items():
        version, pins = locked[name]
        assert one["version"] == version
        assert sha256(one) in pins
        assert all(kind.get("expression") or kind["license"]["name"] for kind in one["licenses"])
        assert one["licenses"]
    with zipfile.ZipFile(built.path) as archive:
        inside = {name.split(".dist-info/")[0] for name in archive.namelist() if ".dist-i" in name}
    assert inside == {f"{n.replace('-', '_')}-{one['version']}" for n, one in listed.items()}


def test_compiled_libraries_are_listed_with_what_wheels_say_of_them(
    built: package.Package, bom: Json
) -> None:
    """D1: libjpeg, libwebp and others hide in a wheel; it says their versions itself (PEP 770)."""
    with zipfile.ZipFile(built.path) as archive:
        names = archive.namelist()
        libraries = {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in names
            if "/lib" in name and ".so" in name
        }
    assert len(libraries) > 5
    assert {one["name"]: sha256(one) for one in components(bom, "file")} == libraries
    assert [name for name in names if re.search(r"pillow-.*/sboms/pillow-.*\.cdx\.json$", name)]


def test_who_needs_whom(bom: Json) -> None:
    """D1: so that a finding leads to the line in requirements.in."""
    names = {one["bom-ref"]: one["name"] for one in bom["components"]}
    needs = {
        names.get(one["ref"], "root"): {names[ref] for ref in one["dependsOn"]}
        for one in bom["dependencies"]
    }
    wanted = (package.WORKER / "requirements.in").read_text()
    assert needs["root"] == set(re.findall(r"(?m)^(\w+)==", wanted))
    assert needs["botocore"] == {"jmespath", "python-dateutil", "urllib3"}
    assert needs["python-dateutil"] == {"six"}
    assert needs["pillow"] == set()
