import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from templates.specification import Specification
from tests.unit.templates.conftest import generate

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def rows() -> dict[str, str]:
    """Return the first cell's code words of each table row, with the row's default."""
    found = {}
    for line in SETTINGS.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for word in re.findall(r"`([^`]+)`", cells[0]):
            found[word] = cells[1] if len(cells) > 1 else ""
    return found


def keys(model: BaseModel, lead: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in model:
        if isinstance(value, BaseModel):
            found |= keys(value, f"{lead}{name}.")
        elif isinstance(value, dict) and isinstance(value.get("default"), BaseModel):
            found |= keys(value["default"], f"{lead}{name}.default.")
        else:
            found[lead + name] = value
    return found


@pytest.mark.parametrize(("key", "default"), keys(Specification()).items())
def test_the_settings_tell_every_key_and_its_default(key: str, default: object) -> None:
    """C1: settings in a table that is true."""
    told = rows()[key]
    expected = (
        [f"{name} = {value}" for name, value in default.items()]
        if isinstance(default, dict)
        else map(str, default)
        if isinstance(default, tuple)
        else ["none" if default is None else _as_toml(default)]
    )
    assert [part for part in expected if part not in told] == []


def _as_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_the_settings_tell_every_parameter_and_its_default() -> None:
    """C1, D2: and no parameter that is not there."""
    told = rows()
    for name, parameter in generate().template["Parameters"].items():
        default = str(parameter.get("Default", "–"))
        assert (default or "empty") in told[name], name


def test_no_setting_is_told_that_is_gone() -> None:
    """C1: the tables hold what there is."""
    told = set(re.findall(r"^\| ((?:`[^`]+`,? ?)+)", SETTINGS, re.MULTILINE))
    words = {word for cell in told for word in re.findall(r"`([^`]+)`", cell)}
    known = {*keys(Specification()), *generate().template["Parameters"]}
    assert words - known == set()


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
