"""All rules, by name."""

from types import ModuleType

from darkroom.lint.rule import Rule
from darkroom.lint.rules import (
    alarms,
    apis,
    buckets,
    dashboards,
    encryption,
    endpoints,
    event_source_mappings,
    event_sources,
    functions,
    lifecycles,
    logs,
    network,
    policies,
    queues,
    regions,
    template,
)

MODULES: tuple[ModuleType, ...] = (
    queues,
    event_source_mappings,
    event_sources,
    functions,
    buckets,
    lifecycles,
    encryption,
    policies,
    network,
    endpoints,
    alarms,
    dashboards,
    logs,
    regions,
    apis,
    template,
)
RULES: dict[str, Rule] = {
    one.name: one for module in MODULES for one in vars(module).values() if isinstance(one, Rule)
}
"""The rules about templates."""

PARAMETER_FILE = Rule(
    code="DR-CFN-009",
    name="cfn-parameter-file",
    severity="error",
    title="A parameter file fits the template's parameters.",
    why="`aws cloudformation deploy` rejects the file, or a value goes to another parameter.",
    remediation="Correct the file, or the parameter's constraints.",
    source="https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/",
    requirements=("D4",),
    pitfalls=(36,),
)
SUPPRESSION = Rule(
    code="DR-CFN-010",
    name="cfn-suppression",
    severity="error",
    title="A suppression has a reason and is needed.",
    why="A suppression that nobody can explain, or that nothing needs, hides the next fault.",
    remediation='Write Metadata.darkroom.skip: [{"id": …, "comment": …}], or remove it.',
    source=(
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-metadata.html"
    ),
    requirements=("D4",),
)
ALL_RULES: dict[str, Rule] = {
    one.name: one for one in (*RULES.values(), PARAMETER_FILE, SUPPRESSION)
}
"""The rules about templates, and those about what stands beside them."""
