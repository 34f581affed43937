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
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The default template, one with a seeded defect, and one that suppresses its finding."""
    sound = json.loads(pipeline.render(pipeline.build(specification.Specification())))
    defective = copy.deepcopy(sound)
    queue = defective["Resources"]["WorkQueue"]
    queue["Properties"]["VisibilityTimeout"] = 300
    suppressed = copy.deepcopy(defective)
    suppressed["Resources"]["WorkQueue"]["Metadata"] = {
        "darkroom": {"skip": [{"id": "DR-SQS-001", "comment": "Quick."}]}
    }
    directory = tmp_path_factory.mktemp("templates")
    found = {}
    for name, content in (
        ("sound", sound),
        ("defective", defective),
        ("suppressed", suppressed),
    ):
        found[name] = directory / f"{name}.json"
        found[name].write_text(json.dumps(content, indent=1))
    return found


@pytest.fixture(scope="module")
def reported(templates: dict[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """What cfn-lint reports with the plug-in, in one Region, by template: it starts once."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", CFN_LINT, "--format", "json", "--regions", "eu-west-1"),
            *("--append-rules", "darkroom.lint.cfn_lint_plugin", "--"),
            *map(str, templates.values()),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    return {
        name: [one for one in found if one["Filename"] == str(path)]
        for name, path in templates.items()
    }


def test_cfn_lint_runs_our_rules(
    templates: dict[str, Path], reported: dict[str, list[dict[str, Any]]]
) -> None:
    """D4: silent on the default template; a seeded defect is found with its line."""
    assert reported["sound"] == []
    (found,) = reported["defective"]
    assert found["Rule"]["Id"] == RULES["sqs-visibility-timeout"].cfn_lint_id == "E9601"
    assert found["Rule"]["Source"].startswith("https://docs.aws.amazon.com/")
    assert found["Level"] == "Error"
    assert found["Message"].endswith("needs 365 s [DR-SQS-001]")
    assert found["Location"]["Path"] == ["Resources", "WorkQueue"]
    lines = templates["defective"].read_text().splitlines()
    assert lines[found["Location"]["Start"]["LineNumber"] - 1] == '  "WorkQueue": {'


def test_a_suppression_with_a_reason_holds_there_too(
    reported: dict[str, list[dict[str, Any]]],
) -> None:
    """D4: one reason beside the resource is enough for both programs."""
    assert reported["suppressed"] == []


def test_ids_do_not_collide() -> None:
    """D4: with each other, or with the first numbers, which a file of custom rules has."""
    ids = [one.cfn_lint_id for one in ALL_RULES.values()]
    assert len({one[1:] for one in ids}) == len(ids)
    assert all(9100 < int(one[1:]) < 9999 for one in ids)
