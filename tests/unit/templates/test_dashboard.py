"""templates/dashboard.py: one page that is true of this stack, wherever it is."""

import json
import re
from itertools import combinations
from typing import Any

import pytest
from troposphere import Equals, Parameter, Ref, Template
from troposphere.cloudwatch import Alarm

from darkroom.cloudformation import dashboards
from darkroom.cloudformation.resolver import ResolvedTemplate
from templates.dashboard import NAMESPACE, add_dashboard
from tests.unit.templates.conftest import generate
from worker import imaging, storage
from worker.metrics import Metrics
from worker.results import Result

REASONS = (*storage.REASONS, *imaging.REASONS)

PLACES = [
    ("aws", "eu-west-1", "amazonaws.com"),
    ("aws", "us-east-1", "amazonaws.com"),
    ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
    ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
]


def widgets(stack: ResolvedTemplate) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stack.properties("Dashboard")["DashboardBody"])[
        "widgets"
    ]
    return found


def lines(stack: ResolvedTemplate) -> list[dashboards.GraphMetric]:
    return [line for widget in widgets(stack) for line in dashboards.graph_metrics(widget)]


def chart(stack: ResolvedTemplate, title: str) -> list[dashboards.GraphMetric]:
    (found,) = [one for one in widgets(stack) if one["properties"].get("title") == title]
    return list(dashboards.graph_metrics(found))


@pytest.mark.parametrize(("partition", "region", "suffix"), PLACES)
def test_the_body_is_json_of_its_own_region(
    stack: ResolvedTemplate, partition: str, region: str, suffix: str
) -> None:
    """O4, D2: with the longest prefix; a widget without region shows another region's nothing."""
    there = stack.with_parameters(
        NamePrefix="p" * 20,
        **{"AWS::Partition": partition, "AWS::Region": region, "AWS::URLSuffix": suffix},
    )
    found = widgets(there)
    assert [one["type"] for one in found].count("alarm") == 1
    for one in found:
        if one["type"] == "metric":
            assert one["properties"]["region"] == region
    assert "${" not in json.dumps(found)


def test_two_stacks_have_two_dashboards(stack: ResolvedTemplate) -> None:
    """Pitfall 52: of one account; dashboards have no region, so that the name tells it."""
    names = {
        stack.with_parameters(NamePrefix=prefix, **{"AWS::Region": region}).properties("Dashboard")[
            "DashboardName"
        ]
        for prefix in ("one", "two")
        for region in ("eu-west-1", "us-east-1")
    }
    assert len(names) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name) for name in names)


def test_every_alarm_is_on_the_page(stack: ResolvedTemplate) -> None:
    """O2, O4: whichever module it is from."""
    (widget,) = [one for one in widgets(stack) if one["type"] == "alarm"]
    arns = widget["properties"]["alarms"]
    assert sorted(arns) == sorted(
        f"<{title}.Arn>" for title in stack.resources_of_type("CloudWatch::Alarm")
    )
    assert 1 <= len(arns) <= 100  # what the widget takes


def test_more_alarms_than_a_widget_takes_are_on_several() -> None:
    """O4: a widget shows a hundred alarms; each is on one of them."""
    template = Template()
    template.add_parameter(Parameter("NamePrefix", Type="String", Default="x"))
    alarms = [
        Alarm(f"A{number}", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1)
        for number in range(201)
    ]
    add_dashboard(template, alarms=alarms, queues={}, functions={})
    shown = [
        one["properties"]["alarms"]
        for one in widgets(ResolvedTemplate(json.loads(template.to_json())))
        if one["type"] == "alarm"
    ]
    assert [len(arns) for arns in shown] == [67, 67, 67]
    assert {arn for arns in shown for arn in arns} == {f"<A{number}.Arn>" for number in range(201)}


def test_every_dimension_names_a_resource_of_the_stack(stack: ResolvedTemplate) -> None:
    """O4: what does not exist is a blank that looks like calm."""
    real = {
        "QueueName": {one["QueueName"] for one in stack.resources_of_type("SQS::Queue").values()},
        "FunctionName": {
            one["FunctionName"] for one in stack.resources_of_type("Lambda::Function").values()
        },
    }
    shown = [line for line in lines(stack) if line.namespace]
    assert len(shown) > 20
    for line in shown:
        ((name, value),) = line.dimensions.items()
        assert value in real[name], line


