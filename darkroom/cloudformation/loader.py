"""Loads a template file, JSON or YAML, with its line numbers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfnlint.decode import decode

from darkroom.cloudformation.parameters import read_text
from darkroom.errors import UsageError


@dataclass(frozen=True)
class TemplateFile:
    """A template file: its content as plain data, and the line of each resource and parameter."""

    path: Path
    content: dict[str, Any]
    lines: dict[str, int]


def with_parameter_files(paths: Sequence[Path]) -> list[tuple[TemplateFile, list[Path]]]:
    """Return each template among these files, with the parameter files that follow it.

    The first file is a template. So is any other that has Resources or is not JSON, as parameter
    files are.

    Raises:
        UsageError: A template cannot be loaded, or a file cannot be read.
    """
    found: list[tuple[TemplateFile, list[Path]]] = []
    for path in paths:
        if found and not _may_be_template(path):
            found[-1][1].append(path)
        else:
            found.append((load(path), []))
    return found


def _may_be_template(path: Path) -> bool:
    try:
        content = json.loads(read_text(path))
    except ValueError:
        return path.suffix != ".json"
    return isinstance(content, dict) and "Resources" in content


def load(path: Path) -> TemplateFile:
    """Return the template in a file.

    Raises:
        UsageError: The file is missing, empty, neither JSON nor YAML, or not a template.
    """
    text = read_text(path)
    if not text.strip():
        raise UsageError(f"{path}: is empty")
    if path.suffix == ".json" or text.lstrip().startswith("{"):
        try:
            json.loads(text)
        except ValueError as error:
            raise UsageError(f"{path}: is not JSON: {error}") from None
    content, errors = decode(str(path))
    if errors:
        reasons = "; ".join(f"line {error.linenumber}: {error.message}" for error in errors)
        raise UsageError(f"{path}: is neither JSON nor YAML: {reasons}")
    resources = content.get("Resources") if isinstance(content, dict) else None
    if not isinstance(resources, dict) or not resources:
        raise UsageError(f"{path}: is not a CloudFormation template: it has no Resources")
    for title, resource in resources.items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise UsageError(f"{path}: Resources.{title} has no Type")
    if "AWS::Serverless" in json.dumps(content.get("Transform", "")):
        raise UsageError(
            f"{path}: is a SAM template: validate the processed template instead"
            " (aws cloudformation get-template --template-stage Processed prints it)"
        )
    lines = {
        str(name): name.start_mark.line + 1
        for section in ("Parameters", "Resources")
        for name in content.get(section, {})
        if hasattr(name, "start_mark")
    }
    return TemplateFile(path, json.loads(json.dumps(content, default=str)), lines)
