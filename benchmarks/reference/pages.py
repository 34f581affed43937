"""The text of each reference page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from darkroom import cli
from darkroom.lint import reference as rules
from templates import pipeline, specification
from templates.specification import Specification

ROOT = Path(__file__).parents[2]
WIDTH = 88

# Specifications that together have every parameter and output.
EXAMPLES = sorted((ROOT / "params" / "examples").glob("*.toml"))


def pages() -> dict[str, str]:
    """Return each page's text by its path in the repository."""
    return {
        "docs/reference/commands.md": commands(),
        "docs/reference/specification.md": settings(),
        "docs/reference/parameters.md": parameters(),
        "docs/reference/outputs.md": outputs(),
        "docs/rules.md": rules.render(),
    }


def commands() -> str:
    """Return the help of every command."""
    top = click.Context(cli.group, info_name="darkroom", terminal_width=WIDTH)
    sections = ["# Commands\n", _generated("the commands' own help"), _help(cli.group, top)]
    for name in cli.COMMANDS:
        command = cli.group.get_command(top, name)
        assert command is not None  # noqa: S101 # COMMANDS names it
        sections += _sections(command, top, name)
    return "\n".join(sections)


def _sections(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
    yield f"## {context.command_path}\n\n{_help(command, context)}"
    if isinstance(command, click.Group):
        for nested in command.list_commands(context):
            found = command.get_command(context, nested)
            assert found is not None  # noqa: S101 # list_commands names it
            yield from _sections(found, context, nested)


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context).rstrip()}\n```\n"


def settings() -> str:
    """Return every key of the specification: type, default and meaning."""
    schema = Specification.model_json_schema()
    rows = [_row("key", "default", "allowed", "meaning"), _row(*["---"] * 4)]
    for table, field in schema["properties"].items():
        rows += _settings(table, field, schema["$defs"])
    return "\n".join(
        [
            "# Specification\n",
            _generated("the specification's models"),
            "`python generate.py --pipeline FILE.toml` reads these keys. Every key is optional."
            " `NAME` stands for any name; without such a table there is one named `default`."
            " [Settings](../settings.md) explains the choices.\n",
            *rows,
            "",
        ]
    )


def _settings(key: str, field: Mapping[str, Any], models: Mapping[str, Any]) -> Iterator[str]:
    if model := _model(field, models):
        for name, inner in model["properties"].items():
            yield from _settings(f"{key}.{name}", inner, models)
        return
    if (values := field.get("additionalProperties")) and (model := _model(values, models)):
        for name, inner in model["properties"].items():
            yield from _settings(f"{key}.NAME.{name}", inner, models)
        return
    default = field.get("default")
    yield _row(
        f"`{key}`",
        "none" if default in (None, {}) else f"`{json.dumps(default)}`",
        _allowed(field, models),
        field.get("description", ""),
    )


def _model(field: Mapping[str, Any], models: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for one in (field, *field.get("anyOf", ()), *field.get("allOf", ())):
        if "$ref" in one:
            found = models[one["$ref"].rpartition("/")[2]]
            return found if "properties" in found else None
    return None


def _allowed(field: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    kinds = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
    return " or ".join(filter(None, (_kind(one, models) for one in kinds)))


def _kind(field: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    kind = field.get("type", "")
    if kind == "boolean":
        return "`true`, `false`"
    if kind == "integer":
        return f"{field.get('minimum', '')}-{field.get('maximum', '')}".strip("-") or "integer"
    if kind == "array":
        return f"list of {_kind(field.get('items', {}), models) or 'strings'}"
    if kind == "object":
        return f"table of {_kind(field.get('additionalProperties', {}), models) or 'values'}"
    return str(kind)


def parameters() -> str:
    """Return every CloudFormation parameter that the examples have together."""
    rows = [_row("parameter", "default", "allowed", "meaning"), _row(*["---"] * 4)]
    for name, one in _union("Parameters").items():
        values = one.get("AllowedValues")
        limits = [f"{one[key]}" for key in ("MinValue", "MaxValue") if key in one]
        pattern = one.get("AllowedPattern")
        allowed = (
            ", ".join(f"`{value}`" for value in values)
            if values
            else "-".join(limits)
            if limits
            else one.get("ConstraintDescription") or (f"`{pattern}`" if pattern else "")
        )
        default = one.get("Default")
        shown = "required" if default is None else f"`{default}`" if default != "" else "empty"
        rows.append(_row(f"`{name}`", shown, allowed, one.get("Description", "")))
    return "\n".join(
        [
            "# Parameters\n",
            _generated("the templates of the default specification and of `params/examples`"),
            "What differs between environments is a CloudFormation parameter, set in a file such"
            " as [`params/prod.json`](../../params/prod.json). A queue or source with another name"
            " than `default` puts its name before its parameters': `BulkMemorySize`.\n",
            *rows,
            "",
        ]
    )


def outputs() -> str:
    """Return every output that the examples have together."""
    rows = [_row("output", "value"), _row(*["---"] * 2)]
    rows += [_row(f"`{name}`", one["Description"]) for name, one in _union("Outputs").items()]
    return "\n".join(
        [
            "# Outputs\n",
            _generated("the templates of the default specification and of `params/examples`"),
            "`aws cloudformation describe-stacks --stack-name NAME` shows them.\n",
            *rows,
            "",
        ]
    )


def _union(section: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    defaults = specification.Specification()
    for plan in (defaults, *map(specification.load, EXAMPLES)):
        template = pipeline.build(plan).to_dict()
        for name, one in template.get(section, {}).items():
            found.setdefault(name, one)
    return found


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _generated(source: str) -> str:
    return f"Generated from {source} by `tox run -e docs`.\n"
