"""Delete a stack without losing messages, and report what is retained and what that costs."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.aws import deployed_template
from darkroom.aws.errors import is_not_found
from darkroom.aws.objects import UndeletedVersion, delete_versions
from darkroom.aws.resource_names import owning_stack
from darkroom.aws.session import Account
from darkroom.aws.stack import Stack, find_stack
from darkroom.capacity import prices
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console.progress import Progress
from darkroom.console.tables import table
from darkroom.console.text import elapsed, plural
from darkroom.errors import UserError
from darkroom.operations.draining import EMPTY_SECONDS, Drain

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

POLL_SECONDS = 3.0
RETAINED = {"Retain", "RetainExceptOnCreate"}
"""Deletion policies: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html"""

FAILED_CREATION = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}

BUFFER_SECONDS = 300
"""How long Firehose buffers where the template does not say.

https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
"""

BUFFER_MARGIN_SECONDS = 60
"""For CloudWatch Logs to send the last lines to Firehose, and for Firehose to write them."""

GB = 1e9
PRICES_OF = "us-east-1"


def find_stack_or_deleted(account: Account, name: str) -> Stack:
    """Return the stack of this name, or else the latest deleted one.

    Raises:
        UserError: there is neither; CloudFormation lists deleted stacks for 90 days.
    """
    if stack := find_stack(account, name):
        return stack
    pages = account.client("cloudformation").get_paginator("list_stacks")
    deleted = [
        summary
        for page in pages.paginate(StackStatusFilter=["DELETE_COMPLETE"])
        for summary in page["StackSummaries"]
        if summary["StackName"] == name
    ]
    latest = max(deleted, key=lambda summary: summary["CreationTime"], default=None)
    stack = find_stack(account, latest["StackId"]) if latest else None
    if not stack:
        raise UserError(
            f"there is no stack {name!r} in {account.region}, and none was deleted in the last"
            " 90 days: check --stack-name, --region and --profile"
        )
    return stack


@dataclass(frozen=True)
class Retained:
    """A resource that outlives the stack."""

    resource: str
    """Logical id."""

    type: str
    name: str
    versions: int
    bytes: int
    """Of all versions."""

    usd_per_month: float
    """By the list prices of PRICES_OF."""

    @property
    def is_bucket(self) -> bool:
        """Whether it is a bucket: --delete-data deletes it."""
        return self.type == "AWS::S3::Bucket"


@dataclass
class Deletion:
    """The deletion of a stack. Each step looks at what exists, so any run can be repeated."""

    stack: Stack
    template: ResolvedTemplate
    progress: Progress
    timeout: float
    """Seconds to wait for the worker to empty the queues."""

    discard_messages: bool = False
    """Do not wait for the queues."""

    delete_data: bool = False
    """Empty and delete the buckets as well."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    drain: Drain = field(init=False)

    def __post_init__(self) -> None:
        """Prepare to drain the queues."""
        self.drain = Drain(
            self.stack, self.template, self.progress, self.timeout, self.clock, self.sleep
        )

    @classmethod
    def of(
        cls,
        account: Account,
        stack_name: str,
        *,
        timeout: float,
        discard_messages: bool,
        delete_data: bool,
        progress: Progress,
    ) -> "Deletion":
        """Return the deletion of the stack of this name.

        Raises:
            UserError: as `find_stack_or_deleted`, or its template cannot be read.
        """
        stack = find_stack_or_deleted(account, stack_name)
        template = deployed_template.read(stack)
        return cls(stack, template, progress, timeout, discard_messages, delete_data)

    @property
    def is_deleted(self) -> bool:
        """Whether CloudFormation has deleted the stack."""
        return self.stack.status == "DELETE_COMPLETE"

    @property
    def needs_consent(self) -> bool:
        """Whether `run` would delete anything."""
        return not self.is_deleted or (self.delete_data and bool(self.buckets()))

    def steps(self) -> Iterator[str]:
        """Yield what `run` would do, as things stand."""
        if not self.is_deleted:
            waiting, dead = self.drain.waiting(), self.drain.dead_letters()
            if self.discard_messages:
                if waiting or dead:
                    yield f"discard {plural(waiting, 'message')} and {plural(dead, 'dead letter')}"
            elif dead:
                yield (
                    f"refuse: there are {plural(dead, 'dead letter')}; redrive or purge them, or"
                    " pass --discard-messages"
                )
            if not self.discard_messages:
                yield (
                    f"wait until the queues have been empty for {elapsed(EMPTY_SECONDS)}"
                    f" ({plural(waiting, 'message')})"
                )
            for title in self.drain.mappings:
                yield f"disable {title}, and wait for the messages in flight"
            if seconds := self.buffer_seconds():
                yield f"wait {elapsed(seconds)} for the last log lines to reach the archive"
            if self.delete_data:
                yield from (f"empty {name}, all versions" for name in self.buckets())
            yield f"delete the stack {self.stack.name}, and follow it (20 to 45 minutes)"
        if self.delete_data:
            yield from (f"delete the bucket {name}" for name in self.buckets())
        for title, name in self._retained():
            if not (self.delete_data and self._is_bucket(title)):
                yield f"retain {title} ({name})"

    def check(self) -> None:
        """Raise UserError, before anything is changed, where the stack must not be deleted."""
        if self.is_deleted:
            return
        client = self.stack.client("cloudformation")
        (found,) = client.describe_stacks(StackName=self.stack.id)["Stacks"]
        if found.get("EnableTerminationProtection"):
            raise UserError(
                f"{self.stack.name} has termination protection; to remove it:"
                f" aws cloudformation update-termination-protection --stack-name {self.stack.name}"
                " --no-enable-termination-protection"
            )
        if not self.discard_messages:
            self.drain.refuse_dead_letters()

    def run(self) -> int:
        """Delete the stack, and with `delete_data` the buckets; return how many messages were lost.

        Raises:
            UserError: the messages were not processed in time, versions are locked, or
                CloudFormation failed.
            KeyboardInterrupt: with a sentence about how to continue.
        """
        discarded = 0
        if not self.is_deleted:
            discarded = self.stop()
            if self.delete_data:
                self.empty_buckets()
            self.delete_stack()
        if self.delete_data:
            self.delete_buckets()
        return discarded

    def stop(self) -> int:
        """Drain the queues, disable the functions' triggers, and let the log archive be written.

        Returns:
            How many messages are left, and lost with the stack.

        Raises:
            UserError: the messages were not processed in time, or became dead letters.
        """
        if self.stack.status.startswith("DELETE_"):
            self.progress.step("The stack is being deleted already")
            return self.drain.waiting() + self.drain.dead_letters()
        if self.discard_messages:
            self.drain.disable()
        else:
            self.drain.run()
        self.check()  # the last messages may have become dead letters
        left = self.drain.waiting() + self.drain.dead_letters()
        self.progress.step(f"The triggers are disabled; {plural(left, 'message')} discarded")
        self._wait_for_archive()
        return left

    def buffer_seconds(self) -> float:
        """Return how long a log line takes to reach the archive; 0 without an archive.

        Firehose does not guarantee that a stream which is being deleted delivers its records:
        https://docs.aws.amazon.com/firehose/latest/APIReference/API_DeleteDeliveryStream.html
        """
        if self.stack.status in FAILED_CREATION:
            return 0
        streams = self.template.resources_of_type("KinesisFirehose::DeliveryStream")
        hints = [
            streams[title].get("ExtendedS3DestinationConfiguration", {}).get("BufferingHints", {})
            for title in streams.keys() & self.stack.resources.keys()
        ]
        intervals = [int(hint.get("IntervalInSeconds", BUFFER_SECONDS)) for hint in hints]
        return max(intervals) + BUFFER_MARGIN_SECONDS if intervals else 0

    def _wait_for_archive(self) -> None:
        end = self.clock() + self.buffer_seconds()
        while (left := end - self.clock()) > 0:
            self.progress.update(f"{elapsed(left)} for the last log lines to reach the archive")
            self.sleep(min(left, POLL_SECONDS or left))

    def empty_buckets(self) -> None:
        """Delete all versions in all of the stack's buckets.

        Raises:
            UserError: some are locked.
        """
        for bucket in self.buckets():
            count, undeleted = 0, list[UndeletedVersion]()
            try:
                for deleted, left in delete_versions(
                    self.stack.client("s3"), bucket, sleep=self.sleep
                ):
                    count += deleted
                    undeleted += left
                    self.progress.update(f"Emptying {bucket}: {plural(count, 'version')} deleted")
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"{plural(count, 'version')} of {bucket} deleted; the same command continues"
                ) from None
            if undeleted:
                raise UserError(_undeleted(bucket, undeleted))
            self.progress.step(f"Emptied {bucket}: {plural(count, 'version')}")

    def delete_stack(self) -> None:
        """Have CloudFormation delete the stack, and follow that until it ends.

        Raises:
            UserError: it failed; with CloudFormation's reasons.
        """
        client = self.stack.client("cloudformation")
        if self.stack.status != "DELETE_IN_PROGRESS":
            client.delete_stack(StackName=self.stack.id)
        began = self.clock()
        try:
            while True:
                (found,) = client.describe_stacks(StackName=self.stack.id)["Stacks"]
                if found["StackStatus"] in ("DELETE_COMPLETE", "DELETE_FAILED"):
                    break
                self.progress.update(self._deletion_progress(self.clock() - began))
                self.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "CloudFormation continues to delete; the same command follows it again"
            ) from None
        if found["StackStatus"] != "DELETE_COMPLETE":
            raise UserError(
                f"the stack is in {found['StackStatus']}:\n{self._reasons()}\n"
                "Fix that; the same command continues."
            )
        self.progress.step(f"The stack is deleted, after {elapsed(self.clock() - began)}")

    def delete_buckets(self) -> None:
        """Empty and delete the buckets that outlived the stack."""
        self.empty_buckets()
        for bucket in self.buckets():
            self.stack.client("s3").delete_bucket(Bucket=bucket)
            self.progress.step(f"Deleted the bucket {bucket}")

    def buckets(self) -> list[str]:
        """Return the stack's buckets that exist; one of the same name may be another stack's.

        That is a reason why a stack could not be created (pitfall 29).
        """
        s3 = self.stack.client("s3")
        names = [name for _, name in self._of_type("S3::Bucket")]
        return [name for name in names if _exists(s3, name) and self._is_own(name)]

    def _is_own(self, bucket: str) -> bool:
        owner = owning_stack(self.stack, bucket)
        return owner == self.stack.name or (not owner and self.stack.status not in FAILED_CREATION)

    def retained(self) -> list[Retained]:
        """Return what outlives the stack, with what it costs."""
        price = {name: one.usd for name, one in prices.prices(PRICES_OF, []).items()}
        existing = set(self.buckets())
        found = []
        for title, name in self._retained():
            kind = self.template.resources[title]["Type"]
            count = size = 0
            usd = 0.0
            if self._is_bucket(title):
                if name not in existing:
                    continue
                count, size = self._size(name)
                usd = size / GB * price["s3_gb_month"]
            elif kind == "AWS::KMS::Key":
                if self._key_state(title, name) in (None, "PendingDeletion"):
                    continue
                usd = price["kms_key_month"]
            found.append(Retained(title, kind, name, count, size, round(usd, 4)))
        return found

    def _deletion_progress(self, seconds: float) -> str:
        """Return how many resources are left, and what they wait for (pitfall 22)."""
        client = self.stack.client("cloudformation")
        pages = client.get_paginator("list_stack_resources").paginate(StackName=self.stack.id)
        states = [one["ResourceStatus"] for page in pages for one in page["StackResourceSummaries"]]
        left = sum(state not in ("DELETE_COMPLETE", "DELETE_SKIPPED") for state in states)
        text = f"{elapsed(seconds)}: {left} of {plural(len(states), 'resource')} left"
        if held := self._lambda_interfaces():
            interfaces = plural(held, "network interface")
            text += f"; Lambda holds {interfaces}, usually for 20 to 45 minutes"
        return text

    def _lambda_interfaces(self) -> int:
        groups = [name for _, name in self._of_type("EC2::SecurityGroup") if name.startswith("sg-")]
        if not groups:
            return 0
        found = self.stack.client("ec2").describe_network_interfaces(
            Filters=[{"Name": "group-id", "Values": groups}]
        )
        return sum(one.get("InterfaceType") == "lambda" for one in found["NetworkInterfaces"])

    def _reasons(self) -> str:
        client = self.stack.client("cloudformation")
        pages = client.get_paginator("describe_stack_events").paginate(StackName=self.stack.id)
        reasons: dict[str, str] = {}
        for page in pages:
            for event in page["StackEvents"]:  # the latest come first
                if event.get("ResourceStatus") == "DELETE_FAILED" and (
                    reason := event.get("ResourceStatusReason")
                ):
                    reasons.setdefault(event.get("LogicalResourceId", "?"), reason)
        return "\n".join(f"  {title}: {reason}" for title, reason in reasons.items())

    def _key_state(self, title: str, key: str) -> str | None:
        """Return the state of a key, or None if it does not exist."""
        if title not in self.stack.resources and not key.startswith("arn:"):
            return None  # never created
        try:
            found = self.stack.client("kms").describe_key(KeyId=key)["KeyMetadata"]
        except ClientError as error:
            if not is_not_found(error):
                raise
            return None
        return found.get("KeyState", "?")

    def _size(self, bucket: str) -> tuple[int, int]:
        pages = (
            self.stack.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
        )
        count = size = 0
        for page in pages:
            count += len(page.get("Versions", []))
            size += sum(one["Size"] for one in page.get("Versions", []))
            self.progress.update(
                f"Measuring {bucket}: {plural(count, 'version')}, {size / GB:,.3f} GB"
            )
        return count, size

    def _of_type(self, kind: str) -> Iterator[tuple[str, str]]:
        """Yield logical and physical ids of the resources of a type."""
        for title in self.template.resources_of_type(kind):
            yield title, str(self.template.resolve({"Ref": title}))

    def _retained(self) -> Iterator[tuple[str, str]]:
        outputs = self.stack.outputs
        for title, resource in self.template.resources.items():
            # A bucket's policy stays and goes with the bucket.
            is_policy = resource["Type"] == "AWS::S3::BucketPolicy"
            if resource.get("DeletionPolicy") in RETAINED and not is_policy:
                name = str(self.template.resolve({"Ref": title}))
                is_key = resource["Type"] == "AWS::KMS::Key"
                yield title, outputs.get("EncryptionKeyArn", name) if is_key else name

    def _is_bucket(self, title: str) -> bool:
        return bool(self.template.resources[title]["Type"] == "AWS::S3::Bucket")


