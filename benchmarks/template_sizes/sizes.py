"""The sizes of templates with one option each, compared with the default."""

import copy
import json
from pathlib import Path
from typing import Any

from templates import pipeline, specification
from templates.specification import Specification

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "params" / "examples").glob("*.toml"))
PAGE = ROOT / "docs" / "template-size.md"
BEGIN, END = "<!-- sizes -->\n", "<!-- /sizes -->\n"

SUFFIXES = list(Specification().sources["default"].suffixes)
TWO_QUEUES: dict[str, Any] = {
    "sources": {"default": {}, "scans": {"queue": "bulk"}},
    "queues": {"default": {}, "bulk": {}},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "`network.availability_zones = 4`": {"network": {"availability_zones": 4}},
    '`network.vpc = "existing"`': {"network": {"vpc": "existing"}},
    '… with `endpoints = "existing"`': {"network": {"vpc": "existing", "endpoints": "existing"}},
    "one in `network.interface_endpoints`": {
        "network": {"interface_endpoints": {"kms": ["kms:Decrypt"]}}
    },
    "a second bucket in the same queue": {"sources": {"default": {}, "scans": {}}},
    "… in a queue of its own": TWO_QUEUES,
    "an existing bucket": {
        "sources": {"default": {}, "scans": {"type": "eventbridge", "prefixes": ["in/"]}}
    },
    "a topic": {"sources": {"default": {}, "scans": {"type": "sns", "prefixes": ["in/"]}}},
    "`propagate_deletes = true`": {"sources": {"default": {"propagate_deletes": True}}},
    "one suffix less": {"sources": {"default": {"suffixes": SUFFIXES[:-1]}}},
    "`alarms.topic_parameters = false`": {"alarms": {"topic_parameters": False}},
    "`alarms.hourly_cost = false`": {"alarms": {"hourly_cost": False}},
    "`events.topic = true`": {"events": {"topic": True}},
    "`events.eventbridge = true`": {"events": {"eventbridge": True}},
    "`logs.archive = false`": {"logs": {"archive": False}},
    "`logs.archive_flow_logs = false`": {"logs": {"archive_flow_logs": False}},
    '`logs.object_lock = "governance"`': {"logs": {"object_lock": "governance"}},
    "`logs.s3_access_logs = false`": {"logs": {"s3_access_logs": False}},
    "`[api]`": {"api": {}},
    "`[cdn]`": {"cdn": {}},
}


def measured(plan: Specification) -> tuple[int, int]:
    """Return a template's bytes and its number of resources."""
    text = pipeline.render(pipeline.build(plan))
    return len(text.encode()), len(json.loads(text)["Resources"])


def table() -> str:
    """Return the Markdown table of docs/template-size.md."""
    size, count = measured(Specification())
    rows = [
        "| specification | bytes | more | resources | more |",
        "|---|--:|--:|--:|--:|",
        f"| the default | {size:,} | | {count} | |",
    ]
    for title, tables in OPTIONS.items():
        plan = specification.parse(copy.deepcopy(tables), origin=title)
        bytes_, resources = measured(plan)
        rows.append(
            f"| {title} | {bytes_:,} | {bytes_ - size:+,} | {resources} | {resources - count:+} |"
        )
    for path in EXAMPLES:
        bytes_, resources = measured(specification.load(path))
        name = f"[params/examples/{path.name}](../params/examples/{path.name})"
        rows.append(
            f"| {name} | {bytes_:,} | {bytes_ - size:+,} | {resources} | {resources - count:+} |"
        )
    return "\n".join(rows) + "\n"


def written() -> str:
    """Return the table of the page."""
    text = PAGE.read_text(encoding="utf-8")
    return text.split(BEGIN)[1].split(END)[0]
