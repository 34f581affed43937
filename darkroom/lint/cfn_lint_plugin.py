"""The rules as a plug-in of cfn-lint: `cfn-lint --append-rules darkroom.lint.cfn_lint_plugin`."""

import json
from functools import lru_cache

from cfnlint.rules import CloudFormationLintRule, RuleMatch
from cfnlint.template import Template

from darkroom.lint.catalogue import RULES
from darkroom.lint.engine import check
from darkroom.lint.finding import Finding
from darkroom.lint.rule import Rule
from darkroom.lint.suppressions import suppressions


@lru_cache(maxsize=1)
def _findings(template: Template) -> list[Finding]:
    """Return what all rules find: cfn-lint asks one rule after another about the same template."""
    content = json.loads(json.dumps(template.template, default=str))
    if not content.get("Resources"):
        return []  # cfn-lint reports it
    known = [one for one in suppressions(content) if one.reason]
    found = check(content, {})
    return [one for one in found if not any(skip.covers(one) for skip in known)]


def _plugin_rule(rule: Rule) -> type[CloudFormationLintRule]:
    """Return a class of cfn-lint's that reports the findings of `rule`."""

    def match(self: CloudFormationLintRule, cfn: Template) -> list[RuleMatch]:
        del self
        return [_match(one, cfn) for one in _findings(cfn) if one.code == rule.code]

    settings = {
        "id": rule.cfn_lint_id,
        "shortdesc": rule.title,
        "description": f"{rule.why} {rule.remediation}",
        "source_url": rule.source,
        "tags": ["darkroom", rule.service.lower(), rule.code, rule.name],
        "match": match,
    }
    return type(rule.name, (CloudFormationLintRule,), settings)


def _match(finding: Finding, cfn: Template) -> RuleMatch:
    sections = ("Resources", "Parameters")
    path = next(
        (
            [one, finding.resource]
            for one in sections
            if finding.resource in cfn.template.get(one, {})
        ),
        [],
    )
    where = f" (with {finding.parameters})" if finding.parameters else ""
    return RuleMatch(path, f"{finding.resource} {finding.message}{where} [{finding.code}]")


# cfn-lint makes a rule of each class that it finds in this module.
globals().update({rule.name: _plugin_rule(rule) for rule in RULES.values()})
