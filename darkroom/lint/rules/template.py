"""Rules about the template as a whole: names, limits, parameters, hard-coded values."""

import json
import re
from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.parameters import max_length, violation
from darkroom.cloudformation.references import references
from darkroom.cloudformation.resource_types import resource_type
from darkroom.lint.rule import Problems, rule
from templates import limits, policy_limits

CLOUDFORMATION = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide"
QUOTAS = f"{CLOUDFORMATION}/cloudformation-limits.html"
NAMING = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"
PSEUDO = f"{CLOUDFORMATION}/pseudo-parameter-reference.html"

# The longest values of pseudo parameters; `ap-northeast-1` has 14 characters.
LONGEST = {"AWS::AccountId": 12, "AWS::Region": 15, "AWS::Partition": 10, "AWS::StackName": 128}
# Types without a Region in their ARN; buckets have a rule of their own.
GLOBAL = ("CloudWatch::Dashboard", "IAM::Role")
REGION = re.compile(r"\b(?:af|ap|ca|cn|eu|il|me|mx|sa|us)(?:-gov)?-[a-z]+-\d\b")
# CloudFront's log deliveries have their sources in this Region, wherever the stack is (pitfall 79).
CLOUDFRONT_LOGS = re.compile(r":logs:us-east-1(?=:.*:delivery-source:)")
# An account id: the fifth part of an ARN, in a queue's URL, or alone.
ACCOUNT = re.compile(r"(?<![\w.])\d{12}(?![\w.])")


@rule(
    "DR-CFN-001",
    "error",
    remediation="Make it smaller, or split it into stacks.",
    source=QUOTAS,
    requirements=("D7",),
    pitfalls=(31,),
)
def cfn_template_size(model: TemplateModel) -> Problems:
    """The template stays within CloudFormation's limits.

    CloudFormation accepts 1 MB through S3, 500 resources, 200 parameters and 200 outputs.
    """
    # Without white space: the smallest form of the template. The 51,200 bytes of a direct
    # deployment are not a limit: `aws cloudformation deploy --s3-bucket` goes through S3.
    size = len(json.dumps(model.template, separators=(",", ":")).encode())
    if size > limits.MAX_TEMPLATE_BYTES:
        yield (
            "template",
            f"is {size:,} bytes without white space; {limits.MAX_TEMPLATE_BYTES:,} are allowed",
        )
    for section, limit in (
        ("Resources", limits.MAX_RESOURCES),
        ("Parameters", limits.MAX_PARAMETERS),
        ("Outputs", limits.MAX_OUTPUTS),
    ):
        if (count := len(model.template.get(section, {}))) > limit:
            yield "template", f"has {count} {section.lower()}; {limit} are allowed"


@rule(
    "DR-IAM-015",
    "error",
    remediation="Merge statements that differ by resource or source only, or split the policy.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html",
    pitfalls=(31, 81),
)
def iam_policy_size(model: TemplateModel) -> Problems:
    """Policies stay within the limits of their services: bytes, statements, conditions.

    A policy over its service's limit fails in the middle of a deployment.
    """
    for title, _ in model.active_resources():
        attached = [
            one["PolicyDocument"]
            for type_name in policy_limits.INLINE
            for one in model.resources_of_type(type_name.removeprefix("AWS::")).values()
            if title
            in [
                model.logical_id(role, "IAM::Role")
                for role in [*one.get("Roles", []), one.get("RoleName")]
            ]
        ]
        kind, properties = f"AWS::{model.type_of(title)}", model.properties(title)
        for limit, documents in policy_limits.policies(kind, properties, attached):
            for excess in policy_limits.excesses(limit, documents):
                yield title, excess


@rule(
    "DR-CFN-002",
    "warning",
    remediation=(
        "Start each name with a parameter that differs by stack, or let CloudFormation choose the"
        " name."
    ),
    source=f"{CLOUDFORMATION}/aws-properties-name.html",
    requirements=("D3",),
    pitfalls=(52,),
)
def cfn_unique_names(model: TemplateModel) -> Problems:
    """Resource names differ by stack.

    Two stacks in one account and Region cannot use the same name.
    """
    for title, given in _names(model):
        leads = {
            name
            for name in references(given)
            if name in model.parameters or name in ("AWS::StackName", "AWS::StackId")
        }
        if isinstance(given, str) or not leads:
            yield title, f"is always named {json.dumps(given)}"


@rule(
    "DR-CFN-003",
    "warning",
    remediation="Add ${AWS::Region} to the name, or let CloudFormation choose the name.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Dashboards.html",
    requirements=("D2",),
    pitfalls=(52,),
)
def cfn_global_names(model: TemplateModel) -> Problems:
    """Names of global resources differ by Region.

    Dashboards and roles are global to the account: the same stack in another Region collides.
    """
    for title, given in _names(model):
        by_region = {"AWS::Region", "AWS::StackId"} & set(references(given))
        if model.type_of(title) in GLOBAL and not by_region:
            yield title, "has the same name in every Region of the account"


def _names(model: TemplateModel) -> Iterator[tuple[str, Any]]:
    for title, resource in model.active_resources():
        key = resource_type(model.type_of(title)).name
        if key and key in resource.get("Properties", {}):
            yield title, resource["Properties"][key]


