"""The dashboard: progress, backlog, failures and cost of the pipeline."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from troposphere import If, Join, Split, Sub, Template
from troposphere.awslambda import Function
from troposphere.cloudwatch import Alarm, Dashboard

from templates import naming, prices
from templates.queues import QueuePair

# The worker's metrics, which docs/observability.md describes.
NAMESPACE = "Darkroom"
REASONS = (
    "Archived",
    "Corrupt",
    "Deleted",
    "Empty",
    "NotAnImage",
    "TooLarge",
    "TooManyPixels",
    "TooManyScans",
    "UnsupportedFormat",
    "Other",
)
VISIBLE = "ApproximateNumberOfMessagesVisible"
AGE = "ApproximateAgeOfOldestMessage"

Widget = dict[str, Any]
CHART: Widget = {"type": "metric", "width": 8, "properties": {"region": "${AWS::Region}"}}

Line = list[Any]
"""A metric as CloudWatch takes it: namespace, name, dimension, value, and options."""

Dimensions = dict[str, tuple[str, str, str]]
"""Namespace, dimension and value of a queue's metrics, by what publishes them."""

ALARMS_PER_ROW = 6
ALARMS_PER_WIDGET = 100


def add_dashboard(
    template: Template,
    *,
    alarms: Sequence[Alarm],
    queues: Mapping[str, QueuePair],
    functions: Mapping[str, Function],
) -> None:
    """Add the dashboard of `alarms` and all queues; `queues` and `functions` are by queue."""
    by_queue: dict[str, Dimensions] = {
        queue: {
            "queue": ("AWS/SQS", "QueueName", f"${{{queues[queue].work.title}.QueueName}}"),
            "dead": ("AWS/SQS", "QueueName", f"${{{queues[queue].dead_letters.title}.QueueName}}"),
            "function": ("AWS/Lambda", "FunctionName", f"${{{function.title}}}"),
            "worker": (NAMESPACE, "FunctionName", f"${{{function.title}}}"),
        }
        for queue, function in functions.items()
    }
    show = partial(_lines, by_queue)
    conditional: dict[str, Any] = {}
    widgets = [
        # Without a position, each widget follows the previous one where there is room.
        *(
            {
                "type": "alarm",
                "width": 24,
                "height": 1 + math.ceil(len(some) / ALARMS_PER_ROW),
                "properties": {"alarms": _arns(some, conditional)},
            }
            for some in _shared(alarms)
        ),
        _chart(
            "Pictures",
            show("queue", "NumberOfMessagesSent", "Notified"),
            show("worker", "ImagesProcessed"),
            show("worker", "ThumbnailsWritten", yAxis="right"),
        ),
        _chart(
            "Queue",
            show("queue", VISIBLE, "Waiting"),
            show("queue", "ApproximateNumberOfMessagesNotVisible", "In flight"),
            stat="Maximum",
        ),
        _chart(
            "Milliseconds from upload to thumbnails",
            *(show("worker", "EndToEndLatency", rank, stat=rank) for rank in ("p50", "p95", "p99")),
            show("queue", AGE, stat="Maximum", id="a", visible=False),
            # SQS counts in seconds.
            [
                [
                    {
                        "expression": f"a{number}*1000",
                        "label": _label("Oldest message", queue, by_queue),
                    }
                ]
                for number, queue in enumerate(by_queue)
            ],
        ),
        _chart(
            "Failures",
            show("function", "Errors"),
            show("function", "Throttles"),
            show("worker", "Retries"),
            show("dead", VISIBLE, "Dead letters", stat="Maximum"),
        ),
        _chart("Rejections", *(show("worker", f"Rejected{reason}") for reason in REASONS)),
        _chart("Estimated cost, USD per hour", *_cost(by_queue, functions)),
    ]
    # The template's size is limited (pitfall 31): the common beginning of all charts is written
    # once, and quotes are single, because double quotes need a backslash in the template's JSON.
    begin = _text(CHART).removesuffix("}}").removeprefix("{")
    body = _text({"widgets": widgets}).replace(begin, "${Chart}")
    template.add_resource(
        Dashboard(
            "Dashboard",
            # Dashboards belong to the account, not to a Region: the prefix alone is not unique.
            # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudwatch-dashboard.html
            DashboardName=naming.name("${AWS::Region}"),
            DashboardBody=Join('"', Split("'", Sub(body, Chart=Sub(begin), **conditional))),
        )
    )


