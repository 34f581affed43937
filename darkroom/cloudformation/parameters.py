"""Checks parameter values and parameter files as CloudFormation does."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from darkroom.cloudformation.model import number
from darkroom.errors import UsageError

VALUE_LIMIT = 4096  # bytes; https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
FILE_SHAPES = (
    '["Key=Value", …], [{"ParameterKey": …, "ParameterValue": …}, …] or {"Parameters": {"Key": …}}'
)


def violation(parameter: dict[str, Any], value: Any) -> str:
    """Return which constraint `value` violates, as the end of a sentence, or "" for none."""
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    if len(text.encode()) > VALUE_LIMIT:
        return f"is longer than {VALUE_LIMIT} bytes"
    if "AllowedValues" in parameter and text not in map(str, parameter["AllowedValues"]):
        return f"is {text!r}, not one of {', '.join(map(str, parameter['AllowedValues']))}"
    pattern = parameter.get("AllowedPattern")
    # The pattern of a list applies to each of its values.
    values = _members(text) if parameter.get("Type") == "CommaDelimitedList" else [text]
    for one in values:
        if pattern and not re.fullmatch(pattern, one):
            return f"is {one!r}, which does not match {pattern}"
    if parameter.get("Type") == "Number":
        amount = number(text)
        if amount is None:
            return f"is {text!r}, not a number"
        if amount < float(parameter.get("MinValue", "-inf")):
            return f"is {text}, below {parameter['MinValue']}"
        if amount > float(parameter.get("MaxValue", "inf")):
            return f"is {text}, above {parameter['MaxValue']}"
    if len(text) > int(parameter.get("MaxLength", VALUE_LIMIT)):
        return f"is longer than {parameter['MaxLength']} characters"
    if len(text) < int(parameter.get("MinLength", 0)):
        return f"is shorter than {parameter['MinLength']} characters"
    return ""


def max_length(parameter: dict[str, Any]) -> int | None:
    """Return the length of the longest value that a parameter allows, or None for no limit."""
    if "AllowedValues" in parameter:
        return max(len(str(value)) for value in parameter["AllowedValues"])
    return int(parameter["MaxLength"]) if "MaxLength" in parameter else None


def read_file(path: Path) -> list[tuple[str, str]]:
    """Return the keys and values of a parameter file, in any shape that `deploy` reads.

    Raises:
        UsageError: The file is missing, empty, not JSON, or has another shape.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON: {error}") from None
    pairs = list(_pairs(content))
    if not pairs or None in pairs:
        raise UsageError(f"{path}: has no parameters that deploy can read; allowed: {FILE_SHAPES}")
    return [pair for pair in pairs if pair]


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        UsageError: The file is missing, not readable, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: cannot be read: it is not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _pairs(content: Any) -> Iterator[tuple[str, str] | None]:
    """Yield key and value, or None for what is not a parameter.

    Version 2 of the AWS CLI reads these three shapes from a file; version 1 reads none of them.
    https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/
    """
    if isinstance(content, dict):
        declared = content.get("Parameters")
        yield from declared.items() if isinstance(declared, dict) else [None]
        return
    for one in content if isinstance(content, list) else [None]:
        if isinstance(one, str) and "=" in one:
            key, _, value = one.partition("=")
            yield key, value
        elif isinstance(one, dict) and set(one) == {"ParameterKey", "ParameterValue"}:
            yield one["ParameterKey"], one["ParameterValue"]
        else:
            yield None


def problems(parameters: dict[str, Any], pairs: list[tuple[str, str]]) -> Iterator[str]:
    """Yield each problem of a file's values as a sentence that begins with the key."""
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            yield f"{key} is given {count} times"
    for key, value in pairs:
        if key not in parameters:
            known = ", ".join(sorted(parameters))
            yield f"{key} is not a parameter of the template; it has {known}"
        elif not isinstance(value, str):
            yield f"{key} is {value!r}; deploy reads text"
        elif problem := violation(parameters[key], value):
            yield f"{key} {problem}"


def typed_values(known: dict[str, Any], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values of known parameters, those of list types as lists."""
    lists = ("CommaDelimitedList", "List<")
    return {
        key: _members(value) if str(known[key].get("Type")).startswith(lists) else value
        for key, value in pairs
        if key in known and isinstance(value, str)
    }


def _members(text: str) -> list[str]:
    """Return the values of a list, without the spaces around them, as CloudFormation reads them.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
    """
    return [one.strip() for one in text.split(",")]
