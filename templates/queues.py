"""The work queue, where its failures end, and who may send."""

from dataclasses import dataclass
from typing import Any

import awacs.sqs as sqs
from awacs.aws import Action, Statement
from troposphere import GetAtt, Ref, Template
from troposphere.sqs import Queue, QueuePolicy, RedrivePolicy

from templates import naming, policies
from templates.encryption import Encryption
from templates.policies import Arn

WORK = "work"
DEAD_LETTERS = "dead-letters"

# A dead letter keeps its first enqueue time, so that its queue must outlast the work queue by the
# time somebody needs to look at it (trap 19). 14 days is the most SQS keeps.
DEAD_LETTER_RETENTION_SECONDS = 14 * 24 * 3600
WORK_RETENTION_SECONDS = 4 * 24 * 3600

# How long SQS may reuse a data key: fewer calls to KMS, at 0.03 USD for 10,000, for a wider window
# in which a revoked key still works.
DATA_KEY_SECONDS = 900

# A refusal must cover what SQS adds later as well: the wildcard denies, it grants nothing.
EVERYTHING = [Action("sqs", "*")]


@dataclass(frozen=True, kw_only=True)
class Queues:
    """The work queue and its dead-letter queue."""

    work: Queue
    work_policy: QueuePolicy
    dead_letters: Queue

    @property
    def work_arn(self) -> Arn:
        """ARN of the work queue."""
        return GetAtt(self.work, "Arn")

    def receive(self) -> Statement:
        """Return the rights that only the event source mapping uses, as the function's role."""
        return policies.allow(
            "ReceiveWork", [sqs.GetQueueAttributes, sqs.ReceiveMessage], [self.work_arn]
        )

    def use_key(self, encryption: Encryption) -> Statement:
        """Return the right to the key that reading encrypted messages takes."""
        return encryption.decrypt("DecryptWork", "aws:sqs:arn", self.work_arn)

    def settle(self) -> list[Statement]:
        """Return the rights to end a message or put off its next try, in role and endpoint.

        The mapping deletes what a whole batch has done; the worker deletes by itself what was
        received before, so that a picture that ends the invocation takes no other along.
        """
        return [
            policies.allow(
                "SettleWork", [sqs.ChangeMessageVisibility, sqs.DeleteMessage], [self.work_arn]
            )
        ]


def add_queues(
    template: Template,
    *,
    encryption: Encryption,
    visibility_seconds: int,
    maximum_receives: int,
    uploads_arn: Arn,
) -> Queues:
    """Add both queues; only the bucket `uploads_arn` may send, and S3 only for this account."""
    common: dict[str, Any] = {
        "KmsMasterKeyId": encryption.arn,
        "KmsDataKeyReusePeriodSeconds": DATA_KEY_SECONDS,
        # Messages only name uploads, and those are kept; a kept queue would block the next create.
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Retain",
    }
    dead_letters = template.add_resource(
        Queue(
            "DeadLetterQueue",
            QueueName=naming.name(DEAD_LETTERS),
            MessageRetentionPeriod=DEAD_LETTER_RETENTION_SECONDS,
            # By name: a reference would close a cycle with the work queue's redrive (trap 2).
            RedriveAllowPolicy={
                "redrivePermission": "byQueue",
                "sourceQueueArns": [naming.queue_arn(WORK)],
            },
            **common,
        )
    )
    work = template.add_resource(
        Queue(
            "WorkQueue",
            QueueName=naming.name(WORK),
            VisibilityTimeout=visibility_seconds,
            MessageRetentionPeriod=WORK_RETENTION_SECONDS,
            ReceiveMessageWaitTimeSeconds=20,  # long polling: fewer empty, paid receives
            RedrivePolicy=RedrivePolicy(
                deadLetterTargetArn=GetAtt(dead_letters, "Arn"), maxReceiveCount=maximum_receives
            ),
            **common,
        )
    )
    work_policy = template.add_resource(
        QueuePolicy(
            "WorkQueuePolicy",
            Queues=[Ref(work)],
            PolicyDocument=policies.document(
                policies.allow(
                    "AnnounceUploads",
                    [sqs.SendMessage],
                    [GetAtt(work, "Arn")],
                    policies.on_behalf_of(uploads_arn),
                    policies.from_this_account(),  # a deleted bucket's name may be taken by others
                    principal=policies.service("s3.amazonaws.com"),
                ),
                policies.deny_plaintext(EVERYTHING, [GetAtt(work, "Arn")]),
            ),
        )
    )
    template.add_resource(
        QueuePolicy(
            "DeadLetterQueuePolicy",
            Queues=[Ref(dead_letters)],
            PolicyDocument=policies.document(
                policies.deny_plaintext(EVERYTHING, [GetAtt(dead_letters, "Arn")])
            ),
        )
    )
    return Queues(work=work, work_policy=work_policy, dead_letters=dead_letters)
