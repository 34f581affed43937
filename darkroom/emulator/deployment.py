"""The generated template and the packaged worker as a stack on the embedded AWS."""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from darkroom.commands.package import Package, build, upload
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UserError
from generate import DIRECT_LIMIT
from worker import settings

# What the embedded AWS refuses, by type and a property that makes the difference (none: all of that
# type), and what a local run therefore does not show.
REFUSED = {
    ("AWS::EC2::FlowLog", ""): "network flow logs",
    ("AWS::CloudWatch::Alarm", "Metrics"): "metric math in alarms",
}

# Parameters that the embedded AWS needs otherwise than a real one: its requests come through no
# endpoint, so that the perimeter around the worker's role would refuse the worker.
EMBEDDED_PARAMETERS = {"EnforceVpcEndpoint": "false"}

CODE_BUCKET = "darkroom-code"


@dataclass(frozen=True)
class Stack:
    """A deployed pipeline: its outputs by name, and what its workers are told of each bucket."""

    name: str
    outputs: Mapping[str, str]
    sources: Mapping[str, settings.Source]

    @property
    def thumbnail_bucket(self) -> str:
        """Name of the bucket that thumbnails leave from."""
        return self.outputs["ThumbnailBucketName"]

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the workers, one a queue."""
        return _functions(self.outputs)


def runnable(template: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return `template` without what is REFUSED, and what went: logical id → what is missing."""
    resources = template["Resources"]
    removed = {
        name: missing
        for name, resource in resources.items()
        for (kind, part), missing in REFUSED.items()
        if resource["Type"] == kind and (not part or part in resource["Properties"])
    }
    kept = {name: resource for name, resource in resources.items() if name not in removed}
    return {**template, "Resources": kept}, removed


def package_for_this_host(output: Path) -> Package:
    """Build the worker for this interpreter: the embedded AWS uses it whatever a template says."""
    architecture = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return build(runtime=f"python{version}", architecture=architecture, output=output)


def package_parameters(emulator: Emulator, package: Package) -> dict[str, str]:
    """Put the worker's package into a bucket; return the parameters that a stack needs for it."""
    s3 = emulator.client("s3")
    if CODE_BUCKET not in (bucket["Name"] for bucket in s3.list_buckets()["Buckets"]):
        s3.create_bucket(
            Bucket=CODE_BUCKET,
            CreateBucketConfiguration={"LocationConstraint": emulator.region},
        )
    upload(package, CODE_BUCKET, s3=s3)
    return {"CodeBucket": CODE_BUCKET, "CodeKey": package.key}


def deploy(
    emulator: Emulator,
    template: Mapping[str, Any],
    *,
    stack_name: str,
    parameters: Mapping[str, str],
) -> Stack:
    """Create or update a stack with the AWS CLI's own `deploy`; return it.

    Raises UserError with the CLI's words and each resource's reason when it fails.
    """
    file = emulator.directory / f"{stack_name}.json"
    file.write_text(json.dumps(template, separators=(",", ":")), encoding="utf-8")
    arguments = ["--stack-name", stack_name, "--template-file", str(file)]
    arguments += ["--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]
    if file.stat().st_size > DIRECT_LIMIT:
        arguments += ["--s3-bucket", CODE_BUCKET]
    given = {**EMBEDDED_PARAMETERS, **parameters}
    arguments += ["--parameter-overrides", *(f"{key}={value}" for key, value in given.items())]
    try:
        run_cli(emulator, "cloudformation", "deploy", *arguments)
    except UserError as error:
        raise UserError(f"{error}\n{_failures(emulator, stack_name)}".rstrip()) from None
    stack = _describe(emulator, stack_name)
    for function in stack.functions:  # the real CloudFormation is not done before they are
        emulator.client("lambda").get_waiter("function_active_v2").wait(FunctionName=function)
        emulator.client("lambda").get_waiter("function_updated_v2").wait(FunctionName=function)
    _correct_concurrency(emulator, stack)
    return stack


def run_cli(emulator: Emulator, *arguments: str) -> str:
    """Run the AWS CLI against `emulator`; return its output. Raises UserError with its words."""
    done = subprocess.run(
        [sys.executable, "-m", "awscli", *arguments],
        env=emulator.environment,
        cwd=emulator.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        words = " ".join(arguments[:2])
        raise UserError(f"`aws {words}` failed:\n{done.stderr.strip()}")
    return done.stdout


def _describe(emulator: Emulator, stack_name: str) -> Stack:
    (stack,) = emulator.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    client = emulator.client("lambda")
    sources: dict[str, settings.Source] = {}
    for name in _functions(outputs):
        function = client.get_function_configuration(FunctionName=name)
        sources |= settings.parse(function["Environment"]["Variables"]).sources
    return Stack(name=stack_name, outputs=outputs, sources=sources)


def _functions(outputs: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(value for key, value in outputs.items() if key.endswith("FunctionName"))


def _correct_concurrency(emulator: Emulator, stack: Stack) -> None:
    """Make the mapping's maximum concurrency a number again: its poller fails on text.

    CloudFormation's parameters are text and the real one converts them; the embedded one does not.
    """
    client = emulator.client("lambda")
    for function in stack.functions:
        mappings = client.list_event_source_mappings(FunctionName=function)
        for mapping in mappings["EventSourceMappings"]:
            if maximum := mapping.get("ScalingConfig", {}).get("MaximumConcurrency"):
                client.update_event_source_mapping(
                    UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": int(maximum)}
                )


def _failures(emulator: Emulator, stack_name: str) -> str:
    """Say which resources failed and why, one a line, the first to fail first."""
    try:
        events = emulator.client("cloudformation").describe_stack_events(StackName=stack_name)
    except ClientError:  # it failed before there was a stack
        return ""
    return "\n".join(
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in reversed(events["StackEvents"])
        if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason")
    )
