"""Runs the linters over a template and its parameter files."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from darkroom.cloudformation import parameters
from darkroom.cloudformation.loader import TemplateFile
from darkroom.cloudformation.model import TemplateModel
from darkroom.lint import suppressions
from darkroom.lint.catalogue import PARAMETER_FILE, RULES
from darkroom.lint.finding import Finding
from darkroom.lint.rule import Rule

LINTERS = ("rules", suppressions.CFN_LINT, suppressions.CHECKOV)
CHINA = {
    "AWS::Partition": "aws-cn",
    "AWS::Region": "cn-north-1",
    "AWS::URLSuffix": "amazonaws.com.cn",
}
# CloudFront's own Region: resources for it may be created nowhere else.
CLOUDFRONT = {"AWS::Region": "us-east-1"}


@dataclass(frozen=True)
class Report:
    """The findings about a template, and the suppressed ones with their suppression."""

    template: TemplateFile
    linters: Sequence[str]
    findings: list[Finding]
    suppressed: list[tuple[Finding, suppressions.Suppression]]


def validate(
    template: TemplateFile,
    parameter_files: Sequence[Path] = (),
    *,
    linters: Sequence[str] = LINTERS,
    notify: Callable[[str], None] = lambda _: None,
) -> Report:
    """Return what `linters` report about a template and its parameter files.

    `notify` gets a sentence before the rules and before the other linters start.

    Raises:
        UsageError: A parameter file cannot be read.
        UserError: A linter is not installed, or failed.
    """
    (report,) = validate_all([(template, parameter_files)], linters=linters, notify=notify)
    return report


def validate_all(
    templates: Sequence[tuple[TemplateFile, Sequence[Path]]],
    *,
    linters: Sequence[str] = LINTERS,
    notify: Callable[[str], None] = lambda _: None,
) -> list[Report]:
    """Return a report on each template with its parameter files; each linter starts once.

    Raises:
        UsageError: A parameter file cannot be read.
        UserError: A linter is not installed, or failed.
    """
    declared = [template.content.get("Parameters", {}) for template, _ in templates]
    read = [{path: parameters.read_file(path) for path in paths} for _, paths in templates]
    found = [
        [
            PARAMETER_FILE.finding(str(path), problem, path=str(path))
            for path, pairs in files.items()
            for problem in parameters.problems(known, pairs)
        ]
        for known, files in zip(declared, read, strict=True)
    ]
    contents = [template.content for template, _ in templates]
    if "rules" in linters:
        notify(f"Running {len(RULES)} rules")
        for content, known, files, findings in zip(contents, declared, read, found, strict=True):
            values = {
                str(path): parameters.typed_values(known, pairs) for path, pairs in files.items()
            }
            findings += check(content, values)
    if set(linters) - {"rules"}:
        from darkroom.lint import external  # importing cfn-lint's checks takes a second

        chosen = {name: run for name, run in external.LINTERS.items() if name in linters}
        notify(f"Running {' and '.join(chosen)} (up to a minute)")
        # checkov is a program of its own, which runs while cfn-lint does.
        with ThreadPoolExecutor() as pool:
            for by_template in pool.map(lambda run: run(contents), chosen.values()):
                for findings, more in zip(found, by_template, strict=True):
                    findings += more
    return [
        _report(template, linters, findings)
        for (template, _), findings in zip(templates, found, strict=True)
    ]


def _report(template: TemplateFile, linters: Sequence[str], found: list[Finding]) -> Report:
    """Tell what is suppressed, and give each finding the place of its resource."""
    remaining, suppressed = suppressions.apply(template.content, found, linters)

    def located(finding: Finding) -> Finding:
        if finding.path:
            return finding
        line = template.lines.get(finding.resource)
        return replace(finding, path=str(template.path), line=line)

    return Report(
        template,
        linters,
        [located(one) for one in remaining],
        [(located(one), why) for one, why in suppressed],
    )


def check(
    content: dict[str, Any],
    files: Mapping[str, Mapping[str, Any]],
    rules: Collection[Rule] = tuple(RULES.values()),
) -> Iterator[Finding]:
    """Yield what the rules find, each problem once, with the first values that show it.

    `files` are the values of each parameter file. Besides them and the defaults, each parameter
    is set to its bounds, and each condition is tried both ways; so are two Regions with resources
    or names of their own.
    """
    found: set[tuple[str, str, str]] = set()
    for name, values in scenarios(content, files):
        model = TemplateModel(content, dict(values))
        if name not in ("", *files) and _is_rejected(model):
            continue
        for one in rules:
            for resource, problem in problems(one, model):
                # The same problem with other numbers is the same problem.
                key = (one.name, resource, re.sub(r"\d+", "", problem))
                if key not in found:
                    found.add(key)
                    yield one.finding(resource, problem, parameters=name)


def _is_rejected(model: TemplateModel) -> bool:
    """Return whether the template's own Rules section rejects the parameter values."""
    try:
        return bool(model.broken_rules())
    except (AttributeError, KeyError, TypeError, ValueError):
        return False  # cfn-rules-pass reports it


def problems(one: Rule, model: TemplateModel) -> Iterator[tuple[str, str]]:
    """Yield a rule's problems; a rule that cannot read the template has not passed."""
    try:
        yield from one.check(model)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        yield (
            "template",
            f"does not have the form that this rule expects: {type(error).__name__} {error}",
        )


def scenarios(
    content: dict[str, Any], files: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a description and the parameter values of each run; the first are the defaults."""
    yield "", {}
    for name, values in files.items():
        yield name, dict(values)
    compared = _compared(content)
    others: dict[str, Any] = {}
    for name, value in _variations(content, compared):
        if str(value) != str(content["Parameters"][name].get("Default")):
            yield f"{name}={value}", {name: value}
            if name in compared:
                others[name] = value
    yield "every condition reversed", others
    yield "in us-east-1", CLOUDFRONT
    yield "in China", {**others, **CHINA}


def _variations(
    content: dict[str, Any], compared: Mapping[str, list[str]]
) -> Iterator[tuple[str, Any]]:
    """Yield parameter and value: its bounds, and what the template compares it with."""
    for name, parameter in content.get("Parameters", {}).items():
        if name in compared:
            # `<name>`: a value that differs from all that the template compares it with.
            values = parameter.get("AllowedValues") or [*compared[name], f"<{name}>"]
            yield from ((name, value) for value in values)
        elif parameter.get("Type") == "Number":
            yield from ((name, parameter[b]) for b in ("MinValue", "MaxValue") if b in parameter)


def _compared(content: dict[str, Any]) -> dict[str, list[str]]:
    """Return the parameters that conditions compare, with the values they are compared with."""
    found: dict[str, list[str]] = {}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            pair = value.get("Fn::Equals")
            if isinstance(pair, list):
                names = [one["Ref"] for one in pair if isinstance(one, dict) and "Ref" in one]
                texts = [str(one) for one in pair if not isinstance(one, dict)]
                for name in names:
                    if name in content.get("Parameters", {}):
                        found.setdefault(name, []).extend(texts)
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(content.get("Conditions", {}))
    return found
