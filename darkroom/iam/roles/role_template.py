"""The CloudFormation template of one IAM role, with its trust and its permissions."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troposphere import (
    Equals,
    GetAtt,
    If,
    Not,
    NoValue,
    Output,
    Parameter,
    Ref,
    Sub,
    Tags,
    Template,
)
from troposphere.iam import ManagedPolicy, Role

from darkroom.iam.roles.stack_arns import CODE_BUCKET, STACK_NAME
from templates import policy_limits
from templates.limits import MAX_BUCKET_NAME_CHARACTERS, POLICY_LIMITS
from templates.naming import NAME_PREFIX
from templates.parameters.builder import Group, if_given, is_given
from templates.policy_limits import LONGEST_PSEUDO

GITHUB = "token.actions.githubusercontent.com"
"""https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws"""

PATH = "/darkroom/"
"""Of the role and its policies. It keeps the role out of the names that it may itself change: roles
of the stack begin with the stack's name and have no path."""

_POLICY_CHARACTERS = POLICY_LIMITS["AWS::IAM::ManagedPolicy"].characters or 0
_MAX_POLICIES = 10
"""Managed policies of a role, by default.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

_LONGEST_STACK_NAME = 25
"""CloudFormation names a role after its stack and its logical id, and shortens both to fit IAM's 64
characters (pitfall 89). A name of this length is never shortened."""

OWN_KEY = {"aws:ResourceTag/Application": Ref(NAME_PREFIX)}
"""The condition that a KMS key has the stack's tag: its id is AWS's."""

_LONGEST_ARN = len("arn:aws-us-gov:iam::111122223333:policy/") + 512 + 128
"""Characters: a path has up to 512, a name up to 128."""

_LONGEST_SUBJECT = 512
"""Characters: more than a repository's and an environment's names of 100 and 255 take."""

_OPTIONAL_ARN = r"^$|^arn:[a-z-]+:iam::\d{12}:%s/.+$"
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9]+)\}")


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A statement that allows something; ARNs are as `Fn::Sub` writes them."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    condition: Any = None
    """As in a policy, or a function of CloudFormation that gives that."""

    def statement(self) -> dict[str, Any]:
        """Return the statement as CloudFormation's."""
        found: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": [Sub(one) if "$" in one else one for one in self.resources],
        }
        return found if self.condition is None else {**found, "Condition": self.condition}

    def variables(self) -> set[str]:
        """Return the parameters that its ARNs name."""
        return {name for one in self.resources for name in _VARIABLE.findall(one)}


def role_template(
    description: str,
    grants: Sequence[Grant],
    declared: Mapping[str, Any],
    *,
    further_parameters: Iterable[str] = (),
) -> Template:
    """Return the template of a role.

    Args:
        description: What the role is for.
        grants: What it may do.
        declared: The pipeline's parameters, as its template declares them: what the ARNs name is
            declared alike.
        further_parameters: Names of those that conditions name.

    Raises:
        ValueError: The permissions need more policies than a role may have.
    """
    template = Template(Description=description)
    template.set_version()
    pipeline = Group(template, "Pipeline")
    pipeline.add(
        STACK_NAME,
        "Name of the pipeline's stack",
        AllowedPattern="^[A-Za-z][A-Za-z0-9-]*$",
        MaxLength=_LONGEST_STACK_NAME,
        ConstraintDescription=(
            f"at most {_LONGEST_STACK_NAME} characters, alphanumeric or hyphens: CloudFormation"
            " shortens longer names in those of the stack's roles"
        ),
    )
    names = {name for one in grants for name in one.variables()}
    names |= {NAME_PREFIX, *further_parameters}
    for name in sorted(names - {STACK_NAME}):
        template.add_parameter(
            Parameter(name, **{**declared[name], "MaxLength": _longest(name, declared)})
        )
        template.add_parameter_to_group(name, pipeline.heading)
    trust = _add_trust(template)
    boundary = Group(template, "Role").add(
        "RolePermissionsBoundaryArn",
        "Permissions boundary of this role; empty for none",
        Default="",
        AllowedPattern=_OPTIONAL_ARN % "policy",
        MaxLength=_LONGEST_ARN,
    )
    policies = [
        template.add_resource(
            ManagedPolicy(
                f"Permissions{number}",
                Path=PATH,
                PolicyDocument={
                    "Version": "2012-10-17",
                    "Statement": [one.statement() for one in group],
                },
            )
        )
        for number, group in enumerate(_packed(grants, declared), start=1)
    ]
    if len(policies) > _MAX_POLICIES:
        raise ValueError(
            f"the permissions need {len(policies)} managed policies, and a role has at most"
            f" {_MAX_POLICIES}: use fewer sources and queues, or several stacks"
        )
    role = template.add_resource(
        Role(
            "Role",
            Path=PATH,
            Description=description,
            AssumeRolePolicyDocument=trust,
            ManagedPolicyArns=[Ref(one) for one in policies],
            PermissionsBoundary=if_given(template, "HasRoleBoundary", boundary, otherwise=NoValue),
            Tags=Tags(Application=Ref(NAME_PREFIX)),
        )
    )
    template.add_output(Output("RoleArn", Description="ARN of the role", Value=GetAtt(role, "Arn")))
    policy_limits.check(template.to_dict())
    return template


