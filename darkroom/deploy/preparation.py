"""What a deployment needs before CloudFormation is asked: template, package, parameter values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from darkroom.aws import deployed_template
from darkroom.aws.session import Account
from darkroom.aws.stack import find_stack
from darkroom.bundle.build import Package, build
from darkroom.bundle.upload import check_bucket, upload, upload_template
from darkroom.checks.deployment_plan import DeploymentPlan, plan_of
from darkroom.checks.framework import CheckResult, exit_status
from darkroom.checks.names import PREFLIGHT
from darkroom.checks.prerequisites import check_prerequisites
from darkroom.console.progress import Progress
from darkroom.console.text import plural
from darkroom.deploy.packages import CODE
from darkroom.emulator import deployment as emulated
from darkroom.emulator.limitations import is_emulator
from darkroom.errors import UsageError, UserError
from templates import pipeline
from templates.limits import MAX_DIRECT_TEMPLATE_BYTES
from templates.specification import Specification


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a stack is deployed from."""

    specification: Specification | None = None
    """None for the template that the stack has."""

    parameter_files: Sequence[Path] = ()
    overrides: Sequence[str] = ()
    """Texts `KEY=VALUE`, which win over the files."""

    bucket: str | None = None
    """For the package and a large template; by default the parameter CodeBucket."""

    output: Path = Path("build")
    """Directory for the package."""

    skip: Sequence[str] = ()
    """Names of checks to leave out."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A template with the values that CloudFormation can be asked with."""

    plan: DeploymentPlan
    text: str
    """The template as it is sent; empty for the one that the stack has."""

    checks: Sequence[CheckResult]

    @property
    def is_deployable(self) -> bool:
        """Whether no check has failed."""
        return exit_status(self.checks, strict=False) == 0

    @property
    def is_production(self) -> bool:
        """Whether the parameter Environment says so."""
        return self.plan.inputs.is_production

    @property
    def warnings(self) -> Sequence[str]:
        """What the checks warn of, as sentences."""
        return [
            f"{one.message} → {one.remediation}"
            for result in self.checks
            for one in result.findings
            if one.verdict == "warn"
        ]

    def template(self) -> Mapping[str, Any]:
        """Return the template as a change set takes it; a large one is uploaded for that.

        Raises:
            UserError: S3 refuses it.
        """
        if not self.text:
            return {"UsePreviousTemplate": True}
        if len(self.text.encode()) <= MAX_DIRECT_TEMPLATE_BYTES:
            return {"TemplateBody": self.text}
        s3, bucket = self.plan.account.client("s3"), self.plan.values["CodeBucket"]
        return {"TemplateURL": upload_template(self.text, bucket, s3=s3)}

    def parameters(self) -> Mapping[str, str | None]:
        """Return the values to pass; None for those that an existing stack keeps."""
        stack = self.plan.existing
        known = stack.parameters if stack else {}
        return {
            name: self.plan.chosen.get(name)
            for name in self.plan.declared
            if name in self.plan.chosen or name in known
        }


def prepare(
    account: Account, stack_name: str, inputs: Inputs, *, uploads: bool, progress: Progress
) -> Prepared:
    """Generate the template, package the worker, and check the account.

    Without a specification, only the worker is packaged, for the stack as it is.

    On the emulator the template is the one that it can run; what that leaves out is reported.

    Args:
        account: The account and region to deploy to.
        stack_name: The stack's name.
        inputs: What it is deployed from.
        uploads: Whether to upload the package; without it, only one that is given is checked.
        progress: Reports each step.

    Raises:
        UsageError: a file cannot be read, or no bucket is named.
        UserError: the package cannot be built or uploaded, or AWS cannot be used.
    """
    on_emulator = is_emulator(account)
    if not inputs.specification:
        return _prepare_code(
            account, stack_name, inputs, on_emulator=on_emulator, uploads=uploads, progress=progress
        )
    text = pipeline.render(pipeline.build(inputs.specification))
    template = json.loads(text)
    overrides = list(inputs.overrides)
    resources = plural(len(template["Resources"]), "resource")
    progress.step(f"Template: {len(text.encode()):,} bytes, {resources}")
    if on_emulator:
        generated = template
        template, removed = emulated.runnable(generated)
        text = json.dumps(template, separators=(",", ":"))
        for note in emulated.notes(generated, removed):
            progress.step(f"  {note}")
        overrides += [f"{name}={value}" for name, value in emulated.EMULATOR_PARAMETERS.items()]
    plan = plan_of(
        account, stack_name, template, len(text.encode()), inputs.parameter_files, overrides
    )
    is_there = _package_is_there(plan, on_emulator=on_emulator, uploads=uploads)
    plan = _with_package(plan, inputs, on_emulator=on_emulator, uploads=uploads, progress=progress)
    skip = [*inputs.skip, *([] if is_there else ["code"])]
    results, plan = check_prerequisites(plan, skip=skip, progress=progress)
    return Prepared(plan=plan, text=text, checks=results)


