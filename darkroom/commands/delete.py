"""Takes a stack away without losing work, and says what stays and what that costs."""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from darkroom.aws import deployed_template
from darkroom.aws.errors import explained, is_not_found
from darkroom.aws.objects import delete_versions
from darkroom.aws.session import Account, open_account
from darkroom.aws.stack import Stack, find_stack
from darkroom.aws.stack import add_arguments as add_stack_arguments
from darkroom.capacity import prices
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console import confirm, option_types, output
from darkroom.console.progress import Progress
from darkroom.console.tables import table
from darkroom.errors import UserError

PAUSE_SECONDS = 3.0
RETAINED = {"Retain", "RetainExceptOnCreate"}
GB = 1e9
DEFAULT_REGION = "us-east-1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_stack_arguments(parser)
    how = parser.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
    how.add_argument(
        "--delete-data",
        action="store_true",
        help="empty and delete the stack's buckets as well: all versions, for good",
    )
    how.add_argument(
        "--abandon",
        action="store_true",
        help="do not wait for the queues, and give up the messages in them",
    )
    how.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=option_types.positive,
        default=900,
        help="for the work that waits or is being done (default: 900)",
    )
    output.add_output(how)
    confirm.add_yes(parser)


@explained()
def run(arguments: argparse.Namespace) -> int:
    """Take the stack away, from wherever an earlier run came to; return 0 when it is gone."""
    progress = Progress()
    stack = find(
        open_account(region=arguments.region, profile=arguments.profile), arguments.stack_name
    )
    work = Teardown(stack, deployed_template.read(stack), progress, timeout=arguments.timeout)
    if arguments.dry_run:
        steps = list(work.steps(abandon=arguments.abandon, delete_data=arguments.delete_data))
        facts = {"stack": stack.name, "status": stack.status, "dry_run": True, "steps": steps}
        told = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
        output.report(facts, told, arguments.output)
        return 0
    work.check(abandon=arguments.abandon)
    if not work.is_gone or (arguments.delete_data and work.buckets()):
        lost = ", with ALL DATA in its buckets" if arguments.delete_data else ""
        confirm.confirm(
            f"The stack {stack.name} in {stack.region} ({stack.status}) will be deleted{lost}.",
            word=stack.name,
            yes=arguments.yes,
        )
    if not work.is_gone:
        abandoned = work.stop(abandon=arguments.abandon)
        if arguments.delete_data:
            work.empty()
        work.delete()
    else:
        abandoned = 0
    if arguments.delete_data:
        work.remove_buckets()
    kept = work.kept()
    progress.clear()
    facts = {
        "stack": stack.name,
        "status": "DELETE_COMPLETE",
        "abandoned": abandoned,
        "retained": [vars(one) for one in kept],
        "usd_a_month": round(sum(one.usd_a_month for one in kept), 2),
    }
    output.report(facts, _told(facts, kept), arguments.output)
    return 0


def find(account: Account, name: str) -> Stack:
    """Return the stack of this name, or else the last deleted one. Raises UserError for neither."""
    if stack := find_stack(account, name):
        return stack
    pages = account.client("cloudformation").get_paginator("list_stacks")
    gone = [
        one
        for page in pages.paginate(StackStatusFilter=["DELETE_COMPLETE"])
        for one in page["StackSummaries"]
        if one["StackName"] == name
    ]
    latest = max(gone, key=lambda one: one["CreationTime"], default=None)
    stack = find_stack(account, latest["StackId"]) if latest else None
    if not stack:
        raise UserError(
            f"there is no stack {name!r} in {account.region}, and none was deleted in the last"
            " 90 days: check --stack-name, --region and --profile"
        )
    return stack


@dataclass(frozen=True)
class Kept:
    """Something that outlives the stack; bytes with all versions, US dollars by list prices."""

    resource: str
    type: str
    name: str
    objects: int
    bytes: int
    usd_a_month: float


