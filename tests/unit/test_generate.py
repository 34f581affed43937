import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import generate

ROOT = Path(__file__).parents[2]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "generate.py"), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_standard_output_is_the_template_and_nothing_else() -> None:
    """D7: `python generate.py > stack.json` works as is."""
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "Resources" in json.loads(done.stdout)


def test_it_works_from_anywhere_and_writes_where_told(tmp_path: Path) -> None:
    """D7: a path with spaces, a folder that is not there yet."""
    target = tmp_path / "my stacks" / "stack.json"
    done = run("--output", str(target), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "Resources" in json.loads(target.read_text())


def test_yaml_says_the_same_as_json() -> None:
    """D7: `--format yaml`, for those who read it."""

    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short function tags as their long form."""

    def function(loader: Loader, tag: str, node: yaml.Node) -> object:
        name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
        if isinstance(node, yaml.ScalarNode):
            text = loader.construct_scalar(node)
            return {name: str(text).split(".", 1) if tag == "GetAtt" else text}
        assert isinstance(node, yaml.SequenceNode)
        return {name: loader.construct_sequence(node, deep=True)}

    Loader.add_multi_constructor("!", function)
    as_yaml = yaml.load(run("--format", "yaml").stdout, Loader=Loader)  # noqa: S506 - a SafeLoader
    as_json = json.loads(run().stdout)
    as_yaml["AWSTemplateFormatVersion"] = str(as_yaml["AWSTemplateFormatVersion"])
    assert as_yaml == as_json


def test_a_wrong_specification_is_a_sentence_and_status_2(tmp_path: Path) -> None:
    """C1: file, key and what is allowed; no traceback, no output."""
    path = tmp_path / "mine.toml"
    path.write_text("[network]\navailability_zones = 9\n")
    target = tmp_path / "stack.json"
    done = run("--pipeline", str(path), "--output", str(target))
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"{path}: network.availability_zones: should be less than or equal to 4 (given: 9)\n"
    )
    assert not target.exists()


@pytest.mark.parametrize("arguments", [["--formt", "json"], ["--format", "xml"], ["stack.json"]])
def test_a_wrong_option_is_usage_and_status_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_what_cannot_be_written_is_status_1(tmp_path: Path) -> None:
    done = run("--output", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(str(tmp_path))
    assert "Traceback" not in done.stderr


def test_help_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        generate.main(["--help"])
    assert caught.value.code == 0
    assert "> stack.json" in capsys.readouterr().out
