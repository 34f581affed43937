"""The text of each reference page."""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from darkroom import cli
from darkroom.lint import reference as rules
from templates import naming, pipeline, specification
from templates.specification import Specification

ROOT = Path(__file__).parents[2]
WIDTH = 88

# Settings that add parameters or outputs to the template, in TOML.
ADDITIONS = {
    'network.vpc = "existing"': 'network.vpc = "existing"',
    'network.endpoints = "existing"': 'network.vpc = "existing"\nnetwork.endpoints = "existing"',
    "network.availability_zones = 3": "network.availability_zones = 3",
    "network.availability_zones = 4": "network.availability_zones = 4",
    "queues.NAME.provisioned_mode = true": "queues.NAME.provisioned_mode = true",
    'sources.NAME.type = "eventbridge"': 'sources.NAME.type = "eventbridge"',
    'sources.NAME.type = "sns"': 'sources.NAME.type = "sns"',
    "events.topic = true": "events.topic = true",
    "logs.archive = true": "logs.archive = true",
    "logs.s3_access_logs = true": "logs.s3_access_logs = true",
    "[api]": "[api]",
    '[api], network.endpoints = "existing"': 'network.vpc = "existing"\n'
    'network.endpoints = "existing"\n[api]',
    "[cdn]": "[cdn]",
    "cdn.custom_domain = true": "[cdn]\ncustom_domain = true",
    "cdn.web_acl = true": "[cdn]\nweb_acl = true",
}

# An id begins with the name of its queue or source, unless that is "default".
QUEUE = "own-queue"
SOURCE = "own-source"


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
    top = _context(cli.group, "darkroom")
    sections = ["# Commands\n", _generated("the commands' own help"), _help(cli.group, top)]
    for name in cli.COMMANDS:
        command = cli.group.get_command(top, name)
        assert command is not None  # noqa: S101  # nosec B101 # COMMANDS names it
        sections += _sections(command, top, name)
    return "\n".join(sections)


