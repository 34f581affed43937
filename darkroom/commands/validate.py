"""Checks a template and its parameter files before they are deployed, with three tools at once."""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from darkroom.cloudformation import parameters
from darkroom.cloudformation.loader import Template, load
from darkroom.console.output import add_output
from darkroom.lint import engine, external
from darkroom.lint.engine import RULES, Finding

TOOLS = ("rules", *external.LINTERS)
OWN = "validate"  # the key of our suppressions in Metadata; checkov's have its own name
PARAMETER_FILE = "parameter-file"  # the rule about them; its findings' resource is the file
PARAMETER_FILES = "https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/"
SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True)
class Skip:
    """A suppression: of a rule for a resource, or for `*`, all of them; with its reason."""

    rule: str
    resource: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Return whether it speaks of the finding."""
        return self.rule == finding.rule and self.resource in ("*", finding.resource)


@dataclass(frozen=True)
class Report:
    """What is wrong, and what is justified with whose reason."""

    findings: list[Finding]
    justified: list[tuple[Finding, Skip]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("template", type=Path, metavar="TEMPLATE", help="JSON or YAML")
    parser.add_argument(
        "parameters",
        type=Path,
        nargs="*",
        metavar="PARAMETERS",
        help="parameter files as aws cloudformation deploy takes them",
    )
    add_output(parser, "sarif")
    parser.add_argument(
        "--tools",
        type=tools_named,
        default=TOOLS,
        metavar="TOOL,…",
        help=f"which to run (default: {','.join(TOOLS)})",
    )


def tools_named(text: str) -> tuple[str, ...]:
    """Return the tools in a list with commas, as an argument's type."""
    named = tuple(text.split(","))
    if unknown := set(named) - set(TOOLS):
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(unknown))}: no such tool; allowed: {', '.join(TOOLS)}"
        )
    return named


def run(arguments: argparse.Namespace) -> int:
    """Print what is wrong; return 0 for nothing, 1 for something."""
    template = load(arguments.template)
    report = validate(template, arguments.parameters, tools=arguments.tools)
    print(FORMATS[arguments.output](template, report, arguments.tools))
    return 1 if report.findings else 0


def validate(
    template: Template, files: Sequence[Path] = (), *, tools: Sequence[str] = TOOLS
) -> Report:
    """Return what the tools say about a template and its parameter files.

    Raises:
        UsageError: a parameter file cannot be read.
        UserError: a tool is missing or failed.
    """
    given = {path: parameters.read(path) for path in files}
    known = template.content.get("Parameters", {})
    found = [
        Finding(
            tool="rules",
            rule=PARAMETER_FILE,
            resource=str(path),
            problem=problem,
            fix="Correct the file, or the parameter's bounds.",
            why="deploy refuses the file, or takes the value for a parameter that it is not.",
            source=PARAMETER_FILES,
        )
        for path, pairs in given.items()
        for problem in parameters.wrong(known, pairs)
    ]
    if "rules" in tools:
        values = {str(path): parameters.usable(known, pairs) for path, pairs in given.items()}
        found += engine.check(template.content, values)
    for tool, linter in external.LINTERS.items():
        if tool in tools:
            found += linter([template.content])[0]
    return sift(template.content, found, tools)


def _skips(content: dict[str, Any]) -> Iterator[Skip]:
    """Yield the suppressions: Metadata.checkov.skip and Metadata.validate.skip, in one shape.

    `[{"id": RULE, "comment": REASON}, …]` beside the resource, as checkov itself reads it; in the
    template's own Metadata for all resources.
    """
    for resource, holder in [("*", content), *content["Resources"].items()]:
        metadata = holder.get("Metadata", {})
        for tool in (external.CHECKOV, OWN):
            for one in metadata.get(tool, {}).get("skip", []):
                yield Skip(str(one.get("id")), resource, str(one.get("comment", "")).strip())
        ignored = metadata.get(external.CFN_LINT, {}).get("config", {}).get("ignore_checks", [])
        for rule in ignored:  # cfn-lint's own shape has no room for a reason
            yield Skip(str(rule), resource, "")


