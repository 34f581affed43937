"""Rules about queues, what feeds them, what reads them and where their failures end."""

from collections.abc import Iterable, Iterator

from darkroom.cloudformation.model import TemplateModel, number
from darkroom.iam.evaluator import Request, allowed, applies
from darkroom.iam.expectations.requests import by_service, by_user
from darkroom.iam.model import OTHER_ACCOUNT
from darkroom.lint.access import not_allowed
from darkroom.lint.rule import Problems, rule
from darkroom.lint.rules.event_source_mappings import complete_mappings

LAMBDA_SQS = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"
DEAD_LETTERS = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
    "sqs-dead-letter-queues.html"
)
SCALING = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"
NOTIFICATIONS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html"

# What a redrive needs on the queue that it moves messages from.
REDRIVE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

# The defaults of CloudFormation and SQS.
DEFAULT_VISIBILITY = 30
DEFAULT_RETENTION = 4 * 24 * 3600
DEFAULT_TIMEOUT = 3
DEFAULT_BATCH = 10


def _dead_letters(model: TemplateModel) -> Iterator[tuple[str, str, str]]:
    """Yield each queue with a redrive policy, its target's ARN, and the target or nothing."""
    for title, queue in model.resources_of_type("SQS::Queue").items():
        if target := queue.get("RedrivePolicy", {}).get("deadLetterTargetArn"):
            yield title, target, model.logical_id(target, "SQS::Queue")


@rule(
    "DR-SQS-001",
    "error",
    remediation=(
        "Set the queue's VisibilityTimeout to six times the function's Timeout plus the batching"
        " window; derive both from one value."
    ),
    source=LAMBDA_SQS,
    requirements=("R4",),
    pitfalls=(41,),
)
def sqs_visibility_timeout(model: TemplateModel) -> Problems:
    """The visibility timeout covers six function timeouts and the batching window.

    A message that becomes visible while it is processed is processed twice, and uses up a
    receive.
    """
    for one in complete_mappings(model):
        timeout = number(model.properties(one.function).get("Timeout", DEFAULT_TIMEOUT))
        window = number(one.properties.get("MaximumBatchingWindowInSeconds", 0))
        hidden = number(model.properties(one.queue).get("VisibilityTimeout", DEFAULT_VISIBILITY))
        if timeout is None or window is None or hidden is None:
            continue
        if hidden < 6 * timeout + window:
            yield (
                one.queue,
                f"hides messages for {hidden:g} s; {one.function} may take {timeout:g} s"
                f" and its batches wait {window:g} s, which needs {6 * timeout + window:g} s",
            )


@rule(
    "DR-SQS-002",
    "error",
    remediation="Give the queue a RedrivePolicy whose deadLetterTargetArn is another queue.",
    source=DEAD_LETTERS,
    requirements=("R1",),
    pitfalls=(20,),
)
def sqs_redrive_policy(model: TemplateModel) -> Problems:
    """A queue that a function reads has a dead-letter queue.

    Without a dead-letter queue, a message that always fails is retried until its retention
    ends.
    """
    targets = {title: target for title, _, target in _dead_letters(model)}
    for one in model.event_source_mappings():
        if one.queue and one.queue not in targets:
            yield one.queue, f"has no dead-letter queue, and {one.title} reads it"
        elif one.queue and targets[one.queue] == one.queue:
            yield one.queue, "is its own dead-letter queue"


@rule(
    "DR-SQS-003",
    "error",
    remediation=(
        "Set MessageRetentionPeriod to 1209600 seconds (14 days) on the dead-letter queue, and to"
        " less on the source queue."
    ),
    source=DEAD_LETTERS,
    requirements=("R1",),
    pitfalls=(19,),
)
def sqs_dlq_retention(model: TemplateModel) -> Problems:
    """The dead-letter queue keeps messages longer than its source queue.

    A dead-letter message keeps its first enqueue time: one that failed late would expire at
    once.
    """
    for title, _, target in _dead_letters(model):
        if not target:
            continue
        ours, theirs = (
            number(model.properties(one).get("MessageRetentionPeriod", DEFAULT_RETENTION))
            for one in (title, target)
        )
        if ours is not None and theirs is not None and theirs <= ours:
            yield (
                target,
                f"keeps messages for {theirs:g} s, its source queue {title} for {ours:g} s",
            )


