"""The worker's log lines, found by their fields."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ops.stack import Stack


def lines(stack: Stack, *, since: datetime, **fields: str) -> Iterator[dict[str, Any]]:
    """Yield the worker's lines from `since` on whose `fields` have these values, oldest first.

    They are searched where they lie, so that only what is found travels. A line may be a minute
    late, and what is older than the log's retention is gone.
    """
    terms = " && ".join(f"($.{name} = {json.dumps(value)})" for name, value in fields.items())
    pages = (
        stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=stack.output("LogGroupName"),
            startTime=int(since.timestamp() * 1000),
            filterPattern=f"{{ {terms} }}",
        )
    )
    for page in pages:
        for event in page["events"]:
            if not event["message"].startswith("{"):
                continue  # a traceback of the runtime's own, START, END and REPORT
            try:
                line = json.loads(event["message"])
            except ValueError:
                continue
            if all(line.get(name) == value for name, value in fields.items()):
                yield line
