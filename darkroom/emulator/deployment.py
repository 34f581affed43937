"""Deploys the generated template and the worker's package as a stack on the emulator."""

import hashlib
import json
import platform
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from darkroom.aws import change_sets
from darkroom.aws.stack_events import Ended, StackEvents, follow
from darkroom.bundle.build import Package, build
from darkroom.bundle.pip import run_pip
from darkroom.bundle.upload import upload
from darkroom.cloudformation.references import references
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UserError
from templates.limits import MAX_DIRECT_TEMPLATE_BYTES
from worker import settings

ROOT = Path(__file__).parents[2]

ALARM = "AWS::CloudWatch::Alarm"

# What the emulator rejects: a resource type and the property that makes the difference (none: all
# resources of that type), and what a local run therefore does not show.
REFUSED = {
    ("AWS::EC2::FlowLog", ""): "network flow logs",
    ("AWS::Route53Resolver::FirewallDomainList", ""): "DNS firewall",
    ("AWS::Route53Resolver::FirewallRuleGroup", ""): "DNS firewall",
    ("AWS::Route53Resolver::FirewallRuleGroupAssociation", ""): "DNS firewall",
    (ALARM, "Metrics"): "metric math in alarms",
}

# Statements that would deny every request, because the emulator does not have what they test, and
# why: by type and Sid.
BUCKET_POLICY = "AWS::S3::BucketPolicy"
REST_API = "AWS::ApiGateway::RestApi"
NO_CONDITION_KEY = "the emulator does not have the condition key"
REMOVED_STATEMENTS = {
    (REST_API, "DenyElsewhere"): "the emulator's requests come through no VPC endpoint",
    (BUCKET_POLICY, "DenyApiOverwrites"): NO_CONDITION_KEY,
    (BUCKET_POLICY, "DenyApiWithoutUrl"): NO_CONDITION_KEY,
    (BUCKET_POLICY, "DenyApiOldUrls"): NO_CONDITION_KEY,
}
# Only this policy, of which the emulator does not see the key that the worker names.
KEY_POLICY, KEY_STATEMENT = "ThumbnailBucketPolicy", "DenyOtherKeys"

# The emulator's requests come through no VPC endpoint, so a policy that requires one would deny the
# worker's own requests.
EMULATOR_PARAMETERS = {"EnforceVpcEndpoint": "false"}

EVENT_SOURCE_MAPPING = "AWS::Lambda::EventSourceMapping"

CODE_BUCKET = "darkroom-code"
DEPLOYMENT_SECONDS, POLL_SECONDS = 120.0, 1.0


@dataclass(frozen=True)
class EmulatedStack:
    """A deployed pipeline: its outputs by name, and the worker's settings of each source bucket."""

    name: str
    outputs: Mapping[str, str]
    sources: Mapping[str, settings.Source]

    @property
    def thumbnail_bucket(self) -> str:
        """Name of the bucket that the worker writes to."""
        return self.outputs["ThumbnailBucketName"]

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the functions, one for each queue."""
        return _functions(self.outputs)


def runnable(template: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return `template` as the emulator runs it, and what was removed: logical id to its reason.

    What is REFUSED is removed, and so are KEY_STATEMENT of KEY_POLICY and REMOVED_STATEMENTS. The
    maximum concurrency of each event source mapping becomes its parameter's default: CloudFormation
    converts a parameter's text to a number, and the emulator does not, so that its poller would
    fail on the text.
    """
    resources = template["Resources"]
    removed = {
        name: missing
        for name, resource in resources.items()
        for (kind, part), missing in REFUSED.items()
        if resource["Type"] == kind and (not part or part in resource["Properties"])
    }
    # An alarm on what is not there.
    removed |= {
        name: removed[missing]
        for name, resource in resources.items()
        if resource["Type"] == ALARM and name not in removed
        for missing in {*references(resource["Properties"])} & {*removed}
    }
    kept = {
        name: _with_numbers(resource, template.get("Parameters", {}))
        for name, resource in resources.items()
        if name not in removed
    }
    for name, sid in [(KEY_POLICY, KEY_STATEMENT), *removed_statements(template)]:
        if name in kept:
            kept[name] = _without_statement(kept[name], sid)
    return {**template, "Resources": kept}, removed


