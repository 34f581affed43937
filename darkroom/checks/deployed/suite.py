"""All checks of a deployed stack, and the canary."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from darkroom.aws import deployed_template
from darkroom.aws.errors import explained
from darkroom.aws.queues import find_sources
from darkroom.aws.stack import open_stack
from darkroom.checks.deployed.api import check_api
from darkroom.checks.deployed.archive import check_archive, check_archived_canary
from darkroom.checks.deployed.buckets import check_buckets, check_key
from darkroom.checks.deployed.comparison import Target
from darkroom.checks.deployed.denied_requests import check_denied_requests
from darkroom.checks.deployed.dns_firewall import check_dns_firewall
from darkroom.checks.deployed.drift import check_drift
from darkroom.checks.deployed.functions import check_functions, check_queues, check_triggers
from darkroom.checks.deployed.network import check_network
from darkroom.checks.deployed.observability import (
    check_alarms,
    check_logs,
    check_topics,
)
from darkroom.checks.deployed.subscriptions import check_subscriptions
from darkroom.checks.deployed.unannounced import check_unannounced
from darkroom.checks.existing_sources import check_existing_sources
from darkroom.checks.framework import Check, CheckResult, Finding, failed, passed, run_checks
from darkroom.checks.watermarks import check_watermarks
from darkroom.console.command import StackOptions
from darkroom.console.progress import Progress
from darkroom.emulator.limitations import find_limitations

DEPLOYED = {
    "CREATE_COMPLETE",
    "IMPORT_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
}

CANARY = "canary in "
"""Before a bucket's name: what the canary's key is discovered as, if the worker processed it."""


@explained()
def check_deployed(
    options: StackOptions, *, skip: Sequence[str], timeout: float, progress: Progress
) -> tuple[Target, list[CheckResult]]:
    """Run all checks of a deployed stack.

    Args:
        options: Name, region and profile of the stack.
        skip: Names of checks to leave out.
        timeout: Seconds to wait for the canary's thumbnails.
        progress: Reports the check that is running.

    Raises:
        UserError: the stack does not exist, or AWS cannot be used.
    """
    stack = open_stack(options)
    target = Target(
        stack=stack,
        template=deployed_template.read(stack),
        progress=progress,
        timeout=timeout,
        limitations=find_limitations(stack),
    )
    return target, run_checks(CHECKS, target, skip=skip, progress=progress, extend=_with_canaries)


def _with_canaries(target: Target, discovered: Mapping[str, str]) -> Target:
    """Return the stack with the keys of the canaries that were processed."""
    keys = {key for name, key in discovered.items() if name.startswith(CANARY)}
    return replace(target, canaries=target.canaries | keys)


def check_status(target: Target) -> Iterator[Finding]:
    """The last deployment succeeded: a stack that was rolled back is not what was deployed."""
    name, status = target.stack.name, target.stack.status
    if status in DEPLOYED:
        yield passed(f"{name} is in {status}")
    else:
        yield failed(
            f"{name} is in {status}",
            f"aws cloudformation describe-stack-events --stack-name {name}",
        )


def check_canary(target: Target) -> Iterator[Finding]:
    """A picture uploaded to each of the stack's own buckets becomes its thumbnails."""
    from darkroom.checks.canary import Canary  # needs Pillow, which --skip canary does without

    own = {name for _, name, _ in target.resources("S3::Bucket")}
    for bucket, source in find_sources(target.stack).items():
        if bucket in own:
            canary = Canary(
                s3=target.stack.client("s3"),
                sqs=target.stack.client("sqs"),
                source=source,
                thumbnail_bucket=target.stack.output("ThumbnailBucketName"),
                stack_name=target.stack.name,
                timeout=target.timeout,
                progress=target.progress,
            )
            key = canary.new_key()
            for finding in canary.run(key):
                processed = {f"{CANARY}{bucket}": key} if finding.verdict == "pass" else {}
                yield replace(finding, discovered=processed)


CHECKS: dict[str, Check[Target]] = {
    "stack": check_status,
    "key": check_key,
    "buckets": check_buckets,
    "queues": check_queues,
    "functions": check_functions,
    "triggers": check_triggers,
    "network": check_network,
    "dns-firewall": check_dns_firewall,
    "sources": lambda target: check_existing_sources(target.inputs),
    "unannounced": check_unannounced,
    "watermarks": lambda target: check_watermarks(target.inputs),
    "api": check_api,
    "logs": check_logs,
    "archive": check_archive,
    "alarms": check_alarms,
    "topics": check_topics,
    "subscriptions": check_subscriptions,
    "denied-requests": check_denied_requests,
    "canary": check_canary,
    "drift": check_drift,  # takes minutes, in which Firehose delivers the canary's line
    "archived-canary": check_archived_canary,
}
"""In the order of `darkroom.checks.names.VERIFY`."""
