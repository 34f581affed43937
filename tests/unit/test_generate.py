import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import generate

ROOT = Path(__file__).parents[2]


def run(
    *arguments: str, cwd: Path = ROOT, stdin: str = "", isolated: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run generate.py; `isolated`: without any installed package."""
    return subprocess.run(
        [
            sys.executable,
            *(["-S"] if isolated else []),
            str(ROOT / "generate.py"),
            *arguments,
        ],
        cwd=cwd,
        input=stdin,
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
    assert done.stderr == f"{path}: network.availability_zones: must be at most 4 (given: 9)\n"
    assert not target.exists()


MANY_QUEUES = "".join(
    f"[sources.s{number}]\nqueue = 'q{number}'\n[queues.q{number}]\n" for number in range(40)
)
MANY_ENDPOINTS = "[network.interface_endpoints]\n" + "".join(
    f"a{number} = ['kms:Decrypt']\n" for number in range(500)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MANY_QUEUES.encode(), "40 queues and their sources need policies of at least"),
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
    tmp_path: Path, content: bytes, message: str
) -> None:
    """C1: whatever is in the file; no traceback, no output."""
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    done = run("--pipeline", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    """C1: Windows' Notepad writes one."""
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf[network]\n")
    assert run("--pipeline", str(path)).stdout == run().stdout


def test_a_specification_comes_from_standard_input() -> None:
    """C1: by the name that other commands give it; errors name it too."""
    done = run("--pipeline", "-", stdin="[queues.default]\ntimeout_seconds = 77\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["Resources"]["Worker"]["Properties"]["Timeout"] == 77
    wrong = run("--pipeline", "-", stdin="network = 3")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "standard input: network: must be a table (given: 3)\n",
    )


def test_an_empty_name_is_usage() -> None:
    """C1: as of a shell variable that is not set; not the current directory."""
    done = run("--pipeline", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert "argument --pipeline: the name of the file is empty" in done.stderr


def test_without_its_packages_it_says_what_to_install() -> None:
    """D7: and --help works."""
    done = run(isolated=True)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert (
        "needs the Python package 'awacs'" in line
        or "needs the Python package 'troposphere'" in line
    )
    assert line.endswith(f"python -m pip install -e {ROOT}")
    assert run("--help", isolated=True).returncode == 0


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


def test_a_closed_standard_output_is_status_1() -> None:
    """C1: `python generate.py >&-`."""
    command = f"'{sys.executable}' '{ROOT / 'generate.py'}' >&-"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "standard output: is closed\n")


def test_a_reader_that_has_enough_ends_it_without_a_word() -> None:
    """C1: `python generate.py | head -1`."""
    command = f"'{sys.executable}' '{ROOT / 'generate.py'}' | head -c 1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{", "")


def test_help_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        generate.main(["--help"])
    assert caught.value.code == 0
    assert "> stack.json" in capsys.readouterr().out