@dataclass
class Teardown:
    """The steps, each of which looks at what is there first; `timeout` is in seconds."""

    stack: Stack
    template: ResolvedTemplate
    progress: Progress
    timeout: float

    @property
    def is_gone(self) -> bool:
        """Whether CloudFormation has deleted the stack."""
        return self.stack.status == "DELETE_COMPLETE"

    def steps(self, *, abandon: bool, delete_data: bool) -> Iterator[str]:
        """Yield what would be done, as things stand."""
        if not self.is_gone:
            waiting, dead = self.waiting(), self.dead()
            if (waiting or dead) and abandon:
                yield f"give up {waiting} messages that wait and {dead} dead letters"
            elif dead:
                yield f"refuse, for there are {dead} dead letters: redrive or purge, or --abandon"
            if not abandon:
                yield f"wait until the {waiting} messages in the work queues are worked on"
            for title, _ in self._of("Lambda::EventSourceMapping"):
                yield f"disable {title}, and wait for the work in flight"
            if delete_data:
                yield from (f"empty {name}, of all versions" for name in self.buckets())
            yield f"delete the stack {self.stack.name}, and follow it (20 to 45 minutes)"
        if delete_data:
            yield from (f"delete the bucket {name}" for name in self.buckets())
        for title, name in self._retained():
            if not (delete_data and self._is_bucket(title)):
                yield f"keep {title} ({name})"

    def check(self, *, abandon: bool) -> None:
        """Raise UserError, before anything is changed, where the stack should or cannot go."""
        if self.is_gone:
            return
        client = self.stack.client("cloudformation")
        (found,) = client.describe_stacks(StackName=self.stack.id)["Stacks"]
        if found.get("EnableTerminationProtection"):
            raise UserError(
                f"{self.stack.name} is protected against deletion; if it shall go:"
                f" aws cloudformation update-termination-protection --stack-name {self.stack.name}"
                " --no-enable-termination-protection"
            )
        if (dead := self.dead()) and not abandon:
            raise UserError(
                f"{dead} dead letters would be lost, each the only trace of an upload:"
                f" darkroom dead-letters redrive --stack-name {self.stack.name}"
                " (or purge, which saves them), or --abandon"
            )

    def stop(self, *, abandon: bool) -> int:
        """Wait for the work, and take no more of it; return how many messages are given up.

        Raises UserError when the work does not end in time, or ends as dead letters.
        """
        if self.stack.status.startswith("DELETE_"):
            self.progress.step("An earlier run was here: the stack is being deleted")
            return self.waiting() + self.dead()
        while not abandon:
            if self.waiting():
                self._switch(on=True)  # an earlier run may have switched it off
                self._until(lambda: not self.waiting(), "waiting for the worker")
            self._switch(on=False)
            if not self.waiting():
                break
        if abandon:
            self._switch(on=False)
        self.check(abandon=abandon)  # the last work may have ended as dead letters
        left = self.waiting() + self.dead()
        self.progress.step(f"No work is done any more; {left} messages are given up")
        return left

    def empty(self) -> None:
        """Delete all versions in all of the stack's buckets. Raises UserError for locked ones."""
        for bucket in self.buckets():
            count, refused = 0, list[str]()
            try:
                for gone, left in delete_versions(self.stack.client("s3"), bucket):
                    count += gone
                    refused += left
                    self.progress.update(f"Emptying {bucket}: {count:,} versions are gone")
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"{count:,} versions of {bucket} are gone; the same command goes on"
                ) from None
            if refused:
                raise UserError(
                    f"S3 keeps {len(refused):,} versions in {bucket}: {refused[0]}; under an object"
                    " lock they have to wait for its end"
                )
            self.progress.step(f"Emptied {bucket}: {count:,} versions")

    def delete(self) -> None:
        """Have CloudFormation delete the stack, and follow it to its end.

        Raises UserError with CloudFormation's reasons when it fails.
        """
        client = self.stack.client("cloudformation")
        if self.stack.status != "DELETE_IN_PROGRESS":
            client.delete_stack(StackName=self.stack.id)
        began = time.monotonic()
        try:
            while True:
                (found,) = client.describe_stacks(StackName=self.stack.id)["Stacks"]
                if found["StackStatus"] in ("DELETE_COMPLETE", "DELETE_FAILED"):
                    break
                self.progress.update(self._how_far(time.monotonic() - began))
                time.sleep(PAUSE_SECONDS)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "CloudFormation goes on deleting by itself; the same command follows it again"
            ) from None
        if found["StackStatus"] != "DELETE_COMPLETE":
            raise UserError(
                f"the stack is in {found['StackStatus']}:\n{self._reasons()}\n"
                "Mend that; the same command goes on."
            )
        self.progress.step(f"The stack is gone, after {(time.monotonic() - began) / 60:.0f} min")

    def remove_buckets(self) -> None:
        """Empty and delete the buckets that outlived the stack."""
        self.empty()
        for bucket in self.buckets():
            self.stack.client("s3").delete_bucket(Bucket=bucket)
            self.progress.step(f"Deleted the bucket {bucket}")

    def buckets(self) -> list[str]:
        """Return the stack's own buckets that there are."""
        s3 = self.stack.client("s3")
        return [name for _, name in self._of("S3::Bucket") if _is_there(s3, name)]

    def kept(self) -> list[Kept]:
        """Return what outlives the stack, with what it costs."""
        known = prices.prices(DEFAULT_REGION, [])
        there = set(self.buckets())
        found = []
        for title, name in self._retained():
            kind = self.template.resources[title]["Type"]
            count = size = 0
            usd = 0.0
            if self._is_bucket(title):
                if name not in there:
                    continue
                count, size = self._size(name)
                usd = size / GB * known["s3_gb_month"].usd
            elif kind == "AWS::KMS::Key":
                key = self.stack.client("kms").describe_key(KeyId=name)["KeyMetadata"]
                if key["KeyState"] == "PendingDeletion":
                    continue
                usd = known["kms_key_month"].usd
            found.append(Kept(title, kind, name, count, size, round(usd, 4)))
        return found

    def waiting(self) -> int:
        """Return how many messages are in the work queues, those in work included."""
        return self._count("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")

    def dead(self) -> int:
        """Return how many dead letters there are."""
        return self._count(
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            noun="DeadLetterQueueUrl",
        )

    def _count(self, *attributes: str, noun: str = "WorkQueueUrl") -> int:
        sqs, total = self.stack.client("sqs"), 0
        for name, url in self.stack.outputs.items():
            if name.endswith(noun):
                try:
                    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
                except ClientError as error:
                    if not is_not_found(error):
                        raise
                    continue  # deleted by now
                total += sum(int(found["Attributes"][one]) for one in attributes)
        return total

    def _switch(self, *, on: bool) -> None:
        """Enable or disable all triggers, and wait until they are."""
        for title, uuid in self._of("Lambda::EventSourceMapping"):
            self._switch_one(title, uuid, "Enabled" if on else "Disabled")

    def _switch_one(self, title: str, uuid: str, wanted: str) -> None:
        client = self.stack.client("lambda")

        def state() -> str:
            return str(client.get_event_source_mapping(UUID=uuid)["State"])

        # In between, as in Updating, no change is taken.
        self._until(lambda: not state().endswith("ing"), f"{title} changes")
        if state() != wanted:
            client.update_event_source_mapping(UUID=uuid, Enabled=wanted == "Enabled")
            self._until(lambda: state() == wanted, f"{title} is not yet {wanted}")
            self.progress.step(f"{title} is {wanted}")

    def _until(self, done: Callable[[], bool], what: str) -> None:
        began = time.monotonic()
        while not done():
            seconds = time.monotonic() - began
            if seconds > self.timeout:
                raise UserError(
                    f"after {seconds / 60:.0f} min there is no end: {what}"
                    f" ({self.waiting()} messages); a longer --timeout, or --abandon"
                )
            self.progress.update(f"{self.waiting()} messages; {what}, for {seconds:.0f} s")
            time.sleep(min(PAUSE_SECONDS, 1.0))

    def _how_far(self, seconds: float) -> str:
        """Say how far the deletion is, and what it waits for (trap 22)."""
        client = self.stack.client("cloudformation")
        pages = client.get_paginator("list_stack_resources").paginate(StackName=self.stack.id)
        states = [one["ResourceStatus"] for page in pages for one in page["StackResourceSummaries"]]
        left = sum(state not in ("DELETE_COMPLETE", "DELETE_SKIPPED") for state in states)
        told = f"{seconds / 60:.0f} min: {left} of {len(states)} resources are left"
        if held := self._interfaces():
            told += f"; Lambda holds {held} network interfaces, usually for 20 to 45 minutes"
        return told

    def _interfaces(self) -> int:
        groups = [name for _, name in self._of("EC2::SecurityGroup") if name.startswith("sg-")]
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
                if event["ResourceStatus"] == "DELETE_FAILED" and "ResourceStatusReason" in event:
                    reasons.setdefault(event["LogicalResourceId"], event["ResourceStatusReason"])
        return "\n".join(f"  {title}: {reason}" for title, reason in reasons.items())

    def _size(self, bucket: str) -> tuple[int, int]:
        pages = (
            self.stack.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
        )
        count = size = 0
        for page in pages:
            count += len(page.get("Versions", []))
            size += sum(one["Size"] for one in page.get("Versions", []))
            self.progress.update(f"Measuring {bucket}: {count:,} versions, {size / GB:,.3f} GB")
        return count, size

    def _of(self, kind: str) -> Iterator[tuple[str, str]]:
        for title in self.template.resources_of_type(kind):
            yield title, str(self.template.resolve({"Ref": title}))

    def _retained(self) -> Iterator[tuple[str, str]]:
        outputs = self.stack.outputs
        for title, resource in self.template.resources.items():
            if resource.get("DeletionPolicy") in RETAINED:
                name = str(self.template.resolve({"Ref": title}))
                is_key = resource["Type"] == "AWS::KMS::Key"
                yield title, outputs.get("EncryptionKeyArn", name) if is_key else name

    def _is_bucket(self, title: str) -> bool:
        return bool(self.template.resources[title]["Type"] == "AWS::S3::Bucket")


