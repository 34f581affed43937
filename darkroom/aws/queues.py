"""The queues of a deployed stack: what waits where, where its failures end, who works on what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darkroom.aws.stack import Stack
from darkroom.errors import UsageError, UserError
from worker import settings

_WORK_QUEUE = "WorkQueueUrl"
_BUCKET = "UploadBucketName"


@dataclass(frozen=True)
class Queue:
    """A queue, its dead-letter queue, and what its worker is told of each bucket by its name."""

    name: str
    work_queue_url: str
    dead_letter_queue_url: str
    sources: Mapping[str, settings.Source]


@dataclass(frozen=True)
class Door:
    """A source of the stack: its bucket, what its events announce, and where they queue."""

    bucket: str
    source: settings.Source
    queue: Queue
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]
    """In lower case; in upper case they are picked up as well."""

    def announces(self, key: str) -> bool:
        """Tell whether an upload of this key would be worked on."""
        if self.source.suffixes:  # what a topic passes on, the worker itself has to choose from
            return self.source.means(key)
        cased = (case for suffix in self.suffixes for case in (suffix, suffix.upper()))
        return key.startswith(self.prefixes) and key.endswith(tuple(cased))


def queues(stack: Stack) -> tuple[Queue, ...]:
    """Return the queues of a stack. Raises UserError when it is none of this project's."""
    leads = _leads(stack, _WORK_QUEUE) or [""]  # where there is none, the default's is missing
    return tuple(_queue(stack, lead) for lead in leads)


def chosen(stack: Stack, name: str | None) -> tuple[Queue, ...]:
    """Return the queue of this name, or all for None. Raises UsageError when there is no such."""
    found = queues(stack)
    if name is None:
        return found
    if one := [queue for queue in found if queue.name == name]:
        return tuple(one)
    raise UsageError(f"--queue {name}: the stack has {_listed([queue.name for queue in found])}")


def by_bucket(stack: Stack) -> dict[str, Door]:
    """Return the stack's sources by their buckets' names."""
    leads = {stack.outputs[lead + _BUCKET]: lead for lead in _leads(stack, _BUCKET)}
    return {
        bucket: Door(
            bucket=bucket,
            source=source,
            queue=queue,
            prefixes=tuple(stack.output(leads[bucket] + "UploadPrefixes").split(",")),
            suffixes=tuple(stack.output(leads[bucket] + "UploadSuffixes").split(",")),
        )
        for queue in queues(stack)
        for bucket, source in queue.sources.items()
        if bucket in leads
    }


def door(stack: Stack, name: str | None) -> Door:
    """Return the source of this name; None means the only one there is."""
    found = {one.source.name: one for one in by_bucket(stack).values()}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        given = "--source is needed" if name is None else f"--source {name}"
        raise UsageError(f"{given}: the stack has {_listed(sorted(found))}")
    return found[name]


def _leads(stack: Stack, noun: str) -> list[str]:
    """Return what the outputs of this noun begin with: nothing for the default's."""
    return sorted(name.removesuffix(noun) for name in stack.outputs if name.endswith(noun))


def _queue(stack: Stack, lead: str) -> Queue:
    url = stack.output(lead + _WORK_QUEUE)
    function = stack.client("lambda").get_function_configuration(
        FunctionName=stack.output(lead + "FunctionName")
    )
    environment = function.get("Environment", {})
    if problem := environment.get("Error"):
        raise UserError(
            f"the environment of {function['FunctionName']} cannot be read: {problem['Message']};"
            " kms:Decrypt for the stack's key is needed"
        )
    # A queue's queue is named after the prefix, the queue unless it is the default, and `work`.
    name = url.rpartition("/")[2].removeprefix(stack.parameters["NamePrefix"])
    return Queue(
        name=name.removesuffix("-work").removeprefix("-") or "default",
        work_queue_url=url,
        dead_letter_queue_url=stack.output(lead + "DeadLetterQueueUrl"),
        sources=settings.parse(environment["Variables"]).sources,
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
