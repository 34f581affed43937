"""The work queue, where its failures end, and who may send."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import awacs.sqs as sqs
from awacs.aws import Action, ConditionElement, Statement
from troposphere import GetAtt, Ref, Template
from troposphere.sqs import Queue, QueuePolicy, RedrivePolicy

from templates import naming, policies
from templates.encryption import Encryption
from templates.policies import Arn
from templates.specification import WORK_RETENTION_SECONDS, ProcessingQueue

WORK = "work"
DEAD_LETTERS = "dead-letters"

# A dead letter keeps its first enqueue time, so that its queue must outlast the work queue by the
# time somebody needs to look at it (trap 19). 14 days is the most SQS keeps.
DEAD_LETTER_RETENTION_SECONDS = 14 * 24 * 3600

# How long SQS may reuse a data key: fewer calls to KMS, at 0.03 USD for 10,000, for a wider window
# in which a revoked key still works.
DATA_KEY_SECONDS = 900

# A refusal must cover what SQS adds later as well: the wildcard denies, it grants nothing.
EVERYTHING = [Action("sqs", "*")]


@dataclass(frozen=True, kw_only=True)
class Sender:
    """An AWS service that may put work on a queue, on behalf of one resource."""

    sid: str
    service: str
    arn: Arn
    conditions: tuple[ConditionElement, ...] = ()
    """Besides the one that it acts for `arn`."""

    dead_letter_sid: str = ""
    """Of the right to put what it cannot deliver on the dead-letter queue; empty for none."""


@dataclass(frozen=True, kw_only=True)
class Queues:
    """The work queue of a queue and its dead-letter queue."""

    queue: str
    work: Queue
    work_policy: QueuePolicy
    dead_letters: Queue
    dead_letter_policy: QueuePolicy

    @property
    def work_arn(self) -> Arn:
        """ARN of the work queue."""
        return GetAtt(self.work, "Arn")

    @property
    def dead_letters_arn(self) -> Arn:
        """ARN of the dead-letter queue."""
        return GetAtt(self.dead_letters, "Arn")

    def receive(self) -> Statement:
        """Return the rights that only the event source mapping uses, as the function's role."""
        return policies.allow(
            naming.logical_id(self.queue, "ReceiveMessages"),
            [sqs.GetQueueAttributes, sqs.ReceiveMessage],
            [self.work_arn],
        )

    def use_key(self, encryption: Encryption) -> Statement:
        """Return the right to the key that reading encrypted messages takes."""
        return encryption.decrypt(
            naming.logical_id(self.queue, "DecryptMessages"), "aws:sqs:arn", self.work_arn
        )

    def settle(self) -> list[Statement]:
        """Return the rights to end a message or put off its next try, in role and endpoint.

        The mapping deletes what a whole batch has done; the worker deletes by itself what was
        received before, so that a picture that ends the invocation takes no other along.
        """
        return [
            policies.allow(
                naming.logical_id(self.queue, "DeleteOrDelayMessages"),
                [sqs.ChangeMessageVisibility, sqs.DeleteMessage],
                [self.work_arn],
            )
        ]


def add_queues(
    template: Template,
    *,
    queue: str,
    settings: ProcessingQueue,
    encryption: Encryption,
    senders: Sequence[Sender],
) -> Queues:
    """Add both queues of a queue; nobody but `senders` may put work on it.

    What EventBridge or SNS cannot deliver they put on the dead-letter queue themselves: SQS's
    redrive knows only what the work queue has taken.
    """
    work_role = naming.name_suffix(queue, WORK)
    common: dict[str, Any] = {
        "KmsMasterKeyId": encryption.arn,
        "KmsDataKeyReusePeriodSeconds": DATA_KEY_SECONDS,
        # Messages only name uploads, and those are kept; a kept queue would block the next create.
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Retain",
    }
    dead_letters = template.add_resource(
        Queue(
            naming.logical_id(queue, "DeadLetterQueue"),
            QueueName=naming.name(naming.name_suffix(queue, DEAD_LETTERS)),
            MessageRetentionPeriod=DEAD_LETTER_RETENTION_SECONDS,
            # By name: a reference would close a cycle with the work queue's redrive (trap 2).
            RedriveAllowPolicy={
                "redrivePermission": "byQueue",
                "sourceQueueArns": [naming.queue_arn(work_role)],
            },
            **common,
        )
    )
    work = template.add_resource(
        Queue(
            naming.logical_id(queue, "WorkQueue"),
            QueueName=naming.name(work_role),
            VisibilityTimeout=settings.visibility_seconds,
            MessageRetentionPeriod=WORK_RETENTION_SECONDS,
            ReceiveMessageWaitTimeSeconds=20,  # long polling: fewer empty, paid receives
            RedrivePolicy=RedrivePolicy(
                deadLetterTargetArn=GetAtt(dead_letters, "Arn"),
                maxReceiveCount=settings.max_receive_count,
            ),
            **common,
        )
    )
    work_policy = template.add_resource(
        QueuePolicy(
            naming.logical_id(queue, "WorkQueuePolicy"),
            Queues=[Ref(work)],
            PolicyDocument=policies.document(
                *(_admit(sender, sender.sid, work) for sender in senders),
                policies.deny_plaintext(EVERYTHING, [GetAtt(work, "Arn")]),
            ),
        )
    )
    dead_letter_policy = template.add_resource(
        QueuePolicy(
            naming.logical_id(queue, "DeadLetterQueuePolicy"),
            Queues=[Ref(dead_letters)],
            PolicyDocument=policies.document(
                *(
                    _admit(sender, sender.dead_letter_sid, dead_letters)
                    for sender in senders
                    if sender.dead_letter_sid
                ),
                policies.deny_plaintext(EVERYTHING, [GetAtt(dead_letters, "Arn")]),
            ),
        )
    )
    return Queues(
        queue=queue,
        work=work,
        work_policy=work_policy,
        dead_letters=dead_letters,
        dead_letter_policy=dead_letter_policy,
    )


def _admit(sender: Sender, sid: str, queue: Queue) -> Statement:
    return policies.allow(
        sid,
        [sqs.SendMessage],
        [GetAtt(queue, "Arn")],
        policies.on_behalf_of(sender.arn),
        *sender.conditions,
        principal=policies.service(sender.service),
    )
