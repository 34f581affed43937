"""The workflow that runs on the code host."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_workflow_is_valid() -> None:
    """D5: GitHub would refuse a workflow that its schema refuses."""
    workflow = ROOT / ".github" / "workflows" / "ci.yml"
    schema = ("--builtin-schema", "vendor.github-workflows")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, str(workflow)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "contents: read" in workflow.read_text()
