"""`darkroom validate` with cfn-lint and checkov; SARIF by its schema."""

import copy
import importlib.util
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from darkroom import cli
from darkroom.lint import external
from templates import pipeline, specification
from tests.unit.darkroom.lint.test_validate import broken, skip, written

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def sound() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        pipeline.render(pipeline.build(specification.parse({}, origin="test")))
    )
    return content


@pytest.fixture(scope="module")
def sarif_schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The schema of SARIF 2.1.0, from the source distribution of Microsoft's object model.

    pip downloads that one file, by its hash.
    """
    directory = tmp_path_factory.mktemp("sarif")
    wanted = directory / "requirements.txt"
    digest = "cd5f416b3083e00d402a92e449a7ff67af46f11241073eea0461802a3b5aef98"
    wanted.write_text(f"sarif-om==1.0.4 --hash=sha256:{digest}\n")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
            *("--no-binary", "sarif-om", "--dest", str(directory), "--requirement", str(wanted)),
        ],
        check=True,
    )
    with tarfile.open(directory / "sarif_om-1.0.4.tar.gz") as archive:
        member = archive.extractfile("sarif_om-1.0.4/sarif-2.1.0-rtm.4.json")
        assert member
        schema: dict[str, Any] = json.load(member)
    return schema


def test_sarif_is_valid_by_its_schema(
    tmp_path: Path, sound: dict[str, Any], sarif_schema: dict[str, Any], capsys: Any
) -> None:
    """D4: findings with a line, without one, in a parameter file, and a suppressed one."""
    content = broken(sound, darkroom=skip("sqs-visibility-timeout", "Batches take a second."))
    content["Resources"]["EncryptionKey"]["Properties"]["EnableKeyRotation"] = False
    content["Metadata"]["Notes"] = "x" * 1_000_000
    folder = tmp_path / "my stacks"
    folder.mkdir()
    files = [written(folder, content), written(folder, ["MemorySize=1"], "mine.json")]
    called = ["validate", "--linters", "rules", "--format", "sarif", *map(str, files)]
    assert cli.main(called) == 1
    log = json.loads(capsys.readouterr().out)
    validator = jsonschema.validators.validator_for(sarif_schema)(
        sarif_schema, format_checker=jsonschema.FormatChecker(["uri", "uri-reference"])
    )
    assert list(validator.iter_errors(log)) == []
    results = log["runs"][0]["results"]
    assert {one["ruleId"] for one in results} == {
        *("DR-KMS-003", "DR-CFN-009", "DR-CFN-001", "DR-SQS-001")
    }
    places = {
        one["ruleId"]: one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for one in results
    }
    assert places["DR-KMS-003"].endswith("/my%20stacks/stack.json")
    assert places["DR-CFN-009"].endswith("/my%20stacks/mine.json")
    results[0]["level"] = "fatal"
    assert list(validator.iter_errors(log))  # the schema can fail


def test_cfn_lint_is_at_its_strictest(sound: dict[str, Any]) -> None:
    """D4: silent on the default template, informational findings and every Region included."""
    mutant = copy.deepcopy(sound)
    mutant["Resources"]["WorkQueue"]["Properties"]["VisibilityTimeOut"] = 360
    mutant["Resources"]["WorkQueue"]["Metadata"] = {"cfn-lint": {"config": {}}}
    del mutant["Resources"]["UploadBucket"]["UpdateReplacePolicy"]
    clean, found = external.run_cfn_lint([sound, mutant])
    assert clean == []
    assert ("E3002", "WorkQueue") in {(one.rule, one.resource) for one in found}
    assert any(one.resource == "UploadBucket" for one in found)  # an informational finding


@pytest.mark.skipif(
    importlib.util.find_spec("checkov") is None,
    reason="checkov pins another botocore than the emulator: the template environment runs it",
)
def test_checkov_runs_over_several_templates(sound: dict[str, Any]) -> None:
    mutant = copy.deepcopy(sound)
    mutant["Resources"]["EncryptionKey"]["Properties"]["EnableKeyRotation"] = False
    mutant["Resources"]["EncryptionKey"]["Metadata"] = {"checkov": skip("CKV_AWS_7", "hidden")}
    before, after = external.run_checkov([sound, mutant])
    assert {one.rule for one in after} - {one.rule for one in before} == {"CKV_AWS_7"}


def test_nothing_found_ends_with_0(tmp_path: Path, sound: dict[str, Any], capsys: Any) -> None:
    """D4: the default template with its own parameter files."""
    files = [str(path) for path in sorted((ROOT / "params").glob("*.json"))]
    assert len(files) == 2
    template = str(written(tmp_path, sound))
    assert cli.main(["validate", "--linters", "rules", template, *files]) == 0
    text = capsys.readouterr().out
    assert ": 0 findings (rules 0)" in text
    assert re.search(r", [0-9,]+ bytes, \d+ resources: ", text)  # pitfall 31