def removed_statements(template: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return the REMOVED_STATEMENTS of a template: logical id and Sid to their reason."""
    return {
        (name, one["Sid"]): REMOVED_STATEMENTS[resource["Type"], one["Sid"]]
        for name, resource in template["Resources"].items()
        if (document := resource.get("Properties", {}).get(_policy_property(resource)))
        for one in document["Statement"]
        if (resource["Type"], one.get("Sid")) in REMOVED_STATEMENTS
    }


def _policy_property(resource: Mapping[str, Any]) -> str:
    return "Policy" if resource["Type"] == REST_API else "PolicyDocument"


def _without_statement(policy: Mapping[str, Any], sid: str) -> Mapping[str, Any]:
    properties, name = policy["Properties"], _policy_property(policy)
    document = properties[name]
    statements = [one for one in document["Statement"] if one.get("Sid") != sid]
    return {**policy, "Properties": {**properties, name: {**document, "Statement": statements}}}


def _with_numbers(resource: Mapping[str, Any], parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = resource.get("Properties", {})
    maximum = properties.get("ScalingConfig", {}).get("MaximumConcurrency")
    if resource["Type"] != EVENT_SOURCE_MAPPING or not isinstance(maximum, dict):
        return resource
    number = int(parameters[maximum["Ref"]]["Default"])
    scaling = {"MaximumConcurrency": number}
    return {**resource, "Properties": {**properties, "ScalingConfig": scaling}}


def notes(template: Mapping[str, Any], removed: Mapping[str, str]) -> list[str]:
    """Return a sentence for each thing that `runnable` does to a template, and what it lacks."""
    found = [
        f"without {', '.join(name for name in removed if removed[name] == missing)}:"
        f" the emulator has no {missing}"
        for missing in dict.fromkeys(removed.values())
    ]
    given = " ".join(f"{key}={value}" for key, value in EMULATOR_PARAMETERS.items())
    found.append(f"with {given}: the emulator's requests come through no VPC endpoint")
    found.append(
        f"without {KEY_STATEMENT} of {KEY_POLICY}: the emulator does not see"
        " the key that the worker names when it writes"
    )
    found += [
        f"without {sid} of {name}: {reason}"
        for (name, sid), reason in removed_statements(template).items()
    ]
    found += api_notes(template)
    found += concurrency_notes(template)
    if not runs_linux_packages():
        found.append(
            "with the worker's libraries for this computer, not those of the function's package"
        )
    return found


def api_notes(template: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each REST API about what the emulator ignores of it."""
    return [
        f"with {name} at a path, for any caller's network: the emulator has no host names of APIs,"
        " and ignores private endpoints, request validation, gateway responses and access logs"
        for name, resource in template["Resources"].items()
        if resource["Type"] == REST_API
    ]


def concurrency_notes(template: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each maximum concurrency that `runnable` made a number."""
    return [
        f"with {maximum['Ref']}={template['Parameters'][maximum['Ref']]['Default']} as a fixed"
        " number: the emulator does not convert parameters to numbers"
        for resource in template["Resources"].values()
        if resource["Type"] == EVENT_SOURCE_MAPPING
        and (maximum := resource["Properties"].get("ScalingConfig", {}).get("MaximumConcurrency"))
    ]


def package_for_this_host(output: Path) -> Package:
    """Build the worker for this interpreter: the emulator runs it whatever `Runtime` says.

    On Linux with glibc that is the package as it is deployed; elsewhere its libraries do not load,
    and the same locked requirements are installed for the host.
    """
    if not runs_linux_packages():
        return install_for_host(output)
    architecture = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return build(runtime=f"python{version}", architecture=architecture, output=output)


def runs_linux_packages() -> bool:
    """Return whether this host can load the libraries of a function's package."""
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def install_for_host(output: Path) -> Package:
    """Zip the worker with its locked requirements, installed by pip for this host.

    Raises:
        UserError: pip cannot install them, with the cause.
    """
    lock = ROOT / "worker" / "requirements.txt"
    sources = sorted((ROOT / "worker").rglob("*.py"))
    digest = hashlib.sha256(f"{sys.version} {platform.platform()}".encode())
    for path in (lock, *sources):
        digest.update(path.read_bytes())
    archive = output / f"darkroom-worker-host-{digest.hexdigest()[:12]}.zip"
    if not archive.exists():
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output) as scratch:
            installed = Path(scratch, "installed")
            run_pip(
                ["install", "--target", str(installed), "--requirement", str(lock)],
                failure="pip cannot install the worker's requirements",
            )
            files = [(path, path.relative_to(installed)) for path in sorted(installed.rglob("*"))]
            files += [(path, path.relative_to(ROOT)) for path in sources]
            unfinished = Path(scratch, archive.name)
            with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as file:
                for path, name in files:
                    if path.is_file():
                        file.write(path, name)
            unfinished.replace(archive)
    with zipfile.ZipFile(archive) as file:
        unpacked = sum(entry.file_size for entry in file.infolist())
    return Package(
        path=archive,
        sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        size=archive.stat().st_size,
        unpacked_size=unpacked,
        bytecode=None,
        resizes_with_vectors=False,
    )


def package_parameters(emulator: Emulator, package: Package) -> dict[str, str]:
    """Upload the worker's package to a bucket; return the stack's parameters that name it."""
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
) -> EmulatedStack:
    """Create or update a stack through a change set, as `aws cloudformation deploy` does.

    A parameter that is not given keeps its value, and has its default in a new stack; a parameter
    that the template does not have is ignored. No change is not an error.

    Raises:
        UserError: with CloudFormation's message, and each failed resource with its reason.
    """
    failed = f"The stack {stack_name} could not be deployed"
    try:
        ended = _apply(emulator, template, stack_name, {**EMULATOR_PARAMETERS, **parameters})
    except (ClientError, UserError) as error:
        raise UserError(f"{failed}: {error}") from None
    if ended and not ended.is_success:
        raise UserError("\n".join([f"{failed}: {ended.status}", *ended.reasons]))
    stack = find(emulator, stack_name)
    for function in stack.functions:  # CloudFormation waits for this; the emulator does not
        emulator.client("lambda").get_waiter("function_active_v2").wait(FunctionName=function)
        emulator.client("lambda").get_waiter("function_updated_v2").wait(FunctionName=function)
    return stack


