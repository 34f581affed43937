"""Checks of an account before a stack is created or updated in it."""

import re
from collections.abc import Iterator, Sequence

from botocore.exceptions import ClientError

from darkroom.aws import resource_names, vpc
from darkroom.aws.errors import is_not_found
from darkroom.checks.account import check_distribution, check_name_prefix
from darkroom.checks.alarm_topics import check_existing_topics, check_recipients
from darkroom.checks.api_account import check_api_account
from darkroom.checks.deployment_plan import DeploymentPlan
from darkroom.checks.existing_network import check_existing_network
from darkroom.checks.existing_sources import check_existing_sources
from darkroom.checks.framework import (
    Check,
    CheckResult,
    Finding,
    failed,
    passed,
    run_checks,
    warned,
)
from darkroom.checks.object_lock import check_object_lock
from darkroom.checks.upload_cidrs import check_upload_cidrs
from darkroom.checks.watermarks import check_watermarks
from darkroom.console.progress import Progress
from templates.limits import MAX_DIRECT_TEMPLATE_BYTES

# Lambda keeps this much of an account's concurrency for functions without a reservation, or all of
# it where the quota is smaller.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
UNRESERVED = 100

POLLER_CONCURRENCY = 10
"""Concurrent invocations of one provisioned poller.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

# States from which a stack can be updated. Of the others, a failed first creation is the usual one.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
UPDATABLE = {
    "CREATE_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
    "REVIEW_IN_PROGRESS",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
}
RECOVERY = {
    "CREATE_FAILED": "delete-stack",
    "DELETE_FAILED": "delete-stack",
    "ROLLBACK_COMPLETE": "delete-stack",
    "ROLLBACK_FAILED": "delete-stack",
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackStack.html
    "UPDATE_FAILED": "rollback-stack",
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ContinueUpdateRollback.html
    "UPDATE_ROLLBACK_FAILED": "continue-update-rollback",
}
"""The command that ends a state; for any other one its events tell."""


def check_prerequisites(
    plan: DeploymentPlan, *, skip: Sequence[str], progress: Progress
) -> tuple[list[CheckResult], DeploymentPlan]:
    """Run all checks; return their results, and the plan with the values that they discovered."""
    results = run_checks(
        CHECKS, plan, skip=skip, progress=progress, extend=DeploymentPlan.with_discovered
    )
    for result in results:
        plan = plan.with_discovered(result.discovered)
    return results, plan


def check_caller(plan: DeploymentPlan) -> Iterator[Finding]:
    """Who deploys, and in which region."""
    yield passed(f"{plan.account.caller['Arn']}, in {plan.account.region}")


def check_parameters(plan: DeploymentPlan) -> Iterator[Finding]:
    """The template accepts every given value, and no value is missing."""
    for problem in plan.problems:
        yield failed(problem, "correct the value")
    if missing := [name for name in plan.declared if name not in plan.values]:
        yield failed(
            f"no value for {', '.join(missing)}",
            "pass KEY=VALUE or --parameters; `darkroom package --upload BUCKET` prints those of"
            " the code",
        )
    if not plan.problems and not missing:
        yield passed(f"the template accepts all {len(plan.given)} given values")
    if plan.template_bytes > MAX_DIRECT_TEMPLATE_BYTES and not plan.is_uploaded:
        yield warned(
            f"the template has {plan.template_bytes:,} bytes; CloudFormation accepts"
            f" {MAX_DIRECT_TEMPLATE_BYTES:,} directly",
            "pass --s3-bucket to `deploy` as well",
        )


def check_prefix_list(plan: DeploymentPlan) -> Iterator[Finding]:
    """Pitfall 25: S3's addresses in this region, whose prefix list CloudFormation cannot find."""
    if "S3PrefixListId" not in plan.declared:
        return
    region = plan.account.region
    current = vpc.s3_prefix_list(plan.account)
    if current is None:
        yield failed(
            f"{region} has no prefix list com.amazonaws.{region}.s3",
            "the worker's security group cannot allow S3 here; choose another region",
        )
        return
    given = plan.values["S3PrefixListId"]
    mapped = plan.template.get("Mappings", {}).get("S3PrefixLists", {})
    known = mapped.get(region, {}).get("Id", "")
    discovered = {"S3PrefixListId": current}
    if given and given != current:
        yield failed(
            f"S3PrefixListId is {given}, but S3's prefix list in {region} is {current}",
            f"S3PrefixListId={current}, or leave it out",
        )
    elif not given and known.startswith("pl-") and known != current:
        yield warned(
            f"the template has {known} for S3's prefix list in {region}, but it is {current}",
            f"S3PrefixListId={current} (--output fills it in)",
            discovered,
        )
    else:
        yield passed(f"S3's prefix list is {current}", discovered)