def test_the_workers_own_metrics_are_those_it_sends(stack: ResolvedTemplate) -> None:
    """O3, O4: by name, and every reason of a rejection."""
    metrics = Metrics(reasons=REASONS)
    for reason in (*REASONS, "not_listed"):
        metrics.record(Result("rejected", "", reason=reason))
    metrics.record(Result("succeeded", ""), event_time="2026-01-01T00:00:00Z")
    (directive,) = json.loads(metrics.line({}))["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE
    sent = {metric["Name"] for metric in directive["Metrics"]}
    shown = {line.metric for line in lines(stack) if line.namespace == NAMESPACE}
    assert shown <= sent
    reasons = {name for name in sent if name.startswith("Rejected")} - {"Rejected"}
    assert {line.metric for line in chart(stack, "Rejections")} == reasons


def test_the_page_answers_the_four_questions(stack: ResolvedTemplate) -> None:
    """O4: is it working, how far behind, what fails, what it costs."""
    shown = {(line.metric, line.options.get("stat")) for line in lines(stack)}
    depth, age = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
    assert {name for name, _ in shown} >= {
        "ImagesProcessed",
        "ThumbnailsWritten",
        "Errors",
        "Throttles",
        "Retries",
    }
    assert shown >= {(depth, None), (age, "Maximum")}
    assert shown >= {("EndToEndLatency", rank) for rank in ("p50", "p95", "p99")}
    dead = stack.properties("DeadLetterQueue")["QueueName"]
    assert dead in {line.dimensions.get("QueueName") for line in chart(stack, "Failures")}


def test_widgets_fill_the_page_and_none_is_on_another(stack: ResolvedTemplate) -> None:
    """O4: CloudWatch's grid of 24 columns."""
    cells = []
    x = y = bottom = 0
    for widget in widgets(stack):
        # No widget has a position: each goes to the right of the previous one, or below.
        assert "x" not in widget
        width, height = (widget.get(side, 6) for side in ("width", "height"))
        if x + width > 24:
            x, y = 0, bottom
        cells.append({(x + across, y + down) for across in range(width) for down in range(height)})
        x, bottom = x + width, max(bottom, y + height)
    assert not [pair for pair in combinations(cells, 2) if pair[0] & pair[1]]
    taken = set().union(*cells)
    assert taken == {(x, y) for x in range(24) for y in range(max(y for _, y in taken) + 1)}


def cost(stack: ResolvedTemplate, label: str) -> str:
    """Return the expression of that label, with the ids' metrics in it."""
    found = chart(stack, "Estimated cost, USD per hour")
    (text,) = [one.options["expression"] for one in found if one.options.get("label") == label]
    for line in found:
        if "id" in line.options:
            assert line.options["visible"] is False
            text = re.sub(rf"\b{line.options['id']}\b", line.metric, text)
    return str(text)


def evaluate(expression: str, period: int, **values: float) -> float:
    text = re.sub(r"PERIOD\(\w+\)", str(period), expression)
    result: float = eval(text, {"__builtins__": {}}, values)  # noqa: S307 -- arithmetic of ours
    return result


@pytest.mark.parametrize("period", [60, 300])
def test_the_cost_is_that_of_the_readme(stack: ResolvedTemplate, period: int) -> None:
    """O4, D6: a million pictures in a period, as the README's table has them; by the hour."""
    there = stack.with_parameters(MemorySize=1792)
    hours = 3600 / period
    function = evaluate(cost(there, "Function"), period, Duration=1e6 * 400)
    assert function == pytest.approx(9.33 * hours, abs=0.01 * hours)
    s3 = evaluate(cost(there, "S3"), period, ImagesProcessed=1e6, ThumbnailsWritten=6e6)
    assert s3 == pytest.approx((30.00 + 5.40 + 5.40) * hours)


def test_each_queue_has_its_own_lines() -> None:
    """O4: no queue and no function is left out, and no two lines look the same."""
    two = generate(
        queues={"default": {}, "bulk": {"timeout_seconds": 300}},
        sources={"default": {}, "archive": {"queue": "bulk"}},
    )
    real = {
        value
        for kind, key in (("SQS::Queue", "QueueName"), ("Lambda::Function", "FunctionName"))
        for value in [one[key] for one in two.resources_of_type(kind).values()]
    }
    assert len(real) == 6
    shown = {value for line in lines(two) for value in line.dimensions.values()}
    assert shown == real
    for widget in widgets(two):
        found = list(dashboards.graph_metrics(widget))
        for name in ("id", "label"):
            given = [line.options[name] for line in found if name in line.options]
            assert len(set(given)) == len(given)


@pytest.mark.parametrize(
    ("extra", "titles"),
    [("no", ["First", "Fourth"]), ("yes", ["First", "Fourth", "Second", "Third"])],
)
def test_an_alarm_on_a_condition_is_shown_where_it_is(extra: str, titles: list[str]) -> None:
    """O4: the ARN of one that is not there would fail the deployment."""
    template = Template()
    template.add_parameter(Parameter("NamePrefix", Type="String", Default="x"))
    template.add_parameter(Parameter("Extra", Type="String", Default=extra))
    template.add_condition("HasExtra", Equals(Ref("Extra"), "yes"))
    alarms = [
        Alarm(title, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1)
        for title in ("First", "Second", "Third", "Fourth")
    ]
    for conditional in alarms[1:3]:
        conditional.Condition = "HasExtra"
    add_dashboard(template, alarms=alarms, queues={}, functions={})
    (widget, *_) = widgets(ResolvedTemplate(json.loads(template.to_json())))
    assert widget["properties"]["alarms"] == [f"<{title}.Arn>" for title in titles]


def test_shorthand_is_written_out() -> None:
    """O4: as CloudWatch reads it: dots for words of the line before, `...` for its beginning."""
    metrics: list[list[Any]] = [
        ["N", "A", "D", "v", {"stat": "p50"}],
        ["...", {"stat": "p99"}],
        [".", "B", ".", "."],
        ["...", "w"],
        [{"expression": "a+b"}],
    ]
    found = [
        (line.namespace, line.metric, line.dimensions, line.options)
        for line in dashboards.graph_metrics({"properties": {"metrics": metrics}})
    ]
    assert found == [
        ("N", "A", {"D": "v"}, {"stat": "p50"}),
        ("N", "A", {"D": "v"}, {"stat": "p99"}),
        ("N", "B", {"D": "v"}, {}),
        ("N", "B", {"D": "w"}, {}),
        ("", "", {}, {"expression": "a+b"}),
    ]


def test_a_stack_without_a_dashboard() -> None:
    """O4: by the specification, for an account that pays for its dashboards."""
    stack = generate(dashboard=False)
    assert stack.resources_of_type("CloudWatch::Dashboard") == {}
    assert stack.resources_of_type("CloudWatch::Alarm")