def sift(content: dict[str, Any], found: list[Finding], tools: Sequence[str]) -> Report:
    """Set apart what a template justifies of all that `tools` found in it.

    A suppression without reason or use is a finding itself.
    """
    skips = list(_skips(content))
    justified: list[tuple[Finding, Skip]] = []
    findings = []
    for finding in found:
        skip = next((one for one in skips if one.reason and one.covers(finding)), None)
        if skip:
            justified.append((finding, skip))
        else:
            findings.append(finding)
    used = {skip for _, skip in justified}
    for skip in skips:
        place = "template" if skip.resource == "*" else skip.resource
        if not skip.reason:
            problem = f"the suppression of {skip.rule} gives no reason"
        elif skip not in used and _tool_of(skip.rule) in tools:
            problem = f"the suppression of {skip.rule} is not needed: nothing is found there"
        elif not _tool_of(skip.rule):
            problem = f"the suppression of {skip.rule} names no rule of any tool"
        else:
            continue
        findings.append(
            Finding(
                tool="rules",
                rule="suppression",
                resource=place,
                problem=problem,
                fix='Write Metadata.validate.skip: [{"id": …, "comment": …}], or remove it.',
                why="An exception nobody can explain, or needs, hides the next fault.",
            )
        )
    return Report(findings, justified)


def _tool_of(rule: str) -> str:
    if rule in RULES:
        return "rules"
    if rule.startswith(("CKV_", "CKV2_")):
        return external.CHECKOV
    return external.CFN_LINT if re.fullmatch(r"[EWI]\d{4}", rule) else ""


def _table(template: Template, report: Report, tools: Sequence[str]) -> str:
    """Return the findings by resource, each with what to do about it."""
    lines = []
    ordered = sorted(
        report.findings, key=lambda one: (template.lines.get(one.resource, 0), one.resource)
    )
    before = ""
    for one in ordered:
        if one.resource != before:
            line = template.lines.get(one.resource)
            kind = template.content["Resources"].get(one.resource, {}).get("Type", "")
            place = f"{template.path}:{line}: " if line else ""
            lines += ["" if before else None, f"{place}{one.resource} {kind}".rstrip()]
            before = one.resource
        given = f" (with {one.given})" if one.given else ""
        lines.append(f"  {one.rule}: {one.problem}{given}")
        for label, text in (("why", one.why), ("fix", one.fix), ("see", one.source)):
            if text:
                lines.append(f"    {label}: {text}")
    if report.findings:
        lines.append("")
    counts = Counter(one.tool for one in report.findings)
    said = ", ".join(f"{tool} {counts[tool]}" for tool in tools)
    total = len(report.findings)
    plural = "finding" if total == 1 else "findings"
    size = f"{template.path.stat().st_size:,} bytes, {len(template.content['Resources'])} resources"
    justified = f"{len(report.justified)} justified"
    lines.append(f"{template.path}, {size}: {total} {plural} ({said}), {justified}")
    return "\n".join(line for line in lines if line is not None)


def _json(template: Template, report: Report, _: Sequence[str]) -> str:
    return json.dumps(
        {
            "template": str(template.path),
            "findings": [
                {**asdict(one), "line": template.lines.get(one.resource)} for one in report.findings
            ],
            "justified": [
                {**asdict(one), "line": template.lines.get(one.resource), "reason": skip.reason}
                for one, skip in report.justified
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def _sarif(template: Template, report: Report, _: Sequence[str]) -> str:
    """Return the findings as SARIF 2.1.0, which code hosts show beside the lines.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    """
    all_findings = [*report.findings, *(one for one, _ in report.justified)]
    reasons = {id(one): skip.reason for one, skip in report.justified}
    rules = {
        one.rule: {
            "id": one.rule,
            "shortDescription": {"text": one.why or one.problem},
            **({"help": {"text": one.fix}} if one.fix else {}),
            **({"helpUri": one.source} if one.source else {}),
        }
        for one in all_findings
    }
    results = [
        {
            "ruleId": one.rule,
            "level": "error",
            "message": {
                "text": f"{one.resource}: {one.problem}" + (f" ({one.given})" if one.given else "")
            },
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(_file(template, one).as_posix())},
                        "region": {"startLine": template.lines.get(one.resource, 1)},
                    },
                    "logicalLocations": [{"name": one.resource}],
                }
            ],
            "suppressions": [{"kind": "inSource", "justification": reasons[id(one)]}]
            if id(one) in reasons
            else [],
        }
        for one in all_findings
    ]
    driver = {"name": "darkroom validate", "rules": list(rules.values())}
    return json.dumps(
        {
            "$schema": SARIF,
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "results": results}],
        },
        indent=2,
        ensure_ascii=False,
    )


def _file(template: Template, finding: Finding) -> Path:
    return Path(finding.resource) if finding.rule == PARAMETER_FILE else template.path


FORMATS = {"table": _table, "json": _json, "sarif": _sarif}
