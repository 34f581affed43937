"""Rules about SQS event source mappings."""

from collections.abc import Iterator

from darkroom.cloudformation.model import EventSourceMapping, TemplateModel, number
from darkroom.iam.evaluator import Request, allowed
from darkroom.lint.rule import Problems, rule

MAPPING = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "aws-resource-lambda-eventsourcemapping.html"
)

LAMBDA_SQS = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"
SCALING = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"
DEFAULT_BATCH = 10


def complete_mappings(model: TemplateModel) -> Iterator[EventSourceMapping]:
    """Yield the mappings whose queue and function are both in the template."""
    return (one for one in model.event_source_mappings() if one.queue and one.function)


@rule(
    "DR-LAMBDA-001",
    "error",
    remediation=(
        "Set FunctionResponseTypes to [ReportBatchItemFailures] and return the ids of failed"
        " messages."
    ),
    source="https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html",
    requirements=("T4",),
    pitfalls=(10,),
)
def lambda_partial_batch_response(model: TemplateModel) -> Problems:
    """The event source mapping reports batch item failures.

    Otherwise one failed message returns the whole batch to the queue, including the messages
    that succeeded.
    """
    for one in model.event_source_mappings():
        if "ReportBatchItemFailures" not in one.properties.get("FunctionResponseTypes", []):
            yield one.title, "does not report batch item failures"


@rule(
    "DR-LAMBDA-002",
    "error",
    remediation=(
        "Remove FilterCriteria; let the function decide, and fail messages that it does not"
        " recognise."
    ),
    source="https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html",
    pitfalls=(9,),
)
def lambda_esm_no_filter(model: TemplateModel) -> Problems:
    """An SQS event source mapping has no filter.

    For SQS, Lambda deletes the messages that a filter does not match: an event of another shape
    is lost.
    """
    for one in model.event_source_mappings():
        if one.properties.get("FilterCriteria", {}).get("Filters"):
            yield one.title, "filters events: what does not match is deleted from the queue"


@rule(
    "DR-LAMBDA-003",
    "warning",
    remediation="Set ScalingConfig.MaximumConcurrency to 2 to 1000 on the mapping.",
    source=SCALING,
    requirements=("R4",),
    pitfalls=(17,),
)
def lambda_esm_max_concurrency(model: TemplateModel) -> Problems:
    """An SQS event source mapping has a maximum concurrency.

    Pollers that outrun the function are throttled, and throttled messages use up receives.
    """
    for one in model.event_source_mappings():
        scaling = one.properties.get("ScalingConfig", {})
        most = scaling.get("MaximumConcurrency")
        if one.properties.get("ProvisionedPollerConfig"):
            if most is not None:
                yield one.title, "has both ScalingConfig and ProvisionedPollerConfig"
        elif most is None:
            yield one.title, "has no maximum concurrency"
        elif (limit := number(most)) is not None and not 2 <= limit <= 1000:
            yield one.title, f"limits concurrency to {limit:g}; 2 to 1000 are allowed"


@rule(
    "DR-LAMBDA-004",
    "error",
    remediation=(
        "Leave ReservedConcurrentExecutions unset, or at least as high as all mappings together."
    ),
    source=SCALING,
    requirements=("R4",),
    pitfalls=(17,),
)
def lambda_reserved_concurrency(model: TemplateModel) -> Problems:
    """Reserved concurrency is not below what the function's event source mappings may start.

    Reserved concurrency below what the pollers start throttles them, and throttled messages end
    in the dead-letter queue.
    """
    wanted: dict[str, float] = {}
    for one in complete_mappings(model):
        most = number(one.properties.get("ScalingConfig", {}).get("MaximumConcurrency"))
        wanted[one.function] = wanted.get(one.function, 0) + (most or 0)
    for function, most in wanted.items():
        reserved = number(model.properties(function).get("ReservedConcurrentExecutions"))
        if reserved is not None and reserved < most:
            yield function, f"reserves {reserved:g} executions, its mappings start up to {most:g}"


@rule(
    "DR-LAMBDA-005",
    "error",
    remediation="Set MaximumBatchingWindowInSeconds to at least 1, or BatchSize to at most 10.",
    source=MAPPING,
    requirements=("R4",),
    pitfalls=(49,),
)
def lambda_batching_window(model: TemplateModel) -> Problems:
    """A batch size above 10 has a batching window.

    Lambda rejects the mapping otherwise.
    """
    for one in model.event_source_mappings():
        size = number(one.properties.get("BatchSize", DEFAULT_BATCH))
        window = number(one.properties.get("MaximumBatchingWindowInSeconds", 0))
        if size is not None and window is not None and size > 10 and window < 1:
            yield one.title, f"takes batches of {size:g} without a batching window"


@rule(
    "DR-LAMBDA-006",
    "warning",
    remediation="Put the RedrivePolicy on the queue and remove the function's own.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html",
    requirements=("R1",),
    pitfalls=(20,),
)
def lambda_unused_dlq_config(model: TemplateModel) -> Problems:
    """A function that SQS invokes has no dead-letter target of its own.

    A function's own dead-letter target is for asynchronous invocations; messages from SQS never
    reach it.
    """
    for one in complete_mappings(model):
        if model.properties(one.function).get("DeadLetterConfig"):
            yield one.function, f"has a DeadLetterConfig, which {one.title} never uses"
        if one.properties.get("DestinationConfig"):
            yield one.title, "has a DestinationConfig, which SQS sources do not use"


@rule(
    "DR-LAMBDA-018",
    "warning",
    remediation=(
        "Deny sqs:ReceiveMessage and sqs:GetQueueAttributes with the condition Null:"
        ' {"lambda:SourceFunctionArn": "false"}.'
    ),
    source="https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html",
    requirements=("S5", "S7"),
    pitfalls=(62,),
)
def lambda_poll_permissions_denied(model: TemplateModel) -> Problems:
    """The function's code is denied the polling permissions of its role.

    Lambda polls with the role of the function, and so the function's code, or who steals its
    credentials, can read the queue.
    """
    for one in model.event_source_mappings():
        # Other functions may receive from queues that are not theirs.
        if not one.queue or not one.function or not (role := model.role_of(one.function)):
            continue
        granted, queue = model.role_statements(role), model.arn(one.queue)
        code = {"lambda:SourceFunctionArn": model.arn(one.function)}
        receive = Request(action="sqs:ReceiveMessage", resource=queue, context=code)
        if allowed(granted, receive):
            yield role, f"lets the code of {one.function} receive from {one.queue}"
