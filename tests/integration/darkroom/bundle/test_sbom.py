"""The SBOM: valid, complete, true to the zip."""

import hashlib
import json
import re
import zipfile
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from darkroom.bundle import imaging_library
from darkroom.bundle.build import Package, build
from darkroom.bundle.target import WORKER
from darkroom.bundle.wheels import locked

Json = dict[str, Any]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return build(output=tmp_path_factory.mktemp("sbom"), with_bytecode=False)


@pytest.fixture(scope="module")
def sbom(built: Package) -> Json:
    content: Json = json.loads(built.sbom.read_bytes())
    return content


def components(sbom: Json, kind: str) -> list[Json]:
    return [one for one in sbom["components"] if one["type"] == kind]


def sha256(component: Json) -> str:
    (only,) = component["hashes"]
    assert only["alg"] == "SHA-256"
    return str(only["content"])


def test_it_is_cyclonedx(sbom: Json) -> None:
    """D1: by the schema of CycloneDX itself, which refuses what it does not know."""
    assert sbom["specVersion"] == "1.6"
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(sbom)) is None
    assert validator.validate_str(json.dumps({**sbom, "licence": "MIT"})) is not None
    for one in [sbom["metadata"]["component"], *components(sbom, "library")]:
        purl = PackageURL.from_string(one["purl"])
        assert purl.version == one["version"]
        assert purl.to_string() == one["purl"] == one["bom-ref"]


def test_it_stands_for_one_zip(built: Package, sbom: Json) -> None:
    """D1: by hash, and with no date or chance in it."""
    assert sha256(sbom["metadata"]["component"]) == built.sha256
    assert built.sbom.name == built.key.removesuffix(".zip") + ".cdx.json"
    assert re.fullmatch(r"urn:uuid:\w{8}-\w{4}-5\w{3}-\w{4}-\w{12}", sbom["serialNumber"])
    assert "timestamp" not in sbom["metadata"]


def test_every_distribution_is_listed_as_the_lock_pins_it(built: Package, sbom: Json) -> None:
    """D1: name, version, licence and the hash of the wheel; no more and no less than in the zip."""
    lock = (WORKER / "requirements.txt").read_text()
    pinned = {one.name: one for one in locked(lock, runtime="python3.13", architecture="arm64")}
    listed = {canonicalize_name(one["name"]): one for one in components(sbom, "library")}
    assert listed.keys() == pinned.keys()
    for name, one in listed.items():
        assert one["version"] == pinned[name].version
        assert sha256(one) in pinned[name].hashes
        assert all(kind.get("expression") or kind["license"]["name"] for kind in one["licenses"])
        assert one["licenses"]
    with zipfile.ZipFile(built.path) as archive:
        inside = {name.split(".dist-info/")[0] for name in archive.namelist() if ".dist-i" in name}
    assert inside == {f"{n.replace('-', '_')}-{one['version']}" for n, one in listed.items()}


def test_compiled_libraries_are_listed_with_what_wheels_say_of_them(
    built: Package, sbom: Json
) -> None:
    """D1: libjpeg, libwebp and others are inside a wheel, which lists them itself (PEP 770)."""
    with zipfile.ZipFile(built.path) as archive:
        names = archive.namelist()
        libraries = {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in names
            if ("/lib" in name and ".so" in name) or name == imaging_library.NAME
        }
    assert len(libraries) > 5
    assert {one["name"]: sha256(one) for one in components(sbom, "file")} == libraries
    assert [name for name in names if re.search(r"pillow-.*/sboms/pillow-.*\.cdx\.json$", name)]


def test_libraries_under_the_lgpl_say_so(sbom: Json) -> None:
    """D1: they are files of their own in the zip, so that another build can take their place."""
    licenses = {
        one["name"].rpartition("/")[2].partition("-")[0]: one["licenses"][0]["expression"]
        for one in components(sbom, "file")
        if "licenses" in one and one["name"] != imaging_library.NAME
    }
    assert licenses == dict.fromkeys(("libheif", "libde265"), "LGPL-3.0-or-later")
    (pi_heif,) = (one for one in components(sbom, "library") if one["name"] == "pi_heif")
    assert pi_heif["licenses"] == [{"expression": "BSD-3-Clause"}]


def test_the_workers_own_library_is_under_the_projects_license(sbom: Json) -> None:
    """D1: it is compiled from the C files in worker/imaging/, and part of no wheel."""
    (own,) = (one for one in components(sbom, "file") if one["name"] == imaging_library.NAME)
    assert own["licenses"] == [{"expression": "MIT"}]


def test_who_needs_whom(sbom: Json) -> None:
    """D1: a finding leads to the line in requirements.in."""
    names = {one["bom-ref"]: one["name"] for one in sbom["components"]}
    needs = {
        names.get(one["ref"], "root"): {names[ref] for ref in one["dependsOn"]}
        for one in sbom["dependencies"]
    }
    wanted = (WORKER / "requirements.in").read_text()
    roots = {canonicalize_name(name) for name in needs["root"]}
    assert roots == set(re.findall(r"(?m)^([\w-]+)==", wanted))
    assert needs["pi_heif"] == {"pillow"}
    assert needs["botocore"] == {"jmespath", "python-dateutil", "urllib3"}
    assert needs["python-dateutil"] == {"six"}
    assert needs["pillow"] == set()
