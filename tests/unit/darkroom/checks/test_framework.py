"""Checks and their reports: what a person and a pipeline make of the findings."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from darkroom.checks import framework, names
from darkroom.checks.deployed import suite
from darkroom.checks.framework import CheckResult, Finding, failed, passed, warned
from darkroom.checks.prerequisites import CHECKS as PREFLIGHT_CHECKS
from darkroom.checks.report import render
from darkroom.console.progress import Progress

OPERATIONS = Path(__file__).parents[4] / "docs" / "operations.md"
REFUSED = ClientError(
    {"Error": {"Code": "AccessDenied", "Message": "not you"}}, operation_name="DescribeThings"
)
RESULTS = [
    CheckResult("network", (passed("all is well"),)),
    CheckResult("alarm-email", (warned("nobody is notified", "pass CriticalAlarmEmail"),)),
    CheckResult("key", (failed("the key <is> off \x1b[2J", "enable it"),)),
]
SKIPPED = CheckResult("topics", (Finding("skip", "not shown by the emulator: key"),))

Values = Mapping[str, str]


def test_a_refused_check_fails_and_the_next_one_runs() -> None:
    """D4: what cannot be read does not pass; findings from before the refusal are kept."""

    def refused(_: Values) -> Iterator[Finding]:
        yield passed("read before")
        raise REFUSED

    checks: dict[str, framework.Check[Values]] = {
        "first": refused,
        "second": lambda _: [passed("fine")],
        "third": refused,
    }
    results = framework.run_checks(checks, {}, skip=["third"], progress=Progress())
    verdicts = [(result.check, [one.verdict for one in result.findings]) for result in results]
    assert verdicts == [("first", ["pass", "fail"]), ("second", ["pass"])]
    refusal = results[0].findings[1]
    assert "AWS refuses DescribeThings" in refusal.message
    assert "--skip first" in refusal.remediation


def test_a_check_sees_what_earlier_ones_discovered() -> None:
    """D4: values pass from check to check as arguments; nothing shared is changed."""
    given: Values = {"A": "1"}
    seen: list[Values] = []

    def find(values: Values) -> list[Finding]:
        seen.append(values)
        return [passed("found", {"B": "2"})]

    results = framework.run_checks(
        {"first": find, "second": find},
        given,
        skip=[],
        progress=Progress(),
        extend=lambda values, discovered: {**values, **discovered},
    )
    assert seen == [{"A": "1"}, {"A": "1", "B": "2"}]
    assert results[0].discovered == {"B": "2"}
    assert given == {"A": "1"}


@pytest.mark.parametrize(
    ("results", "verdict", "plain", "strict"),
    [
        (RESULTS, "fail", 1, 1),
        (RESULTS[:2], "warn", 0, 1),
        (RESULTS[:1], "pass", 0, 0),
        ([*RESULTS[:1], SKIPPED], "pass", 0, 0),
        ([], "pass", 0, 0),
    ],
)
def test_the_verdict_is_the_worst_of_all(
    results: list[CheckResult], verdict: str, plain: int, strict: int
) -> None:
    """D4: exit statuses that scripts can use."""
    assert framework.overall(results) == verdict
    assert framework.exit_status(results, strict=False) == plain
    assert framework.exit_status(results, strict=True) == strict
    text = render(results, title="preflight", format_="table", facts={})
    assert f"preflight: {verdict}" in text
    document = json.loads(render(results, title="", format_="json", facts={"stack": "x"}))
    assert (document["verdict"], document["stack"]) == (verdict, "x")
    assert len(document["checks"]) == len(results)


def test_json_has_the_documented_keys() -> None:
    """D4: what discovered values are for is the parameter file; a finding does not repeat them."""
    (found,) = json.loads(render(RESULTS[1:2], title="", format_="json", facts={}))["checks"]
    assert found == {
        "check": "alarm-email",
        "verdict": "warn",
        "message": "nobody is notified",
        "remediation": "pass CriticalAlarmEmail",
    }


def test_a_table_has_each_remediation_and_no_control_characters() -> None:
    text = render(RESULTS, title="x", format_="table", facts={})
    assert "→ pass CriticalAlarmEmail" in text
    assert "\x1b" not in text
    assert "(1 pass, 1 warn, 1 fail)" in text
    assert "0 fail, 1 skip)" in render([SKIPPED], title="x", format_="table", facts={})


def test_junit_is_what_pipelines_read() -> None:
    """D4: failures by name, warnings pass with their text, nothing that breaks the XML."""
    text = render([*RESULTS, SKIPPED], title="verify", format_="junit", facts={})
    (testsuite,) = ElementTree.fromstring(text)  # noqa: S314 - our own
    assert testsuite.tag == "testsuite"
    counts = [testsuite.get(name) for name in ("tests", "failures", "skipped")]
    assert counts == ["4", "1", "1"]
    well, warning, failing, skipped = testsuite.findall("testcase")
    assert list(well) == []
    assert "pass CriticalAlarmEmail" in (warning.findtext("system-out") or "")
    failure = failing.find("failure")
    assert failure is not None
    assert (failure.get("message") or "").startswith("the key <is> off")
    assert "enable it" in (failure.text or "")
    assert skipped.find("skipped") is not None


def test_commands_know_the_names_of_the_checks() -> None:
    """--skip and --help list them without importing the checks."""
    assert tuple(PREFLIGHT_CHECKS) == names.PREFLIGHT
    assert tuple(suite.CHECKS) == names.VERIFY


@pytest.mark.parametrize(
    ("command", "checks"), [("preflight", names.PREFLIGHT), ("verify", names.VERIFY)]
)
def test_the_documentation_has_each_check(command: str, checks: tuple[str, ...]) -> None:
    """C1: docs/operations.md lists the checks of each command in their order."""
    _, _, rest = OPERATIONS.read_text(encoding="utf-8").partition(f": `{command}`\n")
    section, _, _ = rest.partition("\n### ")
    assert tuple(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == checks
