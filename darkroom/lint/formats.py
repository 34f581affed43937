"""A report and the list of rules as text for people and as documents for programs."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from darkroom.console.tables import table
from darkroom.lint.catalogue import ALL_RULES
from darkroom.lint.engine import Report
from darkroom.lint.finding import Finding

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"error": "error", "warning": "warning", "info": "note"}
STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}


def render_table(reports: Sequence[Report]) -> str:
    """Return each template's findings by resource, each rule with what to do, and their number."""
    return "\n\n".join(map(_tables, reports))


def _tables(report: Report) -> str:
    by_place: dict[str, dict[str, list[Finding]]] = {}
    for one in sorted(report.findings, key=lambda one: (one.path, one.line or 0, one.resource)):
        by_place.setdefault(_place(report, one), {}).setdefault(one.code, []).append(one)
    parts = [
        table(
            [row for found in by_rule.values() for row in _rows(found)], title=place, styles=STYLES
        )
        for place, by_rule in by_place.items()
    ]
    return "\n\n".join([*parts, _summary(report)])


def _rows(found: list[Finding]) -> Iterator[tuple[str, str]]:
    """Yield the findings of one rule about one resource, and once what the rule says."""
    for one in found:
        rule = one.code if one.rule == one.code else f"{one.code} {one.rule}"
        where = f" (with {one.parameters})" if one.parameters else ""
        yield one.severity, f"{rule}: {one.message}{where}"
    first = found[0]
    for label, text in (
        ("why", first.why),
        ("fix", first.remediation),
        ("see", first.source),
    ):
        if text:
            yield label, text


def _place(report: Report, finding: Finding) -> str:
    if finding.resource == finding.path:  # a parameter file
        return finding.path
    line = f":{finding.line}" if finding.line else ""
    kind = report.template.content["Resources"].get(finding.resource, {}).get("Type", "")
    return f"{finding.path}{line}: {finding.resource} {kind}".rstrip()


def _summary(report: Report) -> str:
    counts = Counter(one.linter for one in report.findings)
    by_linter = ", ".join(f"{linter} {counts[linter]}" for linter in report.linters)
    total = len(report.findings)
    path, resources = report.template.path, len(report.template.content["Resources"])
    return (
        f"{path}, {path.stat().st_size:,} bytes, {_count(resources, 'resource')}:"
        f" {_count(total, 'finding')} ({by_linter}), {len(report.suppressed)} suppressed"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def render_json(reports: Sequence[Report]) -> str:
    """Return the findings, and the suppressed ones with their `reason`, as JSON."""
    return _dump(
        {
            "templates": [str(report.template.path) for report in reports],
            "findings": [asdict(one) for report in reports for one in report.findings],
            "suppressed": [
                {**asdict(one), "reason": suppression.reason}
                for report in reports
                for one, suppression in report.suppressed
            ],
        }
    )


def render_sarif(reports: Sequence[Report]) -> str:
    """Return the findings as SARIF 2.1.0, which code hosts show beside the lines.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    """
    found = [(one, "") for report in reports for one in report.findings]
    found += [(one, why.reason) for report in reports for one, why in report.suppressed]
    driver = {
        "name": "darkroom validate",
        "rules": list({one.code: _descriptor(one) for one, _ in found}.values()),
    }
    results = [_result(one, reason) for one, reason in found]
    runs = [{"tool": {"driver": driver}, "results": results}]
    return _dump({"$schema": SARIF, "version": "2.1.0", "runs": runs})


def _descriptor(one: Finding) -> dict[str, Any]:
    return {
        "id": one.code,
        "name": one.rule,
        "shortDescription": {"text": one.title or one.message},
        **({"fullDescription": {"text": one.why}} if one.why else {}),
        **({"help": {"text": one.remediation}} if one.remediation else {}),
        **({"helpUri": one.source} if one.source else {}),
        "defaultConfiguration": {"level": LEVELS[one.severity]},
    }


def _result(one: Finding, reason: str) -> dict[str, Any]:
    where = f" ({one.parameters})" if one.parameters else ""
    return {
        "ruleId": one.code,
        "level": LEVELS[one.severity],
        "message": {"text": f"{one.resource}: {one.message}{where}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(Path(one.path).as_posix())},
                    "region": {"startLine": one.line or 1},
                },
                "logicalLocations": [{"name": one.resource}],
            }
        ],
        "suppressions": [{"kind": "inSource", "justification": reason}] if reason else [],
    }


FORMATS: dict[str, Callable[[Sequence[Report]], str]] = {
    "table": render_table,
    "json": render_json,
    "sarif": render_sarif,
}


def list_rules(format_: str) -> str:
    """Return all rules as a `table`, or as `json` with everything that is known about each."""
    rules = sorted(ALL_RULES.values(), key=lambda one: one.code)
    if format_ == "json":
        fields = [asdict(one) for one in rules]
        return _dump([{key: one[key] for key in one if key != "check"} for one in fields])
    rows = [("code", "rule", "severity", "title")]
    return table([*rows, *((one.code, one.name, one.severity, one.title) for one in rules)])


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