def _prepare_code(
    account: Account,
    stack_name: str,
    inputs: Inputs,
    *,
    on_emulator: bool,
    uploads: bool,
    progress: Progress,
) -> Prepared:
    """Package the worker for the template and the parameters that a stack has."""
    stack = find_stack(account, stack_name)
    if not stack:
        raise UserError(f"there is no stack {stack_name!r} in {account.region} to update")
    template = deployed_template.read(stack).template
    plan = plan_of(account, stack_name, template, 0, inputs.parameter_files, inputs.overrides)
    if others := sorted(plan.given.keys() - {*CODE}):
        raise UsageError(f"{', '.join(others)}: only the package is deployed, without parameters")
    is_there = _package_is_there(plan, on_emulator=on_emulator, uploads=uploads)
    plan = _with_package(plan, inputs, on_emulator=on_emulator, uploads=uploads, progress=progress)
    wanted = {"caller", "stack", *(["code"] if is_there else [])}
    skip = [*inputs.skip, *(check for check in PREFLIGHT if check not in wanted)]
    results, plan = check_prerequisites(plan, skip=skip, progress=progress)
    return Prepared(plan=plan, text="", checks=results)


def _package_is_there(plan: DeploymentPlan, *, on_emulator: bool, uploads: bool) -> bool:
    """Return whether the package can be checked: the emulator's is for this interpreter."""
    return not on_emulator and (uploads or "CodeKey" in plan.given)


def _with_package(
    plan: DeploymentPlan, inputs: Inputs, *, on_emulator: bool, uploads: bool, progress: Progress
) -> DeploymentPlan:
    """Return the plan with the bucket and the key of the package, unless its key is given."""
    bucket = inputs.bucket or plan.values.get("CodeBucket")
    if not bucket:
        raise UsageError(
            f"no bucket for the function's package: pass --s3-bucket, a bucket in"
            f" {plan.account.region}; `aws s3 mb s3://NAME` makes one"
        )
    check_bucket(plan.account, bucket)
    code = {"CodeBucket": bucket}
    if "CodeKey" not in plan.given:
        package = _package(plan, inputs.output, on_emulator=on_emulator, progress=progress)
        code["CodeKey"] = package.key
        if uploads:
            is_new = upload(package, bucket, s3=plan.account.client("s3"))
            verb = "Uploaded" if is_new else "Already there:"
            progress.step(f"{verb} s3://{bucket}/{package.key}")
    return replace(plan, given={**plan.given, **code}, is_uploaded=True)


def _package(
    plan: DeploymentPlan, output: Path, *, on_emulator: bool, progress: Progress
) -> Package:
    progress.update("Packaging the worker (the first time, this downloads its libraries)")
    if on_emulator:
        package = emulated.package_for_this_host(output)
    else:
        package = build(
            runtime=plan.values["Runtime"], architecture=plan.values["Architecture"], output=output
        )
    progress.step(f"Package: {package.path}, {package.size:,} bytes")
    if not package.bytecode:
        progress.step("  without bytecode: each cold start compiles all modules")
    return package
