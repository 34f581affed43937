"""Checks and their reports: what a person and a pipeline make of what was seen."""

import json
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from darkroom.checks import framework
from darkroom.checks.framework import Finding, Seen
from darkroom.console.progress import Progress

REFUSED = ClientError(
    {"Error": {"Code": "AccessDenied", "Message": "not you"}}, operation_name="DescribeThings"
)
SEEN = [
    Seen("network", framework.ok("all is well")),
    Seen("mail", framework.warning("nobody is told", "give CriticalAlarmEmail")),
    Seen("key", framework.fails("the key <is> off \x1b[2J", "enable it")),
]


def test_a_check_that_may_not_look_fails_and_the_next_goes_on() -> None:
    """D4: what cannot be seen is not taken for well; what was seen before is kept."""

    def refused() -> Iterator[Finding]:
        yield framework.ok("seen before")
        raise REFUSED

    every = {"first": refused, "second": lambda: [framework.ok("fine")], "third": refused}
    seen = framework.perform(every, skip=["third"], progress=Progress())
    assert [(one.check, one.finding.verdict) for one in seen] == [
        ("first", "ok"),
        ("first", "fails"),
        ("second", "ok"),
    ]
    assert "AWS refuses DescribeThings" in seen[1].finding.says
    assert "--skip first" in seen[1].finding.fix


@pytest.mark.parametrize(
    ("seen", "verdict", "plain", "strict"),
    [(SEEN, "fails", 1, 1), (SEEN[:2], "warning", 0, 1), (SEEN[:1], "ok", 0, 0)],
)
def test_the_verdict_is_the_worst_of_all(
    seen: list[Seen], verdict: str, plain: int, strict: int
) -> None:
    """D4: exit statuses that scripts can use."""
    assert framework.worst(seen) == verdict
    assert framework.status(seen, strict=False) == plain
    assert framework.status(seen, strict=True) == strict
    assert f"preflight: {verdict}" in framework.report(
        seen, title="preflight", output="table", facts={}
    )
    told = json.loads(framework.report(seen, title="", output="json", facts={"stack": "x"}))
    assert (told["verdict"], told["stack"], len(told["checks"])) == (verdict, "x", len(seen))


def test_a_table_has_each_fix_and_upsets_no_terminal() -> None:
    told = framework.report(SEEN, title="x", output="table", facts={})
    assert "→ give CriticalAlarmEmail" in told
    assert "\x1b" not in told


def test_junit_is_what_pipelines_read() -> None:
    """D4: failures by name, warnings passed with their words, nothing that breaks the XML."""
    told = framework.report(SEEN, title="readiness", output="junit", facts={})
    (suite,) = ElementTree.fromstring(told)  # noqa: S314 - our own
    assert suite.tag == "testsuite"
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    well, warned, failed = suite.findall("testcase")
    assert list(well) == []
    assert "give CriticalAlarmEmail" in (warned.findtext("system-out") or "")
    failure = failed.find("failure")
    assert failure is not None
    assert (failure.get("message") or "").startswith("the key <is> off")
    assert "enable it" in (failure.text or "")