@rule(
    "DR-S3-016",
    "error",
    remediation=(
        "Build the name from a parameter with a MaxLength and an AllowedPattern of lower-case"
        " letters, digits and hyphens, the account and the Region; not from AWS::StackName."
    ),
    source=NAMING,
    requirements=("D3",),
    pitfalls=(44,),
)
def s3_bucket_name(model: TemplateModel) -> Problems:
    """A bucket's name is valid and globally unique for every parameter value.

    A bucket's name has at most 63 characters, is lower-case, and is unique among all AWS
    accounts.
    """
    for title, given in _names(model):
        if model.type_of(title) != "S3::Bucket" or isinstance(given, str):
            continue
        text = _flat(given)
        parts = re.findall(r"\$\{([^}]+)\}", text)
        fixed = len(re.sub(r"\$\{[^}]+\}", "", text))
        lengths = [
            LONGEST.get(part) or max_length(model.parameters.get(part, {})) for part in parts
        ]
        if "AWS::StackName" in parts:
            yield title, "is named after the stack, whose name may have capitals and 128 characters"
        elif None in lengths:
            unbounded = [part for part, length in zip(parts, lengths, strict=True) if not length]
            yield title, f"has a name as long as {', '.join(unbounded)}, which has no MaxLength"
        elif (most := fixed + sum(filter(None, lengths))) > limits.MAX_BUCKET_NAME_CHARACTERS:
            yield (
                title,
                f"has a name of up to {most} characters;"
                f" {limits.MAX_BUCKET_NAME_CHARACTERS} are allowed",
            )
        for part in parts:
            parameter = model.parameters.get(part)
            if parameter and any(not violation(parameter, bad) for bad in ("Aa", "a_b", "AAA")):
                yield (
                    title,
                    f"has {part} in its name, which allows more than a bucket's name may have",
                )
        if "AWS::AccountId" not in parts or "AWS::Region" not in parts:
            yield title, "has a name without account and Region: it may be taken"


def _flat(value: Any) -> str:
    """Return a name as the text of a Sub, whichever function builds it."""
    if isinstance(value, dict):
        if "Fn::Sub" in value:
            return _flat(value["Fn::Sub"])
        if "Ref" in value:
            return f"${{{value['Ref']}}}"
        if "Fn::Join" in value:
            separator, parts = value["Fn::Join"]
            return str(separator).join(map(_flat, parts))
    return _flat(value[0]) if isinstance(value, list) else str(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


@rule(
    "DR-CFN-004",
    "warning",
    remediation="Use ${AWS::AccountId}, ${AWS::Region}, ${AWS::Partition} and ${AWS::URLSuffix}.",
    source=PSEUDO,
    requirements=("D2", "S7"),
    pitfalls=(46,),
)
def cfn_hardcoded_account_or_region(model: TemplateModel) -> Problems:
    """No account, Region or partition is hard-coded.

    A hard-coded account, Region or partition works in one place and fails, or leaks data, in
    others.
    """
    for title, resource in model.active_resources():
        for text in _texts({"p": resource.get("Properties"), "d": resource.get("DependsOn")}):
            for wrong in (
                *ACCOUNT.findall(text),
                *REGION.findall(CLOUDFRONT_LOGS.sub("", text)),
                *re.findall(r"\barn:aws(?:-cn|-us-gov)?:", text),
            ):
                yield title, f"contains {wrong!r} in {text[:80]!r}"


@rule(
    "DR-CFN-005",
    "error",
    remediation=(
        "Make the Default fit the parameter's own AllowedPattern, AllowedValues and bounds."
    ),
    source=f"{CLOUDFORMATION}/parameters-section-structure.html",
    requirements=("D4", "R4"),
)
def cfn_parameter_default(model: TemplateModel) -> Problems:
    """A parameter's default satisfies its own constraints.

    A default that the parameter rejects stops everyone who does not change it.
    """
    for name, parameter in model.parameters.items():
        if "Default" in parameter and (wrong := violation(parameter, parameter["Default"])):
            yield name, f"has a default that {wrong}"


@rule(
    "DR-CFN-006",
    "info",
    remediation=(
        "Give the parameter an AllowedPattern, AllowedValues, a MinValue and MaxValue, or an AWS"
        " type."
    ),
    source=f"{CLOUDFORMATION}/parameters-section-structure.html",
    requirements=("D4", "R4"),
)
def cfn_parameter_constraints(model: TemplateModel) -> Problems:
    """A parameter has constraints.

    What a parameter does not reject fails later, in the middle of a deployment.
    """
    for name, parameter in model.parameters.items():
        kind = str(parameter.get("Type"))
        if "AllowedValues" in parameter or "AllowedPattern" in parameter:
            continue
        if kind == "Number" and not {"MinValue", "MaxValue"} <= set(parameter):
            yield name, "is a number without MinValue and MaxValue"
        elif kind == "String" and "MaxLength" not in parameter:
            yield name, "is a string without AllowedPattern, AllowedValues or MaxLength"


@rule(
    "DR-CFN-007",
    "error",
    remediation="Correct the value, or the rule or mapping that rejects it.",
    source=f"{CLOUDFORMATION}/rules-section-structure.html",
    requirements=("D2", "D4"),
    pitfalls=(25,),
)
def cfn_rules_pass(model: TemplateModel) -> Problems:
    """The parameter values pass the template's rules.

    An assertion that the values break stops the deployment.
    """
    for sentence in model.broken_rules():
        yield "template", f"stops with: {sentence}"
    for name, of_region in model.template.get("Mappings", {}).items():
        for key, values in of_region.items():
            for value in values.values():
                if isinstance(value, str) and value == "0.0.0.0/0":
                    yield "template", f"maps {name}.{key} to {value}: the whole internet"
