"""A command's result on standard output: text for people, or JSON for programs."""

import json
from typing import Any

from darkroom.console import progress


def print_result(data: Any, text: str, format_: str) -> None:
    """Print `data` as JSON where `format_` is "json", else `text`; first remove the status line."""
    progress.clear()
    print(json.dumps(data, indent=2, ensure_ascii=False) if format_ == "json" else text)
