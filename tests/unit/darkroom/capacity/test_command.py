"""`darkroom plan` as people call it."""

from __future__ import annotations

import builtins
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from darkroom import cli
from tests.unit.darkroom.capacity.conftest import numbers

ROOT = Path(__file__).parents[4]


def test_the_table_ends_with_the_bottleneck(capsys: pytest.CaptureFixture[str]) -> None:
    """D6: capacity, quotas, cost, choices, and what it comes to in one sentence."""
    assert cli.main(["plan"]) == 0
    told = capsys.readouterr().out
    for title in ("Asked", "Capacity", "Quotas", "Cost in us-east-1", "Break-even", "Choices"):
        assert f"\n{title}" in f"\n{told}"
    assert told.splitlines()[-1].startswith("limited by MaximumConcurrency")


@pytest.mark.parametrize("output", ["table", "json"])
def test_the_same_question_has_the_same_answer(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """D6: not a byte differs, the simulation included."""
    answers = []
    for _ in range(2):
        cli.main(["plan", "--rate", "1/s", "--burst", "1x1s", "--simulate", "--output", output])
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    assert "simulat" in answers[0].lower()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "1/month", "--concurrency", "1"],
        ["--rate", "1G/month", "--concurrency", "10000", "--account-concurrency", "20000"],
        ["--rate", "1G/month", "--pollers", "200:2000", "--account-concurrency", "20000"],
        ["--rate", "1e9/s", "--burst", "1000000x365d", "--failures", "99.9%", "--outage", "365d"],
        ["--megapixels", "0.001", "--speed", "1000", "--s3-latency", "0.001"],
        ["--megapixels", "99999", "--kind", "webp"],
        ["--memory", "128", "--profile", "mixed", "--speed", "0.001"],
    ],
)
def test_extremes_are_numbers(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """D6: from one execution to a milliard pictures a month and far beyond, no overflow."""
    assert cli.main(["plan", *arguments, "--output", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert all(number >= 0 for number in numbers(content))
    assert cli.main(["plan", *arguments]) == 0
    assert not re.search(r"\bnan\b", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate", "12"], "'12' is no rate: give one like 12/s"),
        (["--rate", "0/s"], "is no rate"),
        (["--burst", "10"], "is no burst: give FACTORxDURATION"),
        (["--outage", "2"], "is no duration"),
        (["--megapixels", "24:12"], "like 12 or 12:24"),
        (["--failures", "1.5"], "is no share below 1"),
        (["--concurrency", "0"], "whole number from 1 to 100,000"),
        (["--memory", "64"], "whole number from 128"),
        (["--pollers", "5"], "give LEAST:MOST"),
        (["--speed", "0"], "from 0.001 to 1000"),
        (["--profile", "film"], "invalid choice: 'film'"),
        (["--kind", "png"], "--kind needs --megapixels"),
        (["--region", "cn-north-1"], "no prices of 'cn-north-1'"),
        (["--plot", "plan.doc"], "must end with .png"),
        (["--parameters", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--pipeline", "nowhere.toml"], "nowhere.toml: there is no such file"),
        (["--prices", "nowhere.toml"], "nowhere.toml: cannot be read"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(["plan", *arguments])
    except SystemExit as ended:  # argparse's own way
        status = int(ended.code or 0)
    assert status == 2
    assert told in capsys.readouterr().err


def test_no_network_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: a plan needs no account."""

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert cli.main(["plan", "--output", "json"]) == 0


def test_the_plot_is_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.png"
    assert cli.main(["plan", "--rate", "30/s", "--plot", str(path)]) == 0
    with Image.open(path) as image:
        assert image.width > 600
        assert len(image.convert("RGB").getcolors(10**6) or []) > 10
    before = path.read_bytes()
    cli.main(["plan", "--rate", "30/s", "--plot", str(path)])
    assert path.read_bytes() == before
    assert capsys.readouterr().err == ""


def test_without_matplotlib_the_plot_alone_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert cli.main(["plan"]) == 0
    capsys.readouterr()
    assert cli.main(["plan", "--plot", str(tmp_path / "plan.png")]) == 1
    assert "'matplotlib', which is not installed" in capsys.readouterr().err


def test_an_interrupt_ends_the_simulation_quietly() -> None:
    """D6: no traceback, nothing half on standard output."""
    script = (
        "import signal, sys; from ops import __main__ as ops; from darkroom.capacity import command\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "command.Progress.update = lambda *_: signal.raise_signal(signal.SIGINT)\n"
        "sys.exit(cli.main(['plan', '--simulate']))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stdout == ""
    assert done.stderr == "interrupted\n"
