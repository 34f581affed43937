"""A plan's parts, with the stack as it is deployed by default."""

from __future__ import annotations

import argparse
from functools import cache
from typing import Any

from darkroom.capacity import report
from darkroom.commands import capacity


@cache
def plan(*arguments: str) -> report.Plan:
    """Return the plan of a command line."""
    parser = argparse.ArgumentParser()
    capacity.add_arguments(parser)
    return capacity.make(parser.parse_args(arguments))


def numbers(value: Any) -> list[float]:
    """Return all numbers anywhere in decoded JSON."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []
