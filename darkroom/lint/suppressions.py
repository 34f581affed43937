"""Suppressions in a template's Metadata: which findings they cover, and which are needed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from darkroom.lint.catalogue import ALL_RULES, SUPPRESSION
from darkroom.lint.finding import Finding

OURS = "darkroom"  # the key of our suppressions in Metadata; checkov's have its own name
CFN_LINT = "cfn-lint"
CHECKOV = "checkov"
CODES = {one.code for one in ALL_RULES.values()}


@dataclass(frozen=True)
class Suppression:
    """A rule's code or name, the resource it is suppressed for (`*`: all), and the reason."""

    rule: str
    resource: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Return whether the finding is of this rule and resource."""
        return self.rule in (finding.code, finding.rule) and (
            self.resource in ("*", finding.resource)
        )


def suppressions(content: dict[str, Any]) -> Iterator[Suppression]:
    """Yield the suppressions of a template: Metadata.checkov.skip and Metadata.darkroom.skip.

    Both are `[{"id": RULE, "comment": REASON}, …]`, as checkov reads it: in a resource's Metadata
    for that resource, in the template's for all of them.
    """
    for resource, holder in [("*", content), *content["Resources"].items()]:
        metadata = holder.get("Metadata", {})
        for tool in (CHECKOV, OURS):
            for one in metadata.get(tool, {}).get("skip", []):
                yield Suppression(str(one.get("id")), resource, str(one.get("comment", "")).strip())
        ignored = metadata.get(CFN_LINT, {}).get("config", {}).get("ignore_checks", [])
        for rule in ignored:  # cfn-lint's own form has no place for a reason
            yield Suppression(str(rule), resource, "")


def apply(
    content: dict[str, Any], found: Sequence[Finding], linters: Sequence[str]
) -> tuple[list[Finding], list[tuple[Finding, Suppression]]]:
    """Return the findings that remain, and those that are suppressed, each with its suppression.

    A suppression without a reason is a finding, and so is one of a rule of `linters`, those that
    ran, that covers no finding.
    """
    known = list(suppressions(content))
    suppressed: list[tuple[Finding, Suppression]] = []
    remaining: list[Finding] = []
    for finding in found:
        match = next((one for one in known if one.reason and one.covers(finding)), None)
        if match:
            suppressed.append((finding, match))
        else:
            remaining.append(finding)
    used = {one for _, one in suppressed}
    for one in known:
        linter = _linter_of(one.rule)
        if not one.reason:
            problem = "gives no reason"
        elif one not in used and linter in linters:
            problem = "is not needed: the rule finds nothing there"
        elif not linter:
            problem = "names no rule of any linter"
        else:
            continue
        resource = "template" if one.resource == "*" else one.resource
        remaining.append(SUPPRESSION.finding(resource, f"the suppression of {one.rule} {problem}"))
    return remaining, suppressed


def _linter_of(rule: str) -> str:
    if rule in ALL_RULES or rule in CODES:
        return "rules"
    if rule.startswith(("CKV_", "CKV2_")):
        return CHECKOV
    return CFN_LINT if re.fullmatch(r"[EWI]\d{4}", rule) else ""