def _is_there(s3: Any, bucket: str) -> bool:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if is_not_found(error):
            return False
        raise
    return True


def _told(facts: dict[str, Any], kept: list[Kept]) -> str:
    if not kept:
        return f"The stack {facts['stack']} is gone, and nothing of it is left."
    rows = [("KEPT", "NAME", "VERSIONS", "GB", "USD A MONTH")]
    rows += [
        (
            one.resource,
            one.name,
            f"{one.objects:,}" if one.type == "AWS::S3::Bucket" else "",
            f"{one.bytes / GB:,.3f}" if one.type == "AWS::S3::Bucket" else "",
            f"{one.usd_a_month:,.2f}",
        )
        for one in kept
    ]
    keys = [one.name for one in kept if one.type == "AWS::KMS::Key"]
    told = (
        f"The stack {facts['stack']} is gone. What is kept costs about"
        f" {facts['usd_a_month']:,.2f} USD a month (list prices of {DEFAULT_REGION}:"
        f" darkroom/capacity/prices.toml):\n{table(rows, right=(2, 3))}\n"
    )
    if any(one.type == "AWS::S3::Bucket" for one in kept):
        return told + "The same command with --delete-data removes the buckets."
    commands = "\n".join(
        f"aws kms schedule-key-deletion --pending-window-in-days 30 --key-id {key}" for key in keys
    )
    return f"{told}Once nothing is needed that it encrypts, copies and logs included:\n{commands}"