def check_availability_zones(plan: DeploymentPlan) -> Iterator[Finding]:
    """Pitfall 24: the chosen zones exist, and each interface endpoint is available in them."""
    names = sorted(
        name for name in plan.declared if re.fullmatch("AvailabilityZoneIndex[A-H]", name)
    )
    if not names:
        return
    zones = vpc.availability_zones(plan.account)
    obstacles = _obstacles(plan, zones)
    usable = [number for number, zone in enumerate(zones) if zone not in obstacles]
    chosen = {name: int(plan.values[name]) for name in names}
    is_default = not plan.existing and not set(names) & set(plan.given)
    is_usable = set(chosen.values()) <= set(usable)
    if is_default and not is_usable and len(usable) >= len(names):
        # Nobody has chosen, and there are no subnets yet: take the first usable zones.
        chosen = dict(zip(names, usable, strict=False))
    wrong = {name: number for name, number in chosen.items() if number not in usable}
    listed = ", ".join(f"{number} ({zones[number]})" for number in usable) or "none"
    for name, number in wrong.items():
        reason = "there is no such zone" if number >= len(zones) else obstacles[zones[number]]
        yield failed(
            f"{name}={number}: {reason}",
            f"of the region's {len(zones)} zones these are usable: {listed};"
            f" {len(names)} are needed",
        )
    if not wrong:
        yield passed(
            ", ".join(f"{name} is {zones[number]}" for name, number in chosen.items()),
            {name: str(number) for name, number in chosen.items()},
        )


def _obstacles(plan: DeploymentPlan, zones: Sequence[str]) -> dict[str, str]:
    """Return why a zone cannot be used, for those that cannot."""
    found: dict[str, str] = {}
    for title, endpoint in plan.resolved.resources_of_type("EC2::VPCEndpoint").items():
        if endpoint["VpcEndpointType"] == "Interface":
            service = endpoint["ServiceName"]
            offered = vpc.endpoint_zones(plan.account, service)
            for zone in zones:
                if zone not in offered:
                    found.setdefault(zone, f"{title} ({service}) is not available in it")
    return found


def check_allowed_regions(plan: DeploymentPlan) -> Iterator[Finding]:
    """A production stack names the Regions it may be deployed to; by default this one."""
    name = "AllowedRegions"
    if name not in plan.declared or not plan.inputs.is_production:
        return
    environment = plan.values["Environment"]
    allowed, region = plan.values[name], plan.account.region
    if name in plan.given or allowed != "*":
        yield passed(f"{name} is {allowed}")
    else:
        yield passed(f"{name} is {region}, because Environment is {environment}", {name: region})


def check_rules(plan: DeploymentPlan) -> Iterator[Finding]:
    """The template's Rules section holds for these values in this region."""
    broken = plan.resolved.broken_rules()
    for sentence in broken:
        yield failed(sentence, "CloudFormation would refuse the template with these words")
    if not broken:
        yield passed(f"the template's rules hold in {plan.account.region}")


def check_stack(plan: DeploymentPlan) -> Iterator[Finding]:
    """The stack can be created, or updated."""
    status = plan.existing.status if plan.existing else ""
    if not status or status == "REVIEW_IN_PROGRESS":
        yield passed("the stack will be created")
    elif status in UPDATABLE:
        yield passed(f"the stack exists ({status}) and will be updated")
    elif status.endswith("_IN_PROGRESS"):
        yield failed(f"the stack is in {status}", "wait until that has ended")
    else:
        yield failed(
            f"the stack is in {status}, from which it cannot be updated",
            f"aws cloudformation {RECOVERY.get(status, 'describe-stack-events')}"
            f" --stack-name {plan.name}",
        )


def check_names(plan: DeploymentPlan) -> Iterator[Finding]:
    """Pitfalls 29 and 52: no other resource has a name that the stack will use."""
    own = list(plan.existing.resources.values()) if plan.existing else []
    wanted = [
        (kind, name)
        for kind, name in resource_names.given(plan.resolved)
        if not any(id_ == name or id_.endswith((f":{name}", f"/{name}")) for id_ in own)
    ]
    taken = list(resource_names.taken(plan.account, wanted))
    for kind, name, owner in taken:
        if owner:
            yield failed(
                f"there is a {kind} {name} already, which the stack {owner} has or left",
                f"another NamePrefix; or darkroom delete --stack-name {owner} --delete-data;"
                " or a change set with --import-existing-resources",
            )
        else:
            yield failed(
                f"there is a {kind} {name} already",
                "another NamePrefix, or delete it if it is not in use",
            )
    if not taken:
        yield passed(f"{len(wanted)} names are free, {len(own)} are the stack's own")


