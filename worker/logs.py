"""Log lines as one JSON object each, on standard output, where Lambda collects them."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

LOGGER = logging.getLogger("worker")


class JsonFormatter(logging.Formatter):
    """Format a record as JSON: timestamp, level, message, the record's `fields`, any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line; what JSON cannot hold is written as its text."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "timestamp": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(level: str) -> None:
    """Send our lines, and only in our format, to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    LOGGER.handlers = [handler]
    LOGGER.setLevel(level)
    LOGGER.propagate = False  # Lambda's root handler would write each line a second time


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return the `extra` argument of a logging call that adds these fields to its line."""
    return {"fields": {name: value for name, value in values.items() if value is not None}}
