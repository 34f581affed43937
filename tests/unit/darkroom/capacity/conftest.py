"""Estimates of the default stack, by the command's own options."""

import contextlib
import io
from functools import cache
from typing import Any
from unittest import mock

from darkroom.capacity import estimate as estimates
from darkroom.capacity import report
from darkroom.commands import capacity


@cache
def estimate(*arguments: str) -> estimates.CapacityEstimate:
    """Return the estimate that a command line asks for."""
    with (
        mock.patch.object(report, "as_text", return_value="") as as_text,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        capacity.command.main(list(arguments), standalone_mode=False)
    (result,) = as_text.call_args.args
    assert isinstance(result, estimates.CapacityEstimate)
    return result


def numbers(value: Any) -> list[float]:
    """Return all numbers anywhere in decoded JSON."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []
