"""A command's result on standard output: a sentence for people, or JSON for programs."""

import argparse
import json
from collections.abc import Mapping
from typing import Any


def add_output(options: "argparse.ArgumentParser | argparse._ArgumentGroup", *formats: str) -> None:
    """Add the option that says for whom the result is: a table, JSON, or `formats` beside them."""
    options.add_argument(
        "--output", choices=("table", "json", *formats), default="table", help="(default: table)"
    )


def report(facts: Mapping[str, Any], told: str, output: str) -> None:
    """Print the same result as `facts` or as what is `told`."""
    print(json.dumps(facts, indent=2, ensure_ascii=False) if output == "json" else told)
