"""A deployment's changes and results, as tables and as data."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from darkroom.aws.stack import Stack
from darkroom.checks import report
from darkroom.checks.framework import CheckResult, exit_status
from darkroom.cloudformation.changes import Change
from darkroom.console.tables import table

if TYPE_CHECKING:
    from darkroom.deploy.deployment import Result


def changes_table(changes: Sequence[Change]) -> str:
    """Return the changes as a table, with a line below it that counts them."""
    rows = [("action", "resource", "type", "properties", "consequence")]
    rows += [
        (
            change.action,
            change.resource,
            change.type.removeprefix("AWS::"),
            ", ".join(change.properties),
            change.consequence,
        )
        for change in changes
    ]
    return "\n".join([*([table(rows), ""] if changes else []), f"{counted(changes)}."])


def counted(changes: Sequence[Change]) -> str:
    """Return how many resources each action concerns."""
    actions = [change.action for change in changes]
    counts = [f"{actions.count(action)} to {action}" for action in dict.fromkeys(actions)]
    return ", ".join(counts) or "No changes"


def places(stack: Stack) -> dict[str, list[str]]:
    """Return where pictures go in, and where thumbnails come out: places by `in` and `out`."""
    outputs = stack.outputs
    into = [
        f"s3://{outputs[name]}/{prefix}"
        for name in sorted(outputs)
        if name.endswith("UploadBucketName")
        for prefix in outputs.get(f"{name.removesuffix('BucketName')}Prefixes", "").split(",")
    ]
    out = [f"s3://{stack.output('ThumbnailBucketName')}/thumbnails/"]
    if api := outputs.get("UploadApiUrl"):
        into.append(api)
    if domain := outputs.get("DistributionDomainName"):
        out.append(f"https://{domain}/")
    return {"in": into, "out": out}


def data(result: "Result") -> dict[str, Any]:
    """Return a deployment's result for programs."""
    found: dict[str, Any] = {
        "stack": result.stack_name,
        "status": result.stack.status if result.stack else None,
        "preflight": report.data(result.preflight),
        "changes": [asdict(change) for change in result.changes],
    }
    if result.stack:
        found |= {"outputs": dict(result.stack.outputs), "places": places(result.stack)}
    if result.verification is not None:
        found["verification"] = report.data(result.verification)
    return found


def text(result: "Result") -> str:
    """Return a deployment's result for people."""
    name, stack = result.stack_name, result.stack
    if not stack:
        if exit_status(result.preflight, strict=False):
            return _rendered(result.preflight, f"preflight {name}")
        return changes_table(result.changes)
    lines = []
    if result.verification is not None:
        lines = [_rendered(result.verification, f"verify {name}"), ""]
    found = places(stack)
    lines += [f"Put pictures into  {place}" for place in found["in"]]
    lines += [f"Thumbnails are in  {place}" for place in found["out"]]
    return "\n".join(lines)


def _rendered(results: Sequence[CheckResult], title: str) -> str:
    return report.render(results, title=title, format_="table", facts={})