@rule(
    "DR-SQS-004",
    "error",
    remediation="Set maxReceiveCount to 5 or more; each receive takes one visibility timeout.",
    source=LAMBDA_SQS,
    requirements=("R1", "R2"),
)
def sqs_max_receive_count(model: TemplateModel) -> Problems:
    """A message is received several times before it moves to the dead-letter queue.

    One throttled or interrupted try must not move a message to the dead-letter queue, and the
    last try must come before the message expires.
    """
    for title, _, _ in _dead_letters(model):
        queue = model.properties(title)
        if "maxReceiveCount" not in queue["RedrivePolicy"]:
            yield title, "does not state its maxReceiveCount"
        count = number(queue["RedrivePolicy"].get("maxReceiveCount"))
        hidden = number(queue.get("VisibilityTimeout", DEFAULT_VISIBILITY))
        kept = number(queue.get("MessageRetentionPeriod", DEFAULT_RETENTION))
        if count is None or hidden is None or kept is None:
            continue
        if count < 2:
            yield title, f"gives up after {count:g} receive; AWS advises at least 5"
        elif count * hidden >= kept:
            yield (
                title,
                f"{count:g} receives of {hidden:g} s exceed the retention of messages ({kept:g} s):"
                " they expire first",
            )


@rule(
    "DR-SQS-005",
    "warning",
    remediation=(
        "Set RedriveAllowPolicy on the dead-letter queue: redrivePermission byQueue, with the"
        " source queue's ARN built from its name."
    ),
    source=DEAD_LETTERS,
    requirements=("R1",),
    pitfalls=(2,),
)
def sqs_redrive_allow_policy(model: TemplateModel) -> Problems:
    """A dead-letter queue names the queues that may use it.

    Otherwise any queue of the account may use the queue as its dead-letter queue.
    """
    for title, _, target in _dead_letters(model):
        if not target:
            continue
        policy = model.properties(target).get("RedriveAllowPolicy", {})
        if policy.get("redrivePermission") != "byQueue":
            yield target, "does not name the queues that may use it as their dead-letter queue"
        elif model.arn(title) not in policy.get("sourceQueueArns", []):
            yield target, f"does not allow {title} to use it as its dead-letter queue"


@rule(
    "DR-SQS-006",
    "error",
    remediation="Send to a standard queue.",
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html",
    pitfalls=(15,),
)
def sqs_s3_target_standard(model: TemplateModel) -> Problems:
    """A queue that S3 notifies is a standard queue.

    S3 rejects a FIFO queue, and a dead-letter queue must be of the same type as its source.
    """

    def is_fifo(title: str) -> bool:
        queue = model.properties(title)
        return str(queue.get("FifoQueue", "")).lower() == "true"

    for bucket, _, queue in model.queue_notifications():
        if queue and is_fifo(queue):
            yield queue, f"is a FIFO queue; {bucket} cannot send to it"
    for title, _, target in _dead_letters(model):
        if target and is_fifo(title) != is_fifo(target):
            yield target, f"and {title} are not both standard or both FIFO"


@rule(
    "DR-SQS-007",
    "error",
    remediation=(
        "Allow sqs:SendMessage to s3.amazonaws.com on the queue, with aws:SourceArn the bucket's"
        " ARN (built from its name) and aws:SourceAccount this account."
    ),
    source=NOTIFICATIONS,
    requirements=("T3",),
    pitfalls=(1, 32),
)
def sqs_policy_s3_source(model: TemplateModel) -> Problems:
    """A queue's policy lets the bucket that notifies it send, and no other bucket.

    Without the permission S3 rejects the notification; with one that is too wide, any bucket
    can send to the queue.
    """
    yield from _s3_senders(model, model.queue_notifications(), "sqs:SendMessage")


@rule(
    "DR-SNS-004",
    "error",
    remediation=(
        "Allow sns:Publish to s3.amazonaws.com on the topic, with aws:SourceArn the bucket's ARN"
        " (built from its name) and aws:SourceAccount this account."
    ),
    source=NOTIFICATIONS,
    requirements=("S4",),
    pitfalls=(1, 32),
)
def sns_policy_s3_source(model: TemplateModel) -> Problems:
    """A topic's policy lets the bucket that notifies it publish, and no other bucket.

    Without the permission S3 rejects the notification; with one that is too wide, any bucket
    can publish to the topic.
    """
    yield from _s3_senders(model, model.topic_notifications(), "sns:Publish")


