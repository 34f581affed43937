"""A command's result on standard output: text for people, or JSON for programs."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from darkroom.console import progress


def print_result(data: Any, text: str, format_: str) -> None:
    """Print `data` as JSON where `format_` is "json", else `text`; first remove the status line."""
    progress.clear()
    print(json.dumps(data, indent=2, ensure_ascii=False) if format_ == "json" else text)


def add_output(options: "argparse.ArgumentParser | argparse._ArgumentGroup", *formats: str) -> None:
    """Add the option that says for whom the result is: a table, JSON, or `formats` beside them."""
    options.add_argument(
        "--output", choices=("table", "json", *formats), default="table", help="(default: table)"
    )


def report(facts: Mapping[str, Any], told: str, output: str) -> None:
    """Print the same result as `facts` or as what is `told`."""
    print_result(facts, told, output)