def _apply(
    emulator: Emulator, template: Mapping[str, Any], stack_name: str, given: Mapping[str, str]
) -> Ended | None:
    client = emulator.client("cloudformation")
    known = _known_parameters(client, stack_name)
    request = change_sets.Request(
        stack_name=stack_name,
        is_creation=known is None,
        template=_template(emulator, template, stack_name),
        parameters={
            name: given.get(name)
            for name in template.get("Parameters", {})
            if name in given or name in (known or ())
        },
    )
    change_set = change_sets.create(client, request, poll=POLL_SECONDS)
    if not change_set:
        return None
    events = StackEvents.from_now(client, change_set.stack_id)
    client.execute_change_set(ChangeSetName=change_set.id, DisableRollback=False)
    return follow(events, timeout=DEPLOYMENT_SECONDS, report=lambda _: None, poll=POLL_SECONDS)


def _known_parameters(client: Any, stack_name: str) -> set[str] | None:
    """Return the parameters of a stack; None if there is no stack."""
    try:
        (stack,) = client.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    if stack["StackStatus"] == "REVIEW_IN_PROGRESS":  # a change set was made and never executed
        return None
    return {parameter["ParameterKey"] for parameter in stack.get("Parameters", ())}


def _template(emulator: Emulator, template: Mapping[str, Any], stack_name: str) -> dict[str, str]:
    """Return the template as create_change_set takes it: by URL where the text is too long."""
    text = json.dumps(template, separators=(",", ":"))
    if len(text.encode()) <= MAX_DIRECT_TEMPLATE_BYTES:
        return {"TemplateBody": text}
    key = f"{stack_name}.json"
    emulator.client("s3").put_object(Bucket=CODE_BUCKET, Key=key, Body=text.encode())
    return {"TemplateURL": f"{emulator.url}/{CODE_BUCKET}/{key}"}


def find(emulator: Emulator, stack_name: str) -> EmulatedStack:
    """Return a stack that is deployed."""
    (stack,) = emulator.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    client = emulator.client("lambda")
    sources: dict[str, settings.Source] = {}
    for name in _functions(outputs):
        function = client.get_function_configuration(FunctionName=name)
        sources |= settings.Settings.from_environment(function["Environment"]["Variables"]).sources
    return EmulatedStack(name=stack_name, outputs=outputs, sources=sources)


def _functions(outputs: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(value for key, value in outputs.items() if key.endswith("FunctionName"))
