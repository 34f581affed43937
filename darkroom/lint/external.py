"""Runs cfn-lint and checkov over a template, at their strictest."""

import importlib.util
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
from darkroom.lint.engine import Finding

# I4010 wants each resource's rationale as metadata for language models: the comments of whoever
# writes the template are for that, and a template has 51,200 bytes to stay within.
IGNORED = ["I4010"]
CFN_LINT = "cfn-lint"
CHECKOV = "checkov"


def without_skips(content: dict[str, Any]) -> dict[str, Any]:
    """Return the template without the linters' own suppressions, so that an unused one shows."""
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
    """Return cfn-lint's findings for each template: informational too, in all `regions`."""
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
                tool=CFN_LINT,
                rule=match.rule.id,
                resource=_resource(list(match.path or [])),
                problem=match.message,
                why=match.rule.shortdesc,
                source=match.rule.source_url,
            )
            for match in lint(json.dumps(without_skips(content), indent=1), config=settings)
        ]
        for content in contents
    ]


def _resource(path: list[Any]) -> str:
    named = len(path) > 1 and path[0] in ("Resources", "Parameters", "Outputs", "Conditions")
    return str(path[1]) if named else "template"


def run_checkov(contents: Sequence[dict[str, Any]]) -> list[list[Finding]]:
    """Return checkov's findings for each template; one run for all, for its start takes seconds.

    Raises:
        UserError: checkov is not installed, or read less than it was given: by itself it takes
            a file that it cannot read for one without fault.
    """
    if importlib.util.find_spec("checkov") is None:
        raise UserError(
            f"checkov is not installed for {sys.executable}; install it (python -m pip install"
            f" -e '.[validate]') or leave it out: --tools rules,{CFN_LINT}"
        )
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / f"{index}.json" for index in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(json.dumps(without_skips(content)), encoding="utf-8")
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
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise UserError(f"checkov ended with {done.returncode} and no report: {said}") from None


def read_checkov(report: str, count: int) -> list[list[Finding]]:
    """Return the findings in checkov's report on `count` files called 0.json, 1.json ….

    Raises:
        UserError: it could not read a file, or looked at no resource at all.
    """
    content = json.loads(report)
    content = content[0] if isinstance(content, list) else content
    if unread := content.get("results", {}).get("parsing_errors"):
        raise UserError(f"checkov cannot read the template: {unread}")
    if not content.get("resource_count", content.get("summary", {}).get("resource_count")):
        raise UserError("checkov found no resource to look at")
    found: list[list[Finding]] = [[] for _ in range(count)]
    for one in content["results"]["failed_checks"]:
        found[int(Path(one["file_path"]).stem)].append(
            Finding(
                tool=CHECKOV,
                rule=one["check_id"],
                resource=one["resource"].rpartition(".")[2],
                problem=one["check_name"],
                source=one.get("guideline") or "https://www.checkov.io/5.Policy%20Index/all.html",
            )
        )
    return found


LINTERS: dict[str, Callable[[Sequence[dict[str, Any]]], list[list[Finding]]]] = {
    CFN_LINT: run_cfn_lint,
    CHECKOV: run_checkov,
}