def _add_trust(template: Template) -> dict[str, Any]:
    """Add the parameters of who may assume the role; return the trust policy."""
    group = Group(template, "Trust")
    subject = group.add(
        "GitHubSubject",
        "Subject of GitHub Actions, such as repo:OWNER/NAME:environment:prod; empty for none",
        Default="",
        AllowedPattern=r"^$|^repo:[^*?\s]+$",
        MaxLength=_LONGEST_SUBJECT,
        ConstraintDescription="repo:OWNER/NAME:environment:NAME or :ref:REF, without wildcards",
    )
    principal = group.add(
        "TrustedRoleArn",
        "Role of this account or another that may assume this one; empty for none",
        Default="",
        AllowedPattern=_OPTIONAL_ARN % "(role|user)",
        MaxLength=_LONGEST_ARN,
    )
    template.add_rule(
        "SomebodyIsTrusted",
        {
            "Assertions": [
                {
                    "Assert": Not(Equals(Sub("${GitHubSubject}${TrustedRoleArn}"), "")),
                    "AssertDescription": "Give GitHubSubject, TrustedRoleArn, or both.",
                }
            ]
        },
    )
    has_subject = is_given(template, "HasGitHubSubject", subject)
    has_principal = is_given(template, "HasTrustedRole", principal)
    federated = {
        "Sid": "GitHubActions",
        "Effect": "Allow",
        "Principal": {
            "Federated": Sub(
                f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:oidc-provider/{GITHUB}"
            )
        },
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": subject}
        },
    }
    assumed = {
        "Sid": "Role",
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "sts:AssumeRole",
    }
    return {
        "Version": "2012-10-17",
        "Statement": [If(has_subject, federated, NoValue), If(has_principal, assumed, NoValue)],
    }


def _packed(grants: Sequence[Grant], declared: Mapping[str, Any]) -> Iterator[list[Grant]]:
    """Yield the grants that fit one managed policy each, with the longest names."""
    group: list[Grant] = []
    used = room = _POLICY_CHARACTERS - len('{"Version":"2012-10-17","Statement":[]}')
    for one in sorted(grants, key=lambda grant: grant.sid):
        size = _characters(one, declared)
        if used + size > room:
            if group:
                yield group
            group, used = [], 0
        group.append(one)
        used += size
    yield group


def _longest(name: str, declared: Mapping[str, Any]) -> int:
    """Return the most characters of a parameter's value."""
    if name == STACK_NAME:
        return _LONGEST_STACK_NAME
    if name == CODE_BUCKET:
        return MAX_BUCKET_NAME_CHARACTERS
    return int(declared[name].get("MaxLength", _LONGEST_ARN))


def _characters(grant: Grant, declared: Mapping[str, Any]) -> int:
    """Return the length of a statement with the longest names, and a comma."""

    def longest(name: str) -> str:
        if name in LONGEST_PSEUDO:
            return LONGEST_PSEUDO[name]
        return _longest(name, declared) * "x"

    statement = {
        **grant.statement(),
        "Resource": [
            re.sub(r"\$\{([A-Za-z0-9:]+)\}", lambda match: longest(match[1]), one)
            for one in grant.resources
        ],
    }
    # A reference in a condition is longer than most of what it stands for.
    return (
        len(json.dumps(statement, separators=(",", ":"), default=lambda one: one.to_dict())) + 100
    )