def _s3_senders(
    model: TemplateModel, notifications: Iterable[tuple[str, object, str]], action: str
) -> Problems:
    """Yield where a notified queue or topic lets its bucket not send, or another bucket."""
    for bucket, target in dict.fromkeys((b, to) for b, _, to in notifications if to):
        arn = model.arn(bucket)
        for name, context, may_send in (
            (bucket, {"aws:SourceArn": arn}, True),
            ("another bucket", {"aws:SourceArn": f"{arn}-other"}, False),
            (
                "another account's bucket",
                {"aws:SourceArn": arn, "aws:SourceAccount": OTHER_ACCOUNT},
                False,
            ),
        ):
            send = by_service("s3.amazonaws.com", action, model.arn(target), **context)
            if allowed(model.resource_policy_statements(target), send) is not may_send:
                holder = next(iter(model.resource_policies(target)), target)
                yield holder, f"{'does not let' if may_send else 'lets'} {name} send to {target}"


@rule(
    "DR-S3-001",
    "error",
    remediation=(
        "Name the queue in the bucket's NotificationConfiguration, or remove its permission to"
        " send; read a notified queue through an event source mapping."
    ),
    source=NOTIFICATIONS,
    requirements=("T1",),
)
def s3_notification_consumed(model: TemplateModel) -> Problems:
    """A notified queue is read by a function, and a bucket that may send does send.

    A permission without a notification, or a queue that nothing reads, is a broken chain.
    """
    notified = {(bucket, queue) for bucket, _, queue in model.queue_notifications() if queue}
    read = {one.queue for one in model.event_source_mappings()}
    for queue in sorted({queue for _, queue in notified} - read):
        yield queue, "receives notifications, and no function of the template reads it"
    for queue in model.resources_of_type("SQS::Queue"):
        for one in model.resource_policy_statements(queue):
            for test in one.get("Condition", {}).values() if one["Effect"] == "Allow" else ():
                for source in test.get("aws:SourceArn", []):
                    bucket = model.logical_id(source, "S3::Bucket")
                    if bucket and (bucket, queue) not in notified:
                        yield bucket, f"may send to {queue}, and has no notification for it"


@rule(
    "DR-SQS-008",
    "warning",
    remediation=(
        "Deny every action to all principals when aws:SecureTransport is false, on the queue or"
        " topic."
    ),
    source="https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html",
    requirements=("S2",),
)
def sqs_sns_secure_transport(model: TemplateModel) -> Problems:
    """The policies of queues and topics deny requests without TLS.

    Messages contain the keys of uploads; SQS and SNS accept plain HTTP as well.
    """
    for kind, action in (("SQS::Queue", "sqs:SendMessage"), ("SNS::Topic", "sns:Publish")):
        for title in model.resources_of_type(kind):
            plain = by_user(action, model.arn(title), **{"aws:SecureTransport": "false"})
            if not any(
                one["Effect"] == "Deny" and applies(one, plain)
                for one in model.resource_policy_statements(title)
            ):
                yield title, "accepts requests over plain HTTP"


@rule(
    "DR-IAM-001",
    "error",
    remediation=(
        "Allow sqs:ReceiveMessage, DeleteMessage and GetQueueAttributes on the dead-letter queue,"
        " sqs:SendMessage on its source queue, and the keys of both."
    ),
    source="https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
    "sqs-configure-dead-letter-queue-redrive.html",
    requirements=("D6",),
    pitfalls=(21,),
)
def iam_redrive_permissions(model: TemplateModel) -> Problems:
    """An identity that may start a redrive has every permission that the redrive needs.

    Starting a redrive without one of them fails, when an operator needs it.
    """
    holders = {role: model.role_statements(role) for role in model.resources_of_type("IAM::Role")}
    holders |= {
        title: model.statements(title) for title in model.resources_of_type("IAM::ManagedPolicy")
    }
    for title, granted in holders.items():
        for source, _, dead in _dead_letters(model):
            started = Request(action="sqs:StartMessageMoveTask", resource=model.arn(dead or source))
            if not dead or not allowed(granted, started):
                continue
            needed = [(action, model.arn(dead)) for action in REDRIVE]
            needed.append(("sqs:SendMessage", model.arn(source)))
            for queue, action in (
                (dead, "Decrypt"),
                (source, "Decrypt"),
                (source, "GenerateDataKey"),
            ):
                if key := model.kms_key_of(queue):
                    needed.append((f"kms:{action}", model.arn(key)))
            # A condition may limit the use of a key to one queue, by the encryption context.
            contexts = [
                {"kms:EncryptionContext:aws:sqs:arn": model.arn(queue)} for queue in (dead, source)
            ]
            missing = [
                f"{action} on {resource}"
                for action, resource in dict.fromkeys(needed)
                if all(not_allowed(granted, [action], resource, **one) for one in contexts)
            ]
            if missing:
                yield title, f"may start a redrive of {dead} and lacks {', '.join(missing)}"
