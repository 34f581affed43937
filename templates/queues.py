"""The work queue and its dead-letter queue, and who may send to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import awacs.sqs as sqs
from awacs.aws import Action, ConditionElement, Statement
from troposphere import GetAtt, Output, Ref, Template
from troposphere.sqs import Queue, QueuePolicy, RedrivePolicy

from templates import naming, policies
from templates.encryption import Encryption
from templates.policies import Arn
from templates.specification import WORK_RETENTION_SECONDS, ProcessingQueue

WORK = "work"
DEAD_LETTERS = "dead-letters"

# A dead-letter message keeps its first enqueue time, so that its queue must retain longer than the
# work queue (pitfall 19). 14 days is SQS's maximum.
DEAD_LETTER_RETENTION_SECONDS = 14 * 24 * 3600

# How long SQS may reuse a data key. Longer means fewer calls to KMS (0.03 USD per 10,000), and a
# longer time in which a revoked key still works.
DATA_KEY_SECONDS = 900

# A Deny must cover the actions that SQS adds later too: the wildcard denies and allows nothing.
EVERY_ACTION = [Action("sqs", "*")]


@dataclass(frozen=True, kw_only=True)
class Service:
    """How a service that sends events is allowed to."""

    sid: str
    conditions: tuple[ConditionElement, ...]
    """Conditions in addition to the source ARN."""

    has_dead_letters: bool
    """Whether the service itself sends undelivered events to a dead-letter queue."""


SERVICES = {
    # Another account may take a deleted bucket's name.
    "s3.amazonaws.com": Service(
        sid="SendNotifications",
        conditions=(policies.from_this_account(),),
        has_dead_letters=False,
    ),
    "events.amazonaws.com": Service(
        sid="SendRuleEvents", conditions=(policies.from_this_account(),), has_dead_letters=True
    ),
    # A topic may belong to another account.
    "sns.amazonaws.com": Service(sid="SendTopicMessages", conditions=(), has_dead_letters=True),
}


@dataclass(frozen=True, kw_only=True)
class Sender:
    """An AWS service that may send to a queue on behalf of one resource."""

    service: str
    arn: Arn


@dataclass(frozen=True, kw_only=True)
class QueuePair:
    """A work queue and its dead-letter queue."""

    name: str
    """Name in the specification."""

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

    @property
    def policy_ids(self) -> list[str]:
        """Logical ids of both queue policies, which a sender has to wait for."""
        return [str(policy.title) for policy in (self.work_policy, self.dead_letter_policy)]

    def receive(self) -> Statement:
        """Return the permissions that only the event source mapping uses, as the worker."""
        return policies.allow(
            naming.logical_id(self.name, "ReceiveMessages"),
            [sqs.GetQueueAttributes, sqs.ReceiveMessage],
            [self.work_arn],
        )

    def use_key(self, encryption: Encryption) -> Statement:
        """Return the permission on the key to read encrypted messages.

        It includes messages under the dead-letter queue's encryption context: SQS does not document
        whether a redrive encrypts again.
        """
        return encryption.decrypt(
            naming.logical_id(self.name, "DecryptMessages"),
            "aws:sqs:arn",
            self.work_arn,
            self.dead_letters_arn,
        )

    def delete_or_delay(self) -> Statement:
        """Return the permissions to delete or delay a message, for the role and the endpoint.

        The mapping deletes the messages of a successful batch. The worker deletes messages that
        were received before, so that a crash by one picture does not repeat the others.
        """
        return policies.allow(
            naming.logical_id(self.name, "DeleteOrDelayMessages"),
            [sqs.ChangeMessageVisibility, sqs.DeleteMessage],
            [self.work_arn],
        )

    def outputs(self) -> list[Output]:
        """Return the stack's outputs about the queues."""
        return [
            Output(naming.logical_id(self.name, title), Description=description, Value=Ref(queue))
            for title, description, queue in (
                ("WorkQueueUrl", "Queue of the uploads to process", self.work),
                (
                    "DeadLetterQueueUrl",
                    "Queue of the messages that keep failing",
                    self.dead_letters,
                ),
            )
        ]


def add_queue_pair(
    template: Template,
    *,
    name: str,
    settings: ProcessingQueue,
    encryption: Encryption,
    senders: Sequence[Sender],
) -> QueuePair:
    """Add a work queue that only `senders` may send to, and its dead-letter queue.

    EventBridge and SNS send undelivered events to the dead-letter queue themselves: SQS redrives
    only messages that the work queue has accepted.
    """
    work_suffix = naming.name_suffix(name, WORK)
    common: dict[str, Any] = {
        "KmsMasterKeyId": encryption.arn,
        "KmsDataKeyReusePeriodSeconds": DATA_KEY_SECONDS,
        # Messages only name uploads, which are retained; a retained queue blocks the next create.
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Retain",
    }
    dead_letters = template.add_resource(
        Queue(
            naming.logical_id(name, "DeadLetterQueue"),
            QueueName=naming.name(naming.name_suffix(name, DEAD_LETTERS)),
            MessageRetentionPeriod=DEAD_LETTER_RETENTION_SECONDS,
            # By name: a reference would be a cycle with the work queue's redrive (pitfall 2).
            RedriveAllowPolicy={
                "redrivePermission": "byQueue",
                "sourceQueueArns": [naming.queue_arn(work_suffix)],
            },
            **common,
        )
    )
    work = template.add_resource(
        Queue(
            naming.logical_id(name, "WorkQueue"),
            QueueName=naming.name(work_suffix),
            VisibilityTimeout=settings.visibility_seconds,
            MessageRetentionPeriod=WORK_RETENTION_SECONDS,
            ReceiveMessageWaitTimeSeconds=20,  # long polling: fewer empty receives to pay for
            RedrivePolicy=RedrivePolicy(
                deadLetterTargetArn=GetAtt(dead_letters, "Arn"),
                maxReceiveCount=settings.max_receive_count,
            ),
            **common,
        )
    )
    work_policy = template.add_resource(
        QueuePolicy(
            naming.logical_id(name, "WorkQueuePolicy"),
            Queues=[Ref(work)],
            PolicyDocument=policies.document(
                *_allow_send(senders, work),
                policies.deny_plaintext(EVERY_ACTION, [GetAtt(work, "Arn")]),
            ),
        )
    )
    dead_letter_policy = template.add_resource(
        QueuePolicy(
            naming.logical_id(name, "DeadLetterQueuePolicy"),
            Queues=[Ref(dead_letters)],
            PolicyDocument=policies.document(
                *_allow_send(
                    [one for one in senders if SERVICES[one.service].has_dead_letters], dead_letters
                ),
                policies.deny_plaintext(EVERY_ACTION, [GetAtt(dead_letters, "Arn")]),
            ),
        )
    )
    return QueuePair(
        name=name,
        work=work,
        work_policy=work_policy,
        dead_letters=dead_letters,
        dead_letter_policy=dead_letter_policy,
    )


def _allow_send(senders: Iterable[Sender], queue: Queue) -> list[Statement]:
    """Return one statement for each service, because SQS allows 20 with 10 conditions together."""
    arns: dict[str, list[Arn]] = {}
    for sender in senders:
        arns.setdefault(sender.service, []).append(sender.arn)
    return [
        policies.allow(
            SERVICES[service].sid,
            [sqs.SendMessage],
            [GetAtt(queue, "Arn")],
            policies.on_behalf_of(*of_service),
            *SERVICES[service].conditions,
            principal=policies.service(service),
        )
        for service, of_service in arns.items()
    ]
