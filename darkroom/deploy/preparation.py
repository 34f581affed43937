"""What a deployment needs before CloudFormation is asked: template, package, parameter values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from darkroom.aws.session import Account
from darkroom.bundle.build import Package, build
from darkroom.bundle.upload import check_bucket, upload, upload_template
from darkroom.checks.deployment_plan import DeploymentPlan, plan_of
from darkroom.checks.framework import CheckResult, exit_status
from darkroom.checks.prerequisites import check_prerequisites
from darkroom.console.progress import Progress
from darkroom.console.text import plural
from darkroom.emulator import deployment as emulated
from darkroom.emulator.limitations import is_emulator
from darkroom.errors import UsageError
from templates import pipeline
from templates.limits import MAX_DIRECT_TEMPLATE_BYTES
from templates.specification import Specification


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a stack is deployed from."""

    specification: Specification
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
    """The template as it is sent."""

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

    On the emulator the template is the one that it can run; what that leaves out is reported.

    Args:
        account: The account and region to deploy to.
        stack_name: The stack's name.
        inputs: What it is deployed from.
        uploads: Whether to upload the package; the check of the package is left out otherwise.
        progress: Reports each step.

    Raises:
        UsageError: a file cannot be read, or no bucket is named.
        UserError: the package cannot be built or uploaded, or AWS cannot be used.
    """
    text = pipeline.render(pipeline.build(inputs.specification))
    template = json.loads(text)
    on_emulator = is_emulator(account)
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
    plan = _with_package(plan, inputs, on_emulator=on_emulator, uploads=uploads, progress=progress)
    skip = [*inputs.skip, *(["code"] if on_emulator or not uploads else [])]
    results, plan = check_prerequisites(plan, skip=skip, progress=progress)
    return Prepared(plan=plan, text=text, checks=results)


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
