"""The text of docs/rules.md, the reference of all rules."""

import re
from itertools import groupby

from darkroom.lint.catalogue import ALL_RULES, PARAMETER_FILE, RULES, SUPPRESSION
from darkroom.lint.rule import Rule

SERVICES = {
    "API": "API Gateway",
    "CFN": "The template as a whole",
    "CLOUDWATCH": "CloudWatch alarms and dashboards",
    "EVENTS": "EventBridge",
    "FIREHOSE": "Amazon Data Firehose",
    "IAM": "IAM policies and roles",
    "KMS": "KMS keys",
    "LAMBDA": "Lambda functions and event source mappings",
    "LOGS": "CloudWatch Logs",
    "S3": "S3 buckets",
    "SNS": "SNS topics",
    "SQS": "SQS queues",
    "VPC": "VPC, subnets and security groups",
    "VPCE": "VPC endpoints",
}
HEAD = f"""\
# Rules

Generated from the rules by `tox run -e docs`.

`darkroom validate` checks any S3 → SQS → Lambda template by {len(RULES)} rules, and its parameter
files and suppressions by {len(ALL_RULES) - len(RULES)} more. `darkroom validate --list-rules`
prints this list as a table or as JSON.

| severity | meaning | SARIF | cfn-lint |
|---|---|---|---|
| error | a deployment fails, data is lost or exposed, or processing stops | `error` | `E` |
| warning | it works, but a safeguard is missing or it costs more than it must | `warning` | `W` |
| info | advice | `note` | `I` |

A rule is suppressed by its code or its name, with a reason: for one resource in that resource's
Metadata, for all of them in the template's.

```yaml
Metadata:
  darkroom:
    skip:
      - id: sqs-visibility-timeout
        comment: The function is idempotent and ends within a second.
```

The rules about templates are a plug-in of cfn-lint as well, with cfn-lint's formats and editors:

```console
$ cfn-lint --include-checks I --append-rules darkroom.lint.cfn_lint_plugin -- build/stack.json
```

There the rules have the ids that stand below. The plug-in reads the template with its defaults, at
the bounds of its parameters and with each condition both ways, as `darkroom validate` does. It
takes no parameter files, so that `{PARAMETER_FILE.name}` and `{SUPPRESSION.name}` are not in it.
"""


def render() -> str:
    """Return the page as Markdown."""
    rules = sorted(ALL_RULES.values(), key=lambda one: (one.service, one.code))
    parts = [HEAD]
    for service, of_service in groupby(rules, key=lambda one: one.service):
        parts.append(f"## {SERVICES[service]}\n")
        parts += [_section(one) for one in of_service]
    return "\n".join(parts)


def _section(rule: Rule) -> str:
    facts = [f"**{rule.severity}**"]
    if rule.name in RULES:
        facts.append(f"cfn-lint `{rule.cfn_lint_id}`")
    if rule.requirements:
        facts.append(f"[requirements](requirements.md): {', '.join(rule.requirements)}")
    if rule.pitfalls:
        facts.append(f"[pitfalls](pitfalls.md): {', '.join(map(str, rule.pitfalls))}")
    return (
        f"### {rule.code} {rule.name}\n\n"
        f"{_escaped(rule.title)}\n\n"
        f"- {'; '.join(facts)}\n"
        f"- Why: {_escaped(rule.why)}\n"
        f"- Fix: {_escaped(rule.remediation)} ([AWS]({rule.source}))\n"
    )


def _escaped(text: str) -> str:
    """Return text with what Markdown would read as emphasis or HTML escaped, outside of code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*<_])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)
