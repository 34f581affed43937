"""Rules about dashboards."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from darkroom.cloudformation import dashboards
from darkroom.cloudformation.model import TemplateModel
from darkroom.lint.metrics import metric_problems
from darkroom.lint.rule import Problems, rule

BODY = (
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/"
    "CloudWatch-Dashboard-Body-Structure.html"
)

ALARMS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring"


def _widgets(model: TemplateModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each dashboard's logical id with each of its widgets, where its body can be read."""
    for title, properties in model.resources_of_type("CloudWatch::Dashboard").items():
        with suppress(ValueError):
            for widget in json.loads(str(properties.get("DashboardBody"))).get("widgets", []):
                yield title, widget


@rule(
    "DR-CLOUDWATCH-009",
    "error",
    remediation=(
        "Write the body as JSON text that is still JSON after its values are substituted."
    ),
    source=BODY,
    requirements=("O4",),
)
def cloudwatch_dashboard_json(model: TemplateModel) -> Problems:
    """A dashboard's body is JSON with widgets.

    CloudWatch rejects any other body, and the deployment fails.
    """
    for title, properties in model.resources_of_type("CloudWatch::Dashboard").items():
        try:
            body = json.loads(str(properties.get("DashboardBody")))
        except ValueError as error:
            yield title, f"has a body that is not JSON: {error}"
        else:
            if not isinstance(body, dict) or not body.get("widgets"):
                yield title, "has a body without widgets"


@rule(
    "DR-CLOUDWATCH-010",
    "warning",
    remediation=(
        "Name resources of the stack in the metrics' dimensions, and its alarms by ${Alarm.Arn}."
    ),
    source=BODY,
    requirements=("O4",),
)
def cloudwatch_dashboard_metric(model: TemplateModel) -> Problems:
    """A dashboard's metrics and alarms exist and belong to the template.

    A metric or an alarm that does not exist leaves an empty widget, which looks as if nothing
    were wrong.
    """
    for title, widget in _widgets(model):
        for line in dashboards.graph_metrics(widget):
            for wrong in metric_problems(model, line.namespace, line.metric, line.dimensions):
                yield title, wrong.replace("watches", "shows", 1)
        for arn in widget.get("properties", {}).get("alarms", []):
            if not model.logical_id(arn, "CloudWatch::Alarm"):
                yield title, f"shows the alarm {arn}, which is not in the template"


@rule(
    "DR-CLOUDWATCH-011",
    "warning",
    remediation="Set the widget's region to ${AWS::Region}.",
    source=BODY,
    requirements=("O4", "D2"),
)
def cloudwatch_dashboard_region(model: TemplateModel) -> Problems:
    """A dashboard's widgets show the Region of the stack.

    A dashboard belongs to no Region: each widget states the Region of its metrics.
    """
    for title, widget in _widgets(model):
        region = widget.get("properties", {}).get("region")
        if widget.get("type") == "metric" and region != model.pseudo("Region"):
            yield title, f"shows metrics of {region or 'no region'}, not of the stack's"


@rule(
    "DR-CLOUDWATCH-012",
    "warning",
    remediation="Give a metric of the widget the id that the expression uses.",
    source=f"{ALARMS}/using-metric-math.html",
    requirements=("O4",),
)
def cloudwatch_dashboard_expression(model: TemplateModel) -> Problems:
    """A dashboard's expressions use metrics of their widget.

    An expression over an id that the widget does not have shows an error.
    """
    for title, widget in _widgets(model):
        found = list(dashboards.graph_metrics(widget))
        ids = {line.options.get("id") for line in found}
        for line in found:
            text = re.sub(r"'[^']*'|\"[^\"]*\"", "", str(line.options.get("expression", "")))
            for name in re.findall(r"\b[a-z]\w*", text):  # functions are in capitals
                if name not in ids:
                    yield title, f"computes from {name}, which is not a metric of the widget"
