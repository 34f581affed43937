"""A stack to be created or updated: its template, parameter values and existing state."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from darkroom.aws.session import Account, open_account
from darkroom.aws.stack import Stack, find_stack
from darkroom.checks.stack_inputs import StackInputs, with_defaults
from darkroom.cloudformation import parameters
from darkroom.cloudformation.identifiers import PREDICTED
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console.command import StackOptions
from darkroom.errors import UsageError
from templates.limits import MAX_DIRECT_TEMPLATE_BYTES


@dataclass(frozen=True, kw_only=True)
class DeploymentPlan:
    """A template with the values that a stack is to be deployed with; immutable."""

    account: Account
    name: str
    template: Mapping[str, Any]
    template_bytes: int
    given: Mapping[str, str]
    """Values from parameter files and the command line, as text."""

    problems: tuple[str, ...] = ()
    """What is wrong with those values, as sentences."""

    find_existing: Callable[[], Stack | None]
    """Returns the stack that a deployment would update; asks AWS at most once."""

    discovered: Mapping[str, str] = field(default_factory=dict)
    """Values that checks have looked up where none was given."""

    is_uploaded: bool = False
    """Whether a large template goes to CloudFormation through a bucket without being asked."""

    def with_discovered(self, values: Mapping[str, str]) -> "DeploymentPlan":
        """Return the plan with more discovered values."""
        return replace(self, discovered={**self.discovered, **values})

    @property
    def declared(self) -> Mapping[str, Any]:
        """The template's Parameters section."""
        found: Mapping[str, Any] = self.template.get("Parameters", {})
        return found

    @property
    def existing(self) -> Stack | None:
        """The stack that a deployment would update, or None."""
        return self.find_existing()

    @property
    def values(self) -> dict[str, str]:
        """All parameter values: `deploy` keeps those that an existing stack has."""
        kept = self.existing.parameters if self.existing else {}
        return with_defaults(self.declared, kept, self.given, self.discovered)

    @property
    def inputs(self) -> StackInputs:
        """The stack's parameters, for the checks that `verify` has as well."""
        return StackInputs(
            account=self.account,
            template=replace(self.resolved, identifiers=PREDICTED),
            values=self.values,
            resources=self.existing.resources if self.existing else {},
        )

    @property
    def resolved(self) -> ResolvedTemplate:
        """The template as CloudFormation would resolve it with these values."""
        values = parameters.typed_values(dict(self.declared), self.values.items())
        pseudo = self.account.pseudo_parameters(self.name)
        return ResolvedTemplate(dict(self.template)).with_parameters(**values, **pseudo)

    @property
    def parameter_file(self) -> str:
        """The content of a parameter file with the given and the discovered values."""
        pairs = [f"{name}={value}" for name, value in self.chosen.items()]
        return json.dumps(pairs, indent=2) + "\n"

    @property
    def chosen(self) -> dict[str, str]:
        """The given and the discovered values, in the order of the template."""
        values = {**self.given, **self.discovered}
        return {name: values[name] for name in self.declared if name in values}

    def deploy_command(self, template_file: Path, parameter_file: Path) -> str:
        """Return the AWS CLI command that deploys the plan with a parameter file."""
        is_large = self.template_bytes > MAX_DIRECT_TEMPLATE_BYTES
        bucket = f" --s3-bucket {self.values['CodeBucket']}" if is_large else ""
        return (
            f"aws cloudformation deploy --stack-name {self.name} --region {self.account.region}"
            f" --template-file {template_file}{bucket} --capabilities CAPABILITY_IAM"
            f" --parameter-overrides file://{parameter_file}"
        )


def open_plan(
    stack: StackOptions,
    template_file: Path,
    parameter_files: Sequence[Path] = (),
    overrides: Sequence[str] = (),
) -> DeploymentPlan:
    """Return the plan of a command's options.

    Args:
        stack: Name, region and profile of the stack.
        template_file: A template as JSON.
        parameter_files: Files as `aws cloudformation deploy` accepts them; later ones win.
        overrides: Texts `KEY=VALUE`, which win over the files.

    Raises:
        UsageError: a file cannot be read, or an override is not `KEY=VALUE`.
        UserError: there is no such profile, or no region.
    """
    content, template = _read_template(template_file)
    account = open_account(region=stack.region, profile=stack.profile)
    size = len(content.encode())
    return plan_of(account, stack.name, template, size, parameter_files, overrides)


def plan_of(
    account: Account,
    name: str,
    template: Mapping[str, Any],
    template_bytes: int,
    parameter_files: Sequence[Path] = (),
    overrides: Sequence[str] = (),
) -> DeploymentPlan:
    """Return the plan of a template, which has this size as text; as `open_plan`.

    Raises:
        UsageError: a file cannot be read, or an override is not `KEY=VALUE`.
    """
    declared = template.get("Parameters", {})
    given: dict[str, str] = {}
    problems: list[str] = []
    for path in parameter_files:
        pairs = parameters.read_file(path)
        problems += [f"{path}: {problem}" for problem in parameters.problems(declared, pairs)]
        given |= dict(pairs)
    pairs = [_key_value(text) for text in overrides]
    problems += parameters.problems(declared, pairs)
    given |= dict(pairs)
    return DeploymentPlan(
        account=account,
        name=name,
        template=template,
        template_bytes=template_bytes,
        given=given,
        problems=tuple(problems),
        find_existing=functools.cache(functools.partial(find_stack, account, name)),
    )


def _read_template(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        content = path.read_text(encoding="utf-8")
        template = json.loads(content)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror};"
            f" python generate.py --output {path} writes it"
        ) from None
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON: {error}") from None
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise UsageError(f"{path}: is not a template: it has no Resources")
    return content, template


def _key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} is not KEY=VALUE")
    return key, value
