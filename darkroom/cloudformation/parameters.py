"""What CloudFormation takes as a parameter's value, and parameter files checked against it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from darkroom.cloudformation.model import number
from darkroom.errors import UsageError

VALUE_LIMIT = 4096  # bytes; https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
SHAPES = (
    '["Key=Value", …], [{"ParameterKey": …, "ParameterValue": …}, …] or {"Parameters": {"Key": …}}'
)


def misfit(parameter: dict[str, Any], value: Any) -> str:
    """Return why a parameter refuses `value`, as the end of a sentence; nothing if it takes it."""
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    if len(text.encode()) > VALUE_LIMIT:
        return f"is longer than {VALUE_LIMIT} bytes"
    if "AllowedValues" in parameter and text not in map(str, parameter["AllowedValues"]):
        return f"is {text!r}, not one of {', '.join(map(str, parameter['AllowedValues']))}"
    pattern = parameter.get("AllowedPattern")
    # A list's pattern is for each of its values.
    values = text.split(",") if parameter.get("Type") == "CommaDelimitedList" else [text]
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


def longest(parameter: dict[str, Any]) -> int | None:
    """Return the length of the longest value that a parameter takes, or None for no limit."""
    if "AllowedValues" in parameter:
        return max(len(str(value)) for value in parameter["AllowedValues"])
    return int(parameter["MaxLength"]) if "MaxLength" in parameter else None


def read(path: Path) -> list[tuple[str, str]]:
    """Return the keys and values of a parameter file, in any shape that `deploy` takes.

    Raises:
        UsageError: it is missing, empty, no JSON, or of another shape.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON: {error}") from None
    pairs = list(_pairs(content))
    if not pairs or None in pairs:
        raise UsageError(f"{path}: holds no parameters that deploy could take; allowed: {SHAPES}")
    return [pair for pair in pairs if pair]


def _pairs(content: Any) -> Iterator[tuple[str, str] | None]:
    """Yield key and value, or None for what is no parameter.

    Version 2 of the command line takes these three; version 1 none of them, from a file.
    https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/
    """
    if isinstance(content, dict):
        given = content.get("Parameters")
        yield from given.items() if isinstance(given, dict) else [None]
        return
    for one in content if isinstance(content, list) else [None]:
        if isinstance(one, str) and "=" in one:
            key, _, value = one.partition("=")
            yield key, value
        elif isinstance(one, dict) and set(one) == {"ParameterKey", "ParameterValue"}:
            yield one["ParameterKey"], one["ParameterValue"]
        else:
            yield None


def wrong(parameters: dict[str, Any], pairs: list[tuple[str, str]]) -> Iterator[str]:
    """Yield what is wrong with a file's values, each as a sentence that begins with the key."""
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            yield f"{key} is given {count} times"
    for key, value in pairs:
        if key not in parameters:
            yield f"{key} is no parameter of the template; it has {', '.join(sorted(parameters))}"
        elif not isinstance(value, str):
            yield f"{key} is {value!r}; deploy takes text"
        elif problem := misfit(parameters[key], value):
            yield f"{key} {problem}"


def usable(known: dict[str, Any], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return a file's values as the template reads them: lists where a parameter is one."""
    lists = ("CommaDelimitedList", "List<")
    return {
        key: value.split(",") if str(known[key].get("Type")).startswith(lists) else value
        for key, value in pairs
        if key in known and isinstance(value, str)
    }
