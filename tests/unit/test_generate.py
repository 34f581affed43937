import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import generate


@dataclass(frozen=True)
class Result:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Call generate.py in this process; tests/integration starts it as a program."""

    def run(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        try:
            status = generate.main(list(arguments))
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        return Result(status, *capsys.readouterr())

    return run


Run = Callable[..., Result]


def test_yaml_says_the_same_as_json(run: Run) -> None:
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


def test_a_wrong_specification_is_a_sentence_and_status_2(run: Run, tmp_path: Path) -> None:
    """C1: file, key and what is allowed; no traceback, no output."""
    path = tmp_path / "mine.toml"
    path.write_text("[network]\navailability_zones = 9\n")
    target = tmp_path / "stack.json"
    done = run("--pipeline", str(path), "--output", str(target))
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == f"error: {path}: network.availability_zones: must be at most 4 (given: 9)\n"
    )
    assert not target.exists()


MANY_PREFIXES = "".join(
    f"[sources.s{number}]\nsuffixes = ['.jpg']\n"
    f"prefixes = {[f'folder{one}/' for one in range(40)]}\n"
    for number in range(10)
)
MANY_ENDPOINTS = "[network.interface_endpoints]\n" + "".join(
    f"a{number} = ['kms:Decrypt']\n" for number in range(500)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MANY_PREFIXES.encode(), "bytes of policy (IAM allows 6,144)"),
        (MANY_ENDPOINTS.encode(), "the specification needs more than 500 resources"),
        (b"a = " + 5000 * b"[", "lists or tables are nested too deeply"),
        (b"a = " + 5000 * b"1", "a number has too many digits"),
        (b"a = \xff", "not UTF-8 text (byte 4)"),
        (b"a = ", "not TOML: Invalid value"),
        (b"sources = 3", "sources: must be a table (given: 3)"),
        (b"[sources.default]\nprefixes = []", "prefixes: must have at least 1 entry"),
        (b"[queues.default]\ntimeout_seconds = 60.0", "must be a whole number (given: 60.0)"),
        (b'[variants.default]\nfit = "cover"', 'fit = "cover" needs an aspect_ratio'),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:20],
)
def test_an_input_that_cannot_be_used_is_a_sentence_and_status_2(
    run: Run, tmp_path: Path, content: bytes, message: str
) -> None:
    """C1: whatever is in the file; no traceback, no output."""
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    done = run("--pipeline", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_byte_order_mark_is_accepted(run: Run, tmp_path: Path) -> None:
    """C1: Windows' Notepad writes one."""
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf[network]\n")
    assert run("--pipeline", str(path)).stdout == run().stdout


def test_a_specification_comes_from_standard_input(run: Run) -> None:
    """C1: by the name that other commands give it; errors name it too."""
    done = run("--pipeline", "-", stdin="[queues.default]\ntimeout_seconds = 77\n")
    assert (done.returncode, "error" in done.stderr) == (0, False)
    assert json.loads(done.stdout)["Resources"]["Worker"]["Properties"]["Timeout"] == 77
    wrong = run("--pipeline", "-", stdin="network = 3")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "error: standard input: network: must be a table (given: 3)\n",
    )


def test_an_empty_name_is_usage(run: Run) -> None:
    """C1: as of a shell variable that is not set; not the current directory."""
    done = run("--pipeline", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert "argument --pipeline: the name of the file is empty" in done.stderr


@pytest.mark.parametrize("arguments", [["--formt", "json"], ["--format", "xml"], ["stack.json"]])
def test_a_wrong_option_is_usage_and_status_2(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_what_cannot_be_written_is_status_1(run: Run, tmp_path: Path) -> None:
    done = run("--output", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"error: --output {tmp_path}: Is a directory\n")


@pytest.mark.parametrize(
    ("output", "missing"), [("{}/new/stack.json", "{}/new"), ("a/b/stack.json", "a")]
)
def test_a_folder_that_is_likely_a_mistake_is_not_created(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, missing: str
) -> None:
    """C1: one new folder is created here, as `build` of a clone, and none elsewhere."""
    monkeypatch.chdir(tmp_path)
    path = output.format(tmp_path)
    done = run("--output", path)
    assert (done.returncode, done.stdout) == (1, "")
    folder = missing.format(tmp_path)
    assert done.stderr.endswith(f"error: --output {path}: there is no folder {folder}\n")
    assert list(tmp_path.iterdir()) == []
    assert run("--output", "build/stack.json").returncode == 0
    assert (tmp_path / "build" / "stack.json").exists()


def test_help_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        generate.main(["--help"])
    assert caught.value.code == 0
    assert "> stack.json" in capsys.readouterr().out
