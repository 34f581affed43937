"""Messages of the specification's errors, in the words of TOML."""

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

# Characters of a wrong value that its message shows.
MAX_SHOWN_CHARACTERS = 60

# What is allowed, by pydantic's type of error; the names in braces are of its context.
_ALLOWED = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "model_type": "must be a table",
    "string_pattern_mismatch": "must be the name of a service, like 'kms'",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} character",
    "string_type": "must be a string",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entry",
    "tuple_type": "must be a list",
    "value_error": "{error}",
}


def messages(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return the key, what is allowed and the value of each error that pydantic found in `model`.

    Invalid items leave their list too short as well, which is not a second error.
    """
    errors = error.errors()
    within = {one["loc"][:-1] for one in errors}
    return [
        _message(one, model)
        for one in errors
        if not (one["type"] == "too_short" and one["loc"] in within)
    ]


def _message(error: Any, model: type[BaseModel]) -> str:
    key = _key(error["loc"])
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(_fields(model, error["loc"][:-1]))
        return f"{key}: is not a setting; allowed: {allowed}"
    allowed = _ALLOWED[error["type"]].format(**error.get("ctx", {}))
    lead = f"{key}: " if key else ""  # an error of several tables names them itself
    # A fault of a whole table has no single value to show, and an empty list or table is none.
    is_table_fault = error["type"] == "value_error" and not isinstance(error["input"], str)
    if is_table_fault or error["type"] == "too_short":
        return f"{lead}{allowed}"
    return f"{lead}{allowed} (given: {_shown(error['input'])})"


def _fields(model: type[BaseModel], location: Sequence[str | int]) -> Iterable[str]:
    """Return the settings of the table at `location`."""
    table: Any = model
    for part in location:
        if hasattr(table, "model_fields"):
            table = table.model_fields[part].annotation
            if type(None) in get_args(table):  # a table that may be left out
                table = get_args(table)[0]
        else:  # a table of named tables, in which a name is not a setting
            table = get_args(table)[1]
    return table.model_fields  # type: ignore[no-any-return] # pydantic types it as Any


def _shown(value: object) -> str:
    """Return a value as it may be written in TOML, or what kind of value it is."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, tuple):
        return f"a list of {len(value)}"
    text = str(value).lower() if isinstance(value, bool) else f"{value!r}"
    if not isinstance(value, str | int | float):  # a date or a time
        text = str(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"


def _key(location: Sequence[str | int]) -> str:
    key = ""
    for part in location:
        if part != "[key]":  # pydantic's mark for an invalid key, which is in `location` itself
            key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key
