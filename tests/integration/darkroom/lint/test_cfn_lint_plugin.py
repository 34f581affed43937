"""The plug-in of cfn-lint, run by cfn-lint itself."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from darkroom.lint.catalogue import ALL_RULES, RULES
from templates import pipeline, specification

ROOT = Path(__file__).parents[4]
CFN_LINT = "import sys; from cfnlint.runner import main; sys.exit(main())"  # as its script does


@pytest.fixture(scope="module")
def sound() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        pipeline.render(pipeline.build(specification.parse({}, origin="test")))
    )
    return content


def cfn_lint(path: Path, content: dict[str, Any]) -> list[dict[str, Any]]:
    """What cfn-lint reports with the plug-in, in one Region."""
    path.write_text(json.dumps(content, indent=1))
    done = subprocess.run(
        [
            *(sys.executable, "-c", CFN_LINT, "--format", "json", "--regions", "eu-west-1"),
            *("--append-rules", "darkroom.lint.cfn_lint_plugin", "--", str(path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_cfn_lint_runs_our_rules(tmp_path: Path, sound: dict[str, Any]) -> None:
    """D4: silent on the default template; a seeded defect is found with its line."""
    assert cfn_lint(tmp_path / "sound.json", sound) == []
    content = copy.deepcopy(sound)
    content["Resources"]["WorkQueue"]["Properties"]["VisibilityTimeout"] = 300
    path = tmp_path / "stack.json"
    (found,) = cfn_lint(path, content)
    assert found["Rule"]["Id"] == RULES["sqs-visibility-timeout"].cfn_lint_id == "E9601"
    assert found["Rule"]["Source"].startswith("https://docs.aws.amazon.com/")
    assert found["Level"] == "Error"
    assert found["Message"].endswith("needs 360 s [DR-SQS-001]")
    assert found["Location"]["Path"] == ["Resources", "WorkQueue"]
    line = path.read_text().splitlines()[found["Location"]["Start"]["LineNumber"] - 1]
    assert line == '  "WorkQueue": {'


def test_a_suppression_with_a_reason_holds_there_too(tmp_path: Path, sound: dict[str, Any]) -> None:
    """D4: one reason beside the resource is enough for both programs."""
    content = copy.deepcopy(sound)
    queue = content["Resources"]["WorkQueue"]
    queue["Properties"]["VisibilityTimeout"] = 300
    queue["Metadata"] = {"darkroom": {"skip": [{"id": "DR-SQS-001", "comment": "Quick."}]}}
    assert cfn_lint(tmp_path / "stack.json", content) == []


def test_ids_do_not_collide() -> None:
    """D4: with each other, or with the first numbers, which a file of custom rules has."""
    ids = [one.cfn_lint_id for one in ALL_RULES.values()]
    assert len({one[1:] for one in ids}) == len(ids)
    assert all(9100 < int(one[1:]) < 9999 for one in ids)
