"""Runs cfn-lint and checkov over templates, with their strictest settings."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.helpers import REGIONS

from darkroom.errors import UserError
from darkroom.lint.finding import Finding, Severity
from darkroom.lint.installed import check_installed
from darkroom.lint.suppressions import CFN_LINT, CHECKOV

# I4010 asks for each resource's rationale in Metadata. The code that generates the template has
# comments for that, and the template has a limit of 51,200 bytes.
IGNORED = ["I4010"]
SEVERITIES: dict[str, Severity] = {"E": "error", "W": "warning", "I": "info"}


def without_suppressions(content: dict[str, Any]) -> dict[str, Any]:
    """Return the template without suppressions, so that an unused one is found."""
    resources = {
        title: {key: value for key, value in resource.items() if key != "Metadata"}
        if isinstance(resource, dict)
        else resource
        for title, resource in content["Resources"].items()
    }
    metadata = {
        key: value for key, value in content.get("Metadata", {}).items() if key.startswith("AWS::")
    }
    return {**content, "Resources": resources, **({"Metadata": metadata} if metadata else {})}


def run_cfn_lint(
    contents: Sequence[dict[str, Any]], *, regions: Sequence[str] = tuple(REGIONS)
) -> list[list[Finding]]:
    """Return cfn-lint's findings for each template, informational ones too, in all `regions`."""
    settings = ManualArgs(
        include_checks=["I"],
        include_experimental=True,
        mandatory_checks=["E"],
        ignore_checks=IGNORED,
        regions=list(regions),
    )
    return [
        [
            Finding(
                linter=CFN_LINT,
                code=match.rule.id,
                rule=match.rule.id,
                severity=SEVERITIES.get(match.rule.id[0], "error"),
                resource=_resource(list(match.path or [])),
                message=match.message,
                title=match.rule.shortdesc,
                source=match.rule.source_url,
            )
            for match in lint(json.dumps(without_suppressions(content), indent=1), config=settings)
        ]
        for content in contents
    ]


def _resource(path: list[Any]) -> str:
    named = len(path) > 1 and path[0] in ("Resources", "Parameters", "Outputs", "Conditions")
    return str(path[1]) if named else "template"


def run_checkov(contents: Sequence[dict[str, Any]]) -> list[list[Finding]]:
    """Return checkov's findings for each template; one run for all, as its start takes seconds.

    Raises:
        UserError: checkov is not installed, or did not read every template: alone it reports
            a file that it cannot read as one without a fault.
    """
    check_installed([CHECKOV])
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / f"{index}.json" for index in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(json.dumps(without_suppressions(content)), encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "checkov.main", "--framework", "cloudformation"),
                *("--output", "json", "--compact", "--quiet", "--skip-download"),
                *("--directory", directory),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LOG_LEVEL": "ERROR"},
        )
    try:
        return read_checkov(done.stdout, len(contents))
    except (KeyError, TypeError, ValueError):
        output = (done.stderr or done.stdout).strip()[-1000:]
        raise UserError(
            f"checkov exited with {done.returncode} and wrote no report: {output}"
        ) from None


def read_checkov(report: str, count: int) -> list[list[Finding]]:
    """Return the findings in checkov's report on `count` files named 0.json, 1.json ….

    Raises:
        UserError: checkov could not read a file, or checked no resource at all.
    """
    content = json.loads(report)
    content = content[0] if isinstance(content, list) else content
    if unread := content.get("results", {}).get("parsing_errors"):
        raise UserError(f"checkov cannot read the template: {unread}")
    if not content.get("resource_count", content.get("summary", {}).get("resource_count")):
        raise UserError("checkov found no resource to check")
    found: list[list[Finding]] = [[] for _ in range(count)]
    for one in content["results"]["failed_checks"]:
        found[int(Path(one["file_path"]).stem)].append(
            Finding(
                linter=CHECKOV,
                code=one["check_id"],
                rule=one["check_id"],
                severity="warning",  # only checkov's paid service reports severities
                resource=one["resource"].rpartition(".")[2],
                message=one["check_name"],
                source=one.get("guideline") or "https://www.checkov.io/5.Policy%20Index/all.html",
            )
        )
    return found


LINTERS: dict[str, Callable[[Sequence[dict[str, Any]]], list[list[Finding]]]] = {
    CFN_LINT: run_cfn_lint,
    CHECKOV: run_checkov,
}
