"""Log lines as one JSON object each, on standard output, where Lambda collects them."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

LOGGER = logging.getLogger("worker")


class JsonFormatter(logging.Formatter):
    """Format a record as JSON; field names are those of Powertools for AWS Lambda.

    https://docs.powertools.aws.dev/lambda/python/latest/core/logger/
    """

    def __init__(self, service: str) -> None:
        """Set the service that every line names."""
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line; what JSON cannot hold is written as its text."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "timestamp": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            "service": self._service,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            kind = record.exc_info[0]
            line["exception_name"] = kind.__name__ if kind else None
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, separators=(",", ":"))


def configure(level: str, service: str = "worker") -> None:
    """Send the worker's lines, and only in this format, to standard output.

    Args:
        level: The least severe level to write, by its name in `logging`.
        service: The function's name: a log archive may hold the lines of several.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service))
    LOGGER.handlers = [handler]
    LOGGER.setLevel(level)
    LOGGER.propagate = False  # Lambda's root handler would write each line a second time


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return the `extra` argument of a logging call that adds these fields, without the Nones."""
    return {"fields": {name: value for name, value in values.items() if value is not None}}
