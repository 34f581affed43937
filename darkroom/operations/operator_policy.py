"""The identity policy for an operator of dead letters: what the `darkroom dlq` commands need."""

import json
from collections.abc import Sequence
from typing import Any

from awacs import cloudformation, kms, logs, s3, sqs
from awacs.aws import Action, Allow, PolicyDocument, Statement

from darkroom.aws.queues import DeployedQueue, source_settings
from darkroom.aws.stack import Stack
from darkroom.operations.redrive import queue_arn


def operator_policy(stack: Stack, queues: Sequence[DeployedQueue]) -> dict[str, Any]:
    """Return the policy for listing, showing, redriving and purging these queues' dead letters.

    The permissions for a redrive are those of
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
    """
    client = stack.client("sqs")
    dead_letter_queues = [queue_arn(client, queue.dead_letter_queue_url) for queue in queues]
    work_queues = [queue_arn(client, queue.work_queue_url) for queue in queues]
    buckets = [
        f"arn:{stack.partition}:s3:::{bucket}"
        for queue in queues
        for bucket in source_settings(stack, queue)
    ]

    def arn(service: str, resource: str) -> str:
        return (
            f"arn:{stack.partition}:{service}:{stack.region}:{stack.caller['Account']}:{resource}"
        )

    def statement(sid: str, actions: list[Action], resources: list[str]) -> Statement:
        return Statement(Sid=sid, Effect=Allow, Action=actions, Resource=resources)

    document = PolicyDocument(
        Version="2012-10-17",
        Statement=[
            statement(
                "FindStack",
                [cloudformation.DescribeStacks, cloudformation.ListStackResources],
                [arn("cloudformation", f"stack/{stack.name}/*")],
            ),
            statement(
                "ManageDeadLetters",
                [
                    sqs.CancelMessageMoveTask,
                    sqs.ChangeMessageVisibility,
                    sqs.DeleteMessage,
                    sqs.GetQueueAttributes,
                    sqs.ListMessageMoveTasks,
                    sqs.ReceiveMessage,
                    sqs.StartMessageMoveTask,
                ],
                dead_letter_queues,
            ),
            statement("SendToWorkQueues", [sqs.GetQueueAttributes, sqs.SendMessage], work_queues),
            # For messages, and for uploads to the stack's buckets.
            statement(
                "UseKey", [kms.Decrypt, kms.GenerateDataKey], [stack.output("EncryptionKeyArn")]
            ),
            statement(
                "SearchLog",
                [logs.FilterLogEvents],
                # AWS writes a log group's ARN in both ways.
                [
                    arn("logs", f"log-group:{stack.output('LogGroupName')}{end}")
                    for end in ("", ":*")
                ],
            ),
            statement(
                "HeadUploads",
                [s3.GetObject, s3.GetObjectVersion],
                [f"{bucket}/*" for bucket in buckets],
            ),
            # Without it S3 answers 403 instead of 404 for a missing object.
            statement("ListUploads", [s3.ListBucket], buckets),
        ],
    )
    policy: dict[str, Any] = json.loads(document.to_json())
    return policy
