"""CloudWatch metrics: which exist, and which belong to a template's resources."""

import re
from collections.abc import Iterator

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.resource_types import NAMESPACES

# Source: the services' pages on their CloudWatch metrics.
METRICS = {
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfEmptyReceives",
        "NumberOfMessagesDeleted",
        "NumberOfMessagesReceived",
        "NumberOfMessagesSent",
        "SentMessageSize",
    },
    "AWS/Lambda": {
        "AsyncEventAge",
        "AsyncEventsDropped",
        "AsyncEventsReceived",
        "ClaimedAccountConcurrency",
        "ConcurrentExecutions",
        "DeadLetterErrors",
        "DestinationDeliveryFailures",
        "DroppedEventCount",
        "Duration",
        "Errors",
        "FailedInvokeEventCount",
        "FilteredOutEventCount",
        "InvokedEventCount",
        "Invocations",
        "OversizedRecordCount",
        "PolledEventCount",
        "PostRuntimeExtensionsDuration",
        "ProvisionedConcurrencyInvocations",
        "ProvisionedConcurrencySpilloverInvocations",
        "ProvisionedConcurrencyUtilization",
        "ProvisionedConcurrentExecutions",
        "RecursiveInvocationsDropped",
        "Throttles",
        "UnreservedConcurrentExecutions",
    },
}


def metric_problems(
    model: TemplateModel, namespace: str, metric: str, dimensions: dict[str, str]
) -> Iterator[str]:
    """Yield what is wrong with a metric: unknown to its service, or of no resource."""
    if namespace not in NAMESPACES:
        if namespace.startswith("AWS/") and re.search("sqs|lambda|sns", namespace, re.IGNORECASE):
            yield f"watches the namespace {namespace}, which does not exist"
        for (
            name,
            kind,
        ) in NAMESPACES.values():  # custom metrics, with the function's name as dimension
            if name in dimensions and dimensions[name] not in named(model, kind):
                yield f"watches {metric} of {dimensions[name]}, which is the name of no {kind}"
        return
    if namespace in METRICS and metric not in METRICS[namespace]:
        yield f"watches {namespace} {metric}, which does not exist"
    name, kind = NAMESPACES[namespace]
    if name not in dimensions:
        # SQS has no such metric; the others sum over the account, including other stacks.
        yield f"watches {metric} without {name}"
        return
    value = dimensions[name]
    if value not in named(model, kind):
        yield f"watches {metric} of {value}, which is the name of no {kind} of the template"


def named(model: TemplateModel, kind: str) -> set[str]:
    """Return the names of the template's resources of one type."""
    return {model.name(title) for title in model.resources_of_type(kind)}
