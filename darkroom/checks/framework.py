"""Checks that each tell what they saw, and their report as table, JSON or JUnit."""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.etree import ElementTree  # nosec B405 # it writes, and reads none

from botocore.exceptions import BotoCoreError, ClientError

from darkroom.aws.errors import explained
from darkroom.console.output import add_output
from darkroom.console.progress import Progress
from darkroom.console.tables import printable, table
from darkroom.errors import UsageError, UserError

Verdict = Literal["ok", "warning", "fails"]


@dataclass(frozen=True)
class Finding:
    """What one look told, as a sentence, and what to do about it where it is not well."""

    verdict: Verdict
    says: str
    fix: str = ""


@dataclass(frozen=True)
class Seen:
    """A finding and the name of the check that it is of."""

    check: str
    finding: Finding


def ok(says: str) -> Finding:
    """Return that something is as it should be."""
    return Finding("ok", says)


def warning(says: str, fix: str) -> Finding:
    """Return that something works, but not as one would want it."""
    return Finding("warning", says, fix)


def fails(says: str, fix: str) -> Finding:
    """Return that something does not work, or not as promised."""
    return Finding("fails", says, fix)


Check = Callable[[], Iterable[Finding]]


def add_arguments(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Add the options of a command that runs the checks of these names."""
    how = parser.add_argument_group("how")
    how.add_argument(
        "--skip",
        metavar="CHECK",
        action="append",
        default=[],
        choices=names,
        help=f"leave one out, more than once if wanted: {', '.join(names)}",
    )
    how.add_argument("--strict", action="store_true", help="end with 1 for warnings as well")
    add_output(how, "junit")


def perform(checks: Mapping[str, Check], *, skip: Sequence[str], progress: Progress) -> list[Seen]:
    """Run the checks in their order; one that AWS does not let look fails, and the others go on.

    A check that has nothing to look at tells nothing.
    """
    seen: list[Seen] = []
    for name, check in checks.items():
        if name in skip:
            continue
        progress.update(f"Looking at: {name}")
        try:
            with explained():
                for finding in check():
                    seen.append(Seen(name, finding))  # noqa: PERF401 # keeps those before an error
        except UsageError:
            raise
        except UserError as error:
            hidden = isinstance(error.__cause__, (BotoCoreError, ClientError))
            fix = f"make that call possible, or leave it out: --skip {name}" if hidden else ""
            seen.append(Seen(name, fails(str(error), fix)))
    progress.clear()
    return seen


def worst(seen: Sequence[Seen]) -> Verdict:
    """Return the verdict over all: the worst of them."""
    verdicts = {one.finding.verdict for one in seen}
    return "fails" if "fails" in verdicts else "warning" if "warning" in verdicts else "ok"


def status(seen: Sequence[Seen], *, strict: bool) -> int:
    """Return the exit status: 1 where a check fails, or only warns and `strict` is set."""
    return int(worst(seen) in (("fails", "warning") if strict else ("fails",)))


def report(seen: Sequence[Seen], *, title: str, output: str, facts: Mapping[str, Any]) -> str:
    """Return the report; `facts` are what JSON tells beside the checks."""
    if output == "junit":
        return _junit(seen, title)
    if output == "json":
        return json.dumps(
            {
                **facts,
                "verdict": worst(seen),
                "checks": [{"check": one.check, **vars(one.finding)} for one in seen],
            },
            indent=2,
        )
    rows = [("VERDICT", "CHECK", "")]
    for one in seen:
        rows.append((one.finding.verdict, one.check, printable(one.finding.says)))
        if one.finding.fix:
            rows.append(("", "", f"→ {printable(one.finding.fix)}"))
    counts = Counter(one.finding.verdict for one in seen)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("ok", "warning", "fails"))
    return f"{table(rows)}\n\n{title}: {worst(seen)} ({told})"


def _junit(seen: Sequence[Seen], title: str) -> str:
    """Return what CI systems read; JUnit knows no warnings, so that they pass with their words.

    https://github.com/testmoapp/junitxml
    """
    failures = sum(one.finding.verdict == "fails" for one in seen)
    suite = ElementTree.Element(
        "testsuite", name=title, tests=str(len(seen)), failures=str(failures), errors="0"
    )
    for one in seen:
        says = printable(one.finding.says)
        case = ElementTree.SubElement(suite, "testcase", classname=one.check, name=says)
        words = f"{says}\n{printable(one.finding.fix)}"
        if one.finding.verdict == "fails":
            ElementTree.SubElement(case, "failure", message=says).text = words
        elif one.finding.verdict == "warning":
            ElementTree.SubElement(case, "system-out").text = f"warning: {words}"
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)
