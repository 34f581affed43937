"""`darkroom capacity` on the command line."""

import re
import sys
from pathlib import Path

import pytest

from darkroom import cli
from darkroom.capacity import report
from tests.unit.darkroom.capacity.conftest import estimate

ROOT = Path(__file__).parents[4]


def test_the_table_ends_with_the_bottleneck(capsys: pytest.CaptureFixture[str]) -> None:
    """D6: capacity, quotas, cost, choices, and what it comes to in one sentence."""
    assert cli.main(["capacity"]) == 0
    printed = capsys.readouterr().out
    for title in ("Demand", "Capacity", "Quotas", "Cost per month", "Break-even", "Alternatives"):
        assert f"\n{title}" in f"\n{printed}"
    assert printed.splitlines()[-1].startswith("The first limit is MaximumConcurrency: ")


@pytest.mark.parametrize("format_", ["table", "json"])
def test_the_same_question_has_the_same_answer(
    format_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """D6: not a byte differs, the simulation included."""
    answers = []
    for _ in range(2):
        cli.main(
            ["capacity", "--rate", "1/s", "--burst", "1x1s", "--simulate", "--format", format_]
        )
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    assert "simulat" in answers[0].lower()


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["--rate", "12/year"], "'12/year' is not a rate"),
        (["--rate", "0/s"], "is not a rate"),
        (["--burst", "10"], "is not a burst FACTORxDURATION"),
        (["--outage", "2"], "is not a duration"),
        (["--megapixels", "24:12"], "examples: 12, 12:24"),
        (["--failures", "1.5"], "must be a share below 1"),
        (["--concurrency", "0"], "1<=x<=100000"),
        (["--memory", "64"], "128<=x<=10240"),
        (["--pollers", "5"], "is not MIN:MAX"),
        (["--cpu-factor", "0"], "0.001<=x<=1000"),
        (["--workload", "film"], "'film' is not one of"),
        (["--image-format", "png"], "--image-format needs --megapixels"),
        (["--region", "cn-north-1"], "no prices for 'cn-north-1'"),
        (["--plot", "plan.doc"], "must end with .png"),
        (["--parameters", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--pipeline", "nowhere.toml"], "nowhere.toml: there is no such file"),
        (["--prices", "nowhere.toml"], "nowhere.toml: cannot be read"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(
    arguments: list[str], printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["capacity", *arguments]) == 2
    assert printed in capsys.readouterr().err


def test_no_network_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: a plan needs no account."""

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert cli.main(["capacity", "--format", "json"]) == 0


def test_the_report_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: no table is wider than 80 columns."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    text = report.as_text(estimate("--rate", "60M/month", "--burst", "20x10min"))
    table, _, verdict = text.rpartition("\n\n")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", table.partition("\nwarning:")[0])
    assert max(map(len, plain.splitlines()[:-2])) <= 80
    assert verdict.startswith("The first limit is ")
