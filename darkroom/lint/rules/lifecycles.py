"""Rules about the lifecycle of objects that a queue is notified of."""

from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.model import TemplateModel, number
from darkroom.lint.rule import Problems, rule
from darkroom.lint.rules.queues import DEFAULT_RETENTION

# Classes whose objects S3 reads only after a restore. https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")

DAY = 24 * 3600


@rule(
    "DR-S3-018",
    "error",
    remediation=(
        "Archive or expire the objects after more days than the queue and its dead-letter queue"
        " keep messages, or transition them to a class that can be read at once: GLACIER_IR,"
        " INTELLIGENT_TIERING, STANDARD_IA."
    ),
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html",
    requirements=("R2",),
    pitfalls=(83,),
)
def s3_lifecycle_readable(model: TemplateModel) -> Problems:
    """An object stays readable as long as a message about it may wait.

    A message may wait for days in its queue, and longer in the dead-letter queue. By then S3 has
    nothing to read, or answers InvalidObjectState until the object is restored.
    """
    for bucket, properties in model.resources_of_type("S3::Bucket").items():
        waits = [
            (_prefix(one), _longest_wait(model, queue)) for one, queue in _created(model, bucket)
        ]
        rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
        for one in rules:
            # A tag is a choice for each object.
            if one.get("Status") != "Enabled" or "TagFilters" in one:
                continue
            own = str(one.get("Prefix", ""))
            wait = max((w for p, w in waits if p.startswith(own) or own.startswith(p)), default=0)
            for what, value in _unreadable(one):
                days = number(value)
                if days is not None and days * DAY < wait:
                    yield (
                        bucket,
                        f"{what} objects after {days:g} days; a message may wait for"
                        f" {wait / DAY:g} days",
                    )


def _created(model: TemplateModel, bucket: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each configuration that notifies a queue of the template of new objects."""
    for notified, one, queue in model.queue_notifications():
        if notified == bucket and queue and "ObjectCreated" in str(one.get("Event")):
            yield one, queue


def _prefix(configuration: dict[str, Any]) -> str:
    rules = configuration.get("Filter", {}).get("S3Key", {}).get("Rules", [])
    return next((str(one["Value"]) for one in rules if str(one["Name"]).lower() == "prefix"), "")


def _longest_wait(model: TemplateModel, queue: str) -> float:
    """Return the seconds that a message may wait: a redrive gives it a new enqueue time."""
    target = model.properties(queue).get("RedrivePolicy", {}).get("deadLetterTargetArn")
    queues = [queue, *filter(None, [model.logical_id(target, "SQS::Queue")])]
    periods = (
        number(model.properties(one).get("MessageRetentionPeriod", DEFAULT_RETENTION))
        for one in queues
    )
    return sum(period or 0 for period in periods)


def _unreadable(lifecycle: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a rule does that makes objects unreadable, and after how many days."""
    if "ExpirationInDays" in lifecycle:
        yield "expires", lifecycle["ExpirationInDays"]
    for one in [*lifecycle.get("Transitions", []), *filter(None, [lifecycle.get("Transition")])]:
        if one.get("StorageClass") in ARCHIVES:
            yield f"moves to {one['StorageClass']}", one.get("TransitionInDays")