def _sections(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = _context(command, name, parent)
    yield f"## {context.command_path}\n\n{_help(command, context)}"
    if isinstance(command, click.Group):
        for nested in command.list_commands(context):
            found = command.get_command(context, nested)
            assert found is not None  # noqa: S101  # nosec B101 # list_commands names it
            yield from _sections(found, context, nested)


def _context(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    settings: dict[str, Any] = {**command.context_settings, "terminal_width": WIDTH}
    return click.Context(command, info_name=name, parent=parent, **settings)


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context).rstrip()}\n```\n"


def settings() -> str:
    """Return every key of the specification: type, default and meaning."""
    schema = Specification.model_json_schema()
    plain = [_row("key", "default", "allowed", "meaning"), _row(*["---"] * 4)]
    sections = [
        "# Specification\n",
        _generated("the specification's models"),
        "`python generate.py --pipeline FILE.toml` reads these keys. Every key is optional."
        " There may be several sources, queues and variants, each with a `NAME`: `[sources.scans]`."
        " Without such a table there is one named `default`."
        " [Settings](../settings.md) explains the choices.\n",
    ]
    for table, field in schema["properties"].items():
        values = field.get("additionalProperties", {})
        if model := _model(field, schema["$defs"]) or _model(values, schema["$defs"]):
            key = f"{table}.NAME" if "additionalProperties" in field else table
            for place, each in _tables(key, model, schema["$defs"]):
                rows = [
                    _setting(f"{place}.{name}", one, schema["$defs"])
                    for name, one in each["properties"].items()
                ]
                sections += [f"## {place}\n", f"{each['description']}\n", *plain, *rows, ""]
        else:
            sections += [f"## {table}\n", *plain, _setting(table, field, schema["$defs"]), ""]
    return "\n".join(sections)


def _tables(
    key: str, model: Mapping[str, Any], models: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a table and the tables within it that may be left out, each with its key."""
    yield key, model
    for name, field in model["properties"].items():
        if (nested := _model(field, models)) and _is_optional(field):
            yield f"{key}.{name}", nested


def _is_optional(field: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "null" for one in field.get("anyOf", ()))


def _setting(key: str, field: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    default = field.get("default")
    return _row(
        f"`{key}`",
        "none" if default in (None, {}) else f"`{_toml(default)}`",
        _allowed(field, models),
        field.get("description", ""),
    )


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


def _model(field: Mapping[str, Any], models: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for one in (field, *field.get("anyOf", ())):
        if "$ref" in one:
            found: Mapping[str, Any] = models[one["$ref"].rpartition("/")[2]]
            return found
    return None


def _allowed(field: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    """Return the values that a JSON schema allows; "strings" and tables have no more to show."""
    if "$ref" in field and (model := _model(field, models)):
        keys = (f"{key} = {_allowed(one, models)}" for key, one in model["properties"].items())
        return "{ " + ", ".join(keys) + " }"
    if _is_optional(field) and _model(field, models):
        return "a table, below"
    if "anyOf" in field:
        return " or ".join(
            _allowed(one, models) for one in field["anyOf"] if one.get("type") != "null"
        )
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    kind = field["type"]
    if kind == "boolean":
        return "`true`, `false`"
    if kind == "integer":
        return f"{field['minimum']} to {field['maximum']}"
    if kind == "array":
        items = _allowed(field["items"], models)
        return "list of strings" if items == "string" else f"list of {items}"
    if kind == "object":
        # https://json-schema.org/understanding-json-schema/reference/object
        values = field.get("additionalProperties") or next(
            iter(field["patternProperties"].values())
        )
        keys = field.get("propertyNames", {}).get("enum")
        names = ", ".join(f"`{key}`" for key in keys) if keys else "table: key"
        return f"{names} = {_allowed(values, models)}"
    return str(kind)


def parameters() -> str:
    """Return every CloudFormation parameter that a template may have, by its console group."""
    sections = [
        "# Parameters\n",
        _generated("the templates"),
        "What differs between environments is a CloudFormation parameter, set in a file such as"
        " [`params/prod.json`](../../params/prod.json). The specification decides which"
        ' parameters a template has: "only with" names the settings that add one.\n',
        _NAMES.format("parameters", "`BulkMemorySize`"),
    ]
    found = _found("Parameters")
    groups: dict[str, list[str]] = {}
    for template, _ in _templates():
        metadata = template["Metadata"]["AWS::CloudFormation::Interface"]
        for group in metadata["ParameterGroups"]:
            listed = groups.setdefault(group["Label"]["default"], [])
            listed += [name for name in group["Parameters"] if name not in listed]
    for heading, names in groups.items():
        rows = [_parameter(*found[name]) for name in names if name in found]
        columns = ("parameter", "default", "allowed", "meaning", "only with")
        sections += [f"## {heading}\n", _row(*columns), _row(*["---"] * 5), *rows, ""]
    return "\n".join(sections)


def _parameter(one: Mapping[str, Any], shown: str, setting: str) -> str:
    values = one.get("AllowedValues")
    pattern = one.get("AllowedPattern")
    allowed = (
        ", ".join(f"`{value}`" for value in values)
        if values
        else f"{one['MinValue']} to {one['MaxValue']}"
        if "MinValue" in one
        else one.get("ConstraintDescription") or f"`{pattern or one['Type']}`"
    )
    meaning = one["Description"].replace("source default", "the source")
    if "MaxLength" in one:
        allowed += f"; at most {one['MaxLength']}"
    default = one.get("Default")
    preset = "required" if default is None else f"`{default}`" if default != "" else "empty"
    return _row(shown, preset, allowed, meaning, setting)


def outputs() -> str:
    """Return every output that a template may have."""
    rows = [_row("output", "value", "only with"), _row(*["---"] * 3)]
    rows += [
        _row(shown, one["Description"], setting)
        for one, shown, setting in _found("Outputs").values()
    ]
    return "\n".join(
        [
            "# Outputs\n",
            _generated("the templates"),
            "`aws cloudformation describe-stacks --stack-name NAME` shows them."
            ' "Only with" names the settings of the specification that add one.\n',
            _NAMES.format("outputs", "`BulkWorkQueueUrl`"),
            *rows,
            "",
        ]
    )


_NAMES = (
    "A queue or source that is not named `default` has {} of its own, which start with its name:"
    " `[queues.bulk]` has {}.\n"
)


def _found(section: str) -> dict[str, tuple[Mapping[str, Any], str, str]]:
    """Return each parameter or output by id, with the ids to show and the settings that add it."""
    found: dict[str, Mapping[str, Any]] = {}
    settings: dict[str, list[str]] = {}
    for template, addition in _templates():
        for name, one in template.get(section, {}).items():
            found.setdefault(name, one)
            listed = settings.setdefault(name, [])
            if not any(ADDITIONS.get(each, "") in ADDITIONS.get(addition, "") for each in listed):
                listed.append(addition)
    shown = {name: f"`{name}`" for name in found}
    for owner, stands_for in ((QUEUE, "Queue"), (SOURCE, "Source")):
        lead = naming.logical_id(owner, "")
        for name in [name for name in found if name.startswith(lead)]:
            del shown[name]
            plain = name.removeprefix(lead)
            shown[plain] += f", `<{stands_for}>{plain}`"
    return {
        name: (found[name], ids, " or ".join(f"`{each}`" for each in settings[name] if each))
        for name, ids in shown.items()
    }


@functools.cache
def _templates() -> list[tuple[Mapping[str, Any], str]]:
    """Return templates with each addition, of a default and of a named queue, and the addition."""
    named = f'sources.default.queue = "default"\nsources.{SOURCE}.queue = "{QUEUE}"\n'
    named += f"queues.default.batch_size = 5\nqueues.{QUEUE}.batch_size = 5\n"
    found: list[tuple[Mapping[str, Any], str]] = []
    for base, queue, source in (("", "default", "default"), (named, QUEUE, SOURCE)):
        for addition, text in {"": "", **ADDITIONS}.items():
            text = text.replace("queues.NAME", f"queues.{queue}")
            text = base + text.replace("sources.NAME", f"sources.{source}")
            plan = specification.parse(tomllib.loads(text), origin="benchmarks/reference")
            found.append((pipeline.build(plan).to_dict(), addition))
    return found


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _generated(source: str) -> str:
    return f"Generated from {source} by `tox run -e docs`.\n"
