"""Tries a stack's functions before the messages of its queues reach them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from darkroom.aws import deployed_template, invocation
from darkroom.aws.errors import is_refused, sentence
from darkroom.aws.queues import DeployedQueue, find_queues, find_sources
from darkroom.aws.stack import Stack
from darkroom.aws.stack_events import StackEvent
from darkroom.cloudformation.changes import Change
from darkroom.console.progress import Progress
from darkroom.deploy.packages import FUNCTION
from darkroom.operations.draining import Drain

CANARY_SECONDS = 30.0
"""How long a record may take after the invocation has ended, which wrote it."""

SWITCH_SECONDS = 300.0
"""How long Lambda may take to enable or disable an event source mapping."""


def changed_functions(changes: Sequence[Change]) -> frozenset[str]:
    """Return the logical ids of the functions that are another one after these changes."""
    return frozenset(
        change.resource
        for change in changes
        if change.type == FUNCTION and change.action not in ("create", "delete")
    )


@dataclass(frozen=True)
class Trial:
    """The functions of a stack, and the event source mappings that deliver messages to them.

    While the mappings are disabled messages wait, and none of their receives is used up.
    """

    stack: Stack
    progress: Progress
    mappings: Drain

    @classmethod
    def of(cls, stack: Stack, progress: Progress) -> "Trial":
        """Return the trial of a deployed stack."""
        template = deployed_template.read(stack)
        advice = "the same command continues"
        return cls(stack, progress, Drain(stack, template, progress, SWITCH_SECONDS, advice=advice))

    def pause(self) -> None:
        """Disable the mappings, and wait until no more messages are taken from the queues."""
        self.mappings.disable()

    def resume(self) -> None:
        """Enable the mappings."""
        self.mappings.enable()

    @property
    def is_paused(self) -> bool:
        """Whether a mapping is disabled, such as by a deployment that was interrupted."""
        return self.mappings.is_disabled

    def run(self) -> str:
        """Invoke each function with a picture; return what went wrong, or nothing.

        A function without a bucket of the stack is invoked with S3's test event. Where AWS
        refuses the invocation, that is reported, and nothing is wrong.
        """
        try:
            for queue in find_queues(self.stack):
                if problem := self._problem(queue):
                    return problem
        except ClientError as error:
            if not is_refused(error):
                raise
            self.progress.step(f"The worker was not tried: {sentence(error)}")
            return ""
        self.progress.step("The worker makes thumbnails of a picture that it was invoked with")
        return ""

    def _problem(self, queue: DeployedQueue) -> str:
        from darkroom.checks.canary import Canary  # needs Pillow

        client = self.stack.client("lambda")
        client.get_waiter("function_updated").wait(FunctionName=queue.function_name)
        found = client.get_function_configuration(FunctionName=queue.function_name)
        buckets = self.mappings.template.resources_of_type("S3::Bucket")
        own = {self.stack.resources.get(title) for title in buckets}
        sources = [
            source
            for bucket, source in find_sources(self.stack).items()
            if bucket in own and source.queue == queue
        ]
        if not sources:
            return invocation.deliver(
                self.stack, queue.function_name, invocation.TEST_EVENT, seconds=found["Timeout"]
            )
        canary = Canary(
            s3=self.stack.client("s3"),
            sqs=self.stack.client("sqs"),
            source=sources[0],
            thumbnail_bucket=self.stack.output("ThumbnailBucketName"),
            stack_name=self.stack.name,
            timeout=CANARY_SECONDS,
            progress=self.progress,
        )
        findings = list(canary.invoke(self.stack, found["Timeout"]))
        return next((one.message for one in findings if one.verdict == "fail"), "")


@dataclass
class Watch:
    """Runs the trial as soon as an update has changed the functions, and enables the mappings.

    CloudFormation may go on after that, with other resources or to watch the alarms.
    """

    trial: Trial
    functions: frozenset[str]
    """Logical ids of those that the update changes."""

    updated: set[str] = field(default_factory=set)
    problem: str | None = None
    """What is wrong with the new code; empty for nothing, None where it was not tried yet."""

    def takes(self, event: StackEvent) -> bool:
        """Note an event; return whether it was the last function's and its new code is bad."""
        if self.problem is not None or event.resource not in self.functions:
            return False
        if event.status == "UPDATE_COMPLETE":
            self.updated.add(event.resource)
        if self.updated != self.functions:
            return False
        return not self.try_()

    def try_(self) -> bool:
        """Run the trial, and enable the mappings if nothing is wrong; return whether that is so."""
        self.problem = self.trial.run()
        if not self.problem:
            self.trial.resume()
        return not self.problem
