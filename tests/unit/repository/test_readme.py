"""README.md: its test command is the one of CI, and its costs add up."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_command_that_the_readme_gives() -> None:
    """D4: one test command, for people and for CI."""
    commands = re.findall(r"^\$ (.+?)(?:\s+#.*)?$", README, re.MULTILINE)
    assert commands[:2] == ["python3 -m pip install tox && tox run -e local", "tox"]
    script = (ROOT / ".ci" / "run").read_text()
    assert re.search(r"pip install .*tox$", script, re.MULTILINE)
    assert re.search(r"/tox\"$", script, re.MULTILINE)


def test_the_fixed_cost_adds_up() -> None:
    """D6: the table's last line is the sum of the others, and follows the parameter files."""
    table = README.split("| fixed, per month")[1].split("\n\n")[0]
    lines = [line.split("|")[2:4] for line in table.splitlines() if "| " in line][1:]
    for column, name in enumerate(("dev", "prod")):
        cells = [line[column].strip(" *") for line in lines]
        *parts, total = [0.0 if cell == "–" else float(cell) for cell in cells]
        assert round(sum(parts), 2) == total
        values = dict(
            line.split("=", 1) for line in json.loads((ROOT / f"params/{name}.json").read_text())
        )
        assert (cells[1] == "–") is (values["CreateSqsEndpoint"] == "false")
