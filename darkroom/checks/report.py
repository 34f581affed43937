"""The results of checks as a table, as JSON, or as JUnit XML for CI systems."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree  # nosec B405 # it only writes

from darkroom.checks.framework import VERDICTS, CheckResult, Finding, overall
from darkroom.console.tables import table
from darkroom.console.text import printable

STYLES: dict[str, str] = dict(zip(VERDICTS, ("green", "yellow", "bold red", "dim"), strict=True))


def render(
    results: Sequence[CheckResult], *, title: str, format_: str, facts: Mapping[str, Any]
) -> str:
    """Return the report of `title` in a format; JSON also holds `facts`."""
    found = [(result.check, finding) for result in results for finding in result.findings]
    if format_ == "junit":
        return _junit(found, title)
    if format_ == "json":
        return json.dumps({**facts, **data(results)}, indent=2, ensure_ascii=False)
    rows = [("VERDICT", "CHECK", "")]
    for check, finding in found:
        rows.append((finding.verdict, check, finding.message))
        if finding.remediation:
            rows.append(("", "", f"→ {finding.remediation}"))
    counts = Counter(finding.verdict for _, finding in found)
    counted = ", ".join(
        f"{counts[verdict]} {verdict}"
        for verdict in VERDICTS
        if counts[verdict] or verdict != "skip"
    )
    return f"{table(rows, styles=STYLES)}\n\n{title}: {overall(results)} ({counted})"


def data(results: Sequence[CheckResult]) -> dict[str, Any]:
    """Return the report as data: the verdict, and each finding."""
    return {
        "verdict": overall(results),
        "checks": [
            {
                "check": result.check,
                "verdict": finding.verdict,
                "message": finding.message,
                "remediation": finding.remediation,
            }
            for result in results
            for finding in result.findings
        ],
    }


def _junit(found: Sequence[tuple[str, Finding]], title: str) -> str:
    """Return JUnit XML. It has no warnings: those pass, with their text as output.

    https://github.com/testmoapp/junitxml
    """
    counts = Counter(finding.verdict for _, finding in found)
    suite = ElementTree.Element(
        "testsuite",
        name=title,
        tests=str(len(found)),
        failures=str(counts["fail"]),
        errors="0",
        skipped=str(counts["skip"]),
    )
    for check, finding in found:
        message = printable(finding.message)
        text = f"{message}\n{printable(finding.remediation)}"
        case = ElementTree.SubElement(suite, "testcase", classname=check, name=message)
        match finding.verdict:
            case "fail":
                ElementTree.SubElement(case, "failure", message=message).text = text
            case "skip":
                ElementTree.SubElement(case, "skipped", message=message)
            case "warn":
                ElementTree.SubElement(case, "system-out").text = f"warning: {text}"
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)