def check_concurrency(plan: DeploymentPlan) -> Iterator[Finding]:
    """Pitfall 18: the account's quota for concurrent invocations covers what the queues use."""
    limit = plan.account.client("lambda").get_account_settings()["AccountLimit"]
    total = limit["ConcurrentExecutions"]
    available = limit["UnreservedConcurrentExecutions"] + _released(plan)
    functions = plan.resolved.resources_of_type("Lambda::Function").values()
    reserved = sum(int(one.get("ReservedConcurrentExecutions", 0)) for one in functions)
    maximum = sum(
        int(mapping["ScalingConfig"]["MaximumConcurrency"])
        if "ScalingConfig" in mapping
        else POLLER_CONCURRENCY * int(mapping["ProvisionedPollerConfig"]["MaximumPollers"])
        for mapping in plan.resolved.resources_of_type("Lambda::EventSourceMapping").values()
    )
    quota = (
        "request a quota increase: aws service-quotas request-service-quota-increase"
        " --service-code lambda --quota-code L-B99A9384 --desired-value N"
    )
    kept = min(UNRESERVED, total)
    if reserved and available - reserved < kept:
        yield failed(
            f"{reserved} concurrent invocations cannot be reserved: {available} of the quota of"
            f" {total} are unreserved, and Lambda keeps {kept} of them",
            f"ReserveConcurrency=false, or {quota}",
        )
    elif not reserved and maximum > available:
        yield warned(
            f"the queues use up to {maximum} concurrent invocations; {available} of the account's"
            " are unreserved, so the rest would be throttled",
            f"a lower MaximumConcurrency, or {quota}",
        )
    else:
        yield passed(
            f"the queues use up to {maximum} of {available} concurrent invocations (quota {total})"
        )


def _released(plan: DeploymentPlan) -> int:
    """Return the reservations that the existing stack's functions have: an update frees them."""
    if not plan.existing:
        return 0
    client = plan.account.client("lambda")
    released = 0
    for title in plan.resolved.resources_of_type("Lambda::Function"):
        if name := plan.existing.resources.get(title):
            try:
                found = client.get_function_concurrency(FunctionName=name)
            except ClientError as error:
                if not is_not_found(error):
                    raise
                continue
            released += found.get("ReservedConcurrentExecutions", 0)
    return released


def check_code(plan: DeploymentPlan) -> Iterator[Finding]:
    """Pitfall 38: the package is in this region, and for this runtime and architecture."""
    bucket, key = plan.values.get("CodeBucket"), plan.values.get("CodeKey")
    if not bucket or not key:
        return
    account, wanted = plan.account, (plan.values["Runtime"], plan.values["Architecture"])
    build = f"darkroom package --upload {{}} --runtime {wanted[0]} --architecture {wanted[1]}"
    try:
        region = resource_names.bucket_region(account, bucket)
        if region != account.region:
            yield failed(
                f"the bucket {bucket} is in {region}; Lambda loads code from its own region only",
                f"a bucket in {account.region}: {build.format('BUCKET')}",
            )
            return
        head = account.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if not is_not_found(error):
            raise
        yield failed(f"there is no s3://{bucket}/{key}", build.format(bucket))
        return
    # The builder puts runtime and architecture into the package's name.
    target = re.search(r"(python3\.\d+)-(arm64|x86_64)-[0-9a-f]+\.zip$", key)
    if not target:
        yield warned(
            f"the name {key} does not contain its runtime and architecture", build.format(bucket)
        )
    elif target.groups() != wanted:
        yield failed(f"{key} is not for {' on '.join(wanted)}", build.format(bucket))
    else:
        yield passed(f"s3://{bucket}/{key} exists, {head['ContentLength']:,} bytes")


CHECKS: dict[str, Check[DeploymentPlan]] = {
    "caller": check_caller,
    "parameters": check_parameters,
    "prefix-list": check_prefix_list,
    "availability-zones": check_availability_zones,
    "allowed-regions": check_allowed_regions,
    "rules": check_rules,
    "upload-cidrs": lambda plan: check_upload_cidrs(plan.inputs),
    "stack": check_stack,
    "names": check_names,
    "name-prefix": check_name_prefix,
    "concurrency": check_concurrency,
    "code": check_code,
    "alarm-email": lambda plan: check_recipients(plan.inputs),
    "alarm-topics": lambda plan: check_existing_topics(plan.inputs),
    "object-lock": check_object_lock,
    "distribution": check_distribution,
    "api-account": check_api_account,
    "vpc": lambda plan: check_existing_network(plan.inputs),
    "sources": lambda plan: check_existing_sources(plan.inputs),
    "watermarks": lambda plan: check_watermarks(plan.inputs),
}
"""In the order of `darkroom.checks.names.PREFLIGHT`: the first ones discover values."""
