"""The queues and sources of a deployed stack, by the names that the specification gives them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darkroom.aws.stack import Stack
from darkroom.errors import UsageError, UserError
from templates.specification_values import ANY_SUFFIX
from worker import settings

_WORK_QUEUE = "WorkQueueUrl"
_BUCKET = "UploadBucketName"


@dataclass(frozen=True)
class DeployedQueue:
    """A work queue, its dead-letter queue, and the function that reads it."""

    name: str
    work_queue_url: str
    dead_letter_queue_url: str
    function_name: str


@dataclass(frozen=True)
class DeployedSource:
    """A source: its bucket, the worker's settings for it, its queue, and which keys it notifies."""

    bucket: str
    settings: settings.Source
    queue: DeployedQueue
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]
    """Lower case; the upper-case forms match as well. Or ANY_SUFFIX alone."""

    @property
    def name(self) -> str:
        """Its name in the specification."""
        return self.settings.name

    @property
    def filters_in_worker(self) -> bool:
        """Whether the worker itself chooses by suffix: of a topic's or a rule's messages."""
        return bool(self.settings.suffixes)

    def matches(self, key: str) -> bool:
        """Return whether an upload of this key would be processed."""
        if self.filters_in_worker:
            return self.settings.matches(key)
        cased = (case for suffix in self.suffixes for case in (suffix, suffix.upper()))
        return key.startswith(self.prefixes) and (
            ANY_SUFFIX in self.suffixes or key.endswith(tuple(cased))
        )

    def is_unannounced(self, key: str) -> bool:
        """Return whether a file of this key is one of the source's, and no filter names it.

        What ends with `/` is a folder that a console shows, and no file.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-folders.html
        """
        return key.startswith(self.prefixes) and not key.endswith("/") and not self.matches(key)


def find_queues(stack: Stack, name: str | None = None) -> tuple[DeployedQueue, ...]:
    """Return the stack's queues, or the one called `name`; takes the stack's outputs alone.

    Raises:
        UsageError: there is no queue of this name.
        UserError: it is not a stack of this project.
    """
    prefixes = _output_prefixes(stack, _WORK_QUEUE) or [""]  # where none is, the default is missing
    found = tuple(_queue(stack, prefix) for prefix in prefixes)
    if name is None:
        return found
    if chosen := tuple(queue for queue in found if queue.name == name):
        return chosen
    raise UsageError(f"--queue {name}: the stack has {_listed([queue.name for queue in found])}")


def source_settings(stack: Stack, queue: DeployedQueue) -> Mapping[str, settings.Source]:
    """Return what the worker of a queue is configured with, by bucket.

    Raises:
        UserError: the function's environment cannot be decrypted.
    """
    function = stack.client("lambda").get_function_configuration(FunctionName=queue.function_name)
    environment = function.get("Environment", {})
    if problem := environment.get("Error"):
        raise UserError(
            f"the environment of {queue.function_name} cannot be read: {problem['Message']};"
            " kms:Decrypt for the stack's key is needed"
        )
    return settings.Settings.from_environment(environment["Variables"]).sources


def find_sources(stack: Stack) -> dict[str, DeployedSource]:
    """Return the stack's sources by their buckets' names.

    Raises:
        UserError: as `find_queues` and `source_settings`.
    """
    prefixes = {
        stack.outputs[prefix + _BUCKET]: prefix for prefix in _output_prefixes(stack, _BUCKET)
    }
    return {
        bucket: DeployedSource(
            bucket=bucket,
            settings=source,
            queue=queue,
            prefixes=tuple(stack.output(prefixes[bucket] + "UploadPrefixes").split(",")),
            suffixes=tuple(stack.output(prefixes[bucket] + "UploadSuffixes").split(",")),
        )
        for queue in find_queues(stack)
        for bucket, source in source_settings(stack, queue).items()
        if bucket in prefixes
    }


def find_source(stack: Stack, name: str | None) -> DeployedSource:
    """Return the source called `name`, or for None the only one.

    Raises:
        UsageError: there is no source of this name, or there are several to choose from.
        UserError: as `find_sources`.
    """
    found = {source.name: source for source in find_sources(stack).values()}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        given = "--source is needed" if name is None else f"--source {name}"
        raise UsageError(f"{given}: the stack has {_listed(sorted(found))}")
    return found[name]


def _output_prefixes(stack: Stack, suffix: str) -> list[str]:
    """Return what the outputs with this suffix begin with: nothing for the default's."""
    return sorted(name.removesuffix(suffix) for name in stack.outputs if name.endswith(suffix))


def _queue(stack: Stack, prefix: str) -> DeployedQueue:
    url = stack.output(prefix + _WORK_QUEUE)
    # The physical name is NamePrefix, the queue's name unless it is the default, and `work`.
    name = url.rpartition("/")[2].removeprefix(stack.parameters["NamePrefix"])
    return DeployedQueue(
        name=name.removesuffix("-work").removeprefix("-") or "default",
        work_queue_url=url,
        dead_letter_queue_url=stack.output(prefix + "DeadLetterQueueUrl"),
        function_name=stack.output(prefix + "FunctionName"),
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