def _cost(
    by_queue: Mapping[str, Dimensions], functions: Mapping[str, Function]
) -> list[list[Line]]:
    hidden = [
        _lines(by_queue, source, metric, id=name, visible=False)
        for name, source, metric in (
            ("d", "function", "Duration"),
            ("p", "worker", "ImagesProcessed"),
            ("v", "worker", "ThumbnailsWritten"),
        )
    ]
    shown = []
    for number, (queue, function) in enumerate(functions.items()):
        memory = f"${{{function.MemorySize.data['Ref']}}}"
        per_hour = f"*3600/PERIOD(d{number})"
        for label, expression in (
            ("Function", prices.function_cost(f"d{number}", memory)),
            ("S3", prices.requests_cost(f"v{number}", f"p{number}")),
        ):
            label = _label(label, queue, by_queue)
            shown.append([{"expression": f"{expression}{per_hour}", "label": label}])
    return [*hidden, shown]


def _lines(
    by_queue: Mapping[str, Dimensions], source: str, metric: str, label: str = "", **options: Any
) -> list[Line]:
    """Return the line of a metric of each queue; an `id` gets the queue's number."""
    lines: list[Line] = []
    for number, (queue, dimensions) in enumerate(by_queue.items()):
        namespace, dimension, value = dimensions[source]
        more = dict(options)
        if label:
            more["label"] = _label(label, queue, by_queue)
        if "id" in more:
            more["id"] += str(number)
        lines.append([namespace, metric, dimension, value, *([more] if more else [])])
    return lines


def _label(label: str, queue: str, by_queue: Mapping[str, Dimensions]) -> str:
    return f"{label} ({queue})" if len(by_queue) > 1 else label


def _chart(title: str, *lines: Sequence[Line], **more: Any) -> Widget:
    metrics = _shortened([line for of_queues in lines for line in of_queues])
    settings = {**CHART["properties"], "stat": "Sum", "title": title, **more}
    return {**CHART, "properties": {**settings, "metrics": metrics}}


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":")).replace('"', "'")


def _shortened(lines: Iterable[Line]) -> list[Line]:
    """Write a dot for a word of the previous line, and `...` where all words are the same."""
    short: list[Line] = []
    before: list[str] = []
    for line in lines:
        words = [part for part in line if isinstance(part, str)]
        options = line[len(words) :]
        if words and words == before:
            short.append(["...", *options])
        else:
            pairs = zip_longest(words, before[: len(words)])
            short.append([*("." if one == other else one for one, other in pairs), *options])
        before = words or before
    return short


def _shared(alarms: Sequence[Alarm]) -> list[Sequence[Alarm]]:
    """Return the alarms of each widget, as equal in number as they can be."""
    widgets = math.ceil(len(alarms) / ALARMS_PER_WIDGET)
    return [alarms[number::widgets] for number in range(widgets)]


def _arns(alarms: Iterable[Alarm], conditional: dict[str, Any]) -> list[str]:
    """Return the ARNs for `Fn::Sub`; add the values of the ARNs of conditional alarms.

    An alarm whose condition is false has no ARN. A conditional ARN therefore follows the last
    unconditional one, within its quotes: as `','` and the ARN, or as nothing.
    """
    arns: list[str] = []
    optional: list[str] = []
    for alarm in alarms:
        if "Condition" in alarm.resource:
            arn = Sub(f"','${{{alarm.title}.Arn}}")
            conditional[str(alarm.title)] = If(alarm.resource["Condition"], arn, "")
            optional.append(str(alarm.title))
        else:
            arns.append(f"${{{alarm.title}.Arn}}")
    arns[-1] += "".join(f"${{{title}}}" for title in optional)
    return arns