def _exists(s3: "S3Client", bucket: str) -> bool:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if is_not_found(error):
            return False
        raise
    return True


def _undeleted(bucket: str, versions: list[UndeletedVersion]) -> str:
    refused = [one for one in versions if one.code == "AccessDenied"]
    if refused:
        return (
            f"S3 refuses to delete {plural(len(refused), 'version')} in {bucket}: {refused[0]};"
            " an object lock has to expire first, if it is not a missing permission"
        )
    return (
        f"S3 has not deleted {plural(len(versions), 'version')} in {bucket}: {versions[0]};"
        " the same command continues"
    )


def report(stack_name: str, discarded: int, retained: list[Retained]) -> dict[str, Any]:
    """Return the result for JSON."""
    return {
        "stack": stack_name,
        "status": "DELETE_COMPLETE",
        "discarded_messages": discarded,
        "retained": [asdict(one) for one in retained],
        "usd_per_month": round(sum(one.usd_per_month for one in retained), 2),
    }


def render(stack_name: str, retained: list[Retained]) -> str:
    """Return the result for people: what is retained, its cost, and how to delete that too."""
    if not retained:
        return f"The stack {stack_name} is deleted; nothing is retained."
    rows = [("retained", "name", "versions", "GB", "USD per month")]
    rows += [
        (
            one.resource,
            one.name,
            f"{one.versions:,}" if one.is_bucket else "",
            f"{one.bytes / GB:,.3f}" if one.is_bucket else "",
            f"{one.usd_per_month:,.2f}",
        )
        for one in retained
    ]
    usd = sum(one.usd_per_month for one in retained)
    text = (
        f"The stack {stack_name} is deleted. What is retained costs about {usd:,.2f} USD per month"
        f" (list prices of {PRICES_OF}, darkroom/capacity/prices.toml):\n"
        f"{table(rows, right=(2, 3, 4))}\n"
    )
    if any(one.is_bucket for one in retained):
        return text + "The same command with --delete-data deletes the buckets."
    commands = "\n".join(
        f"aws kms schedule-key-deletion --pending-window-in-days 30 --key-id {one.name}"
        for one in retained
        if one.type == "AWS::KMS::Key"
    )
    return f"{text}When nothing that it encrypts is needed, copies and logs included:\n{commands}"
