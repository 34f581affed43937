"""Rules about queues, what feeds them, what reads them and where their failures end."""

from collections.abc import Iterator

from darkroom.cloudformation.model import TemplateModel, number
from darkroom.iam.evaluator import Request, allowed, applies
from darkroom.lint.rule import Problems, rule
from darkroom.lint.rules.event_source_mappings import complete_mappings

LAMBDA_SQS = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"
DEAD_LETTERS = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
    "sqs-dead-letter-queues.html"
)
SCALING = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"
NOTIFICATIONS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html"

# What moving messages takes on the queue that they are in.
REDRIVE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

# What CloudFormation and SQS take where the template is silent.
DEFAULT_VISIBILITY = 30
DEFAULT_RETENTION = 4 * 24 * 3600
DEFAULT_TIMEOUT = 3
DEFAULT_BATCH = 10


def _dead_letters(stack: TemplateModel) -> Iterator[tuple[str, str, str]]:
    """Yield each queue with a redrive policy, its target's ARN and the target, if in the stack."""
    for title, queue in stack.resources_of_type("SQS::Queue").items():
        if target := queue.get("RedrivePolicy", {}).get("deadLetterTargetArn"):
            yield title, target, stack.logical_id(target, "SQS::Queue")


@rule(
    "DR-SQS-001",
    "error",
    remediation=(
        "Set the queue's VisibilityTimeout to six times the function's Timeout plus the batching"
        " window, both derived from one value."
    ),
    source=LAMBDA_SQS,
    requirements=("R4",),
    pitfalls=(41,),
)
def sqs_visibility_timeout(stack: TemplateModel) -> Problems:
    """The visibility timeout covers six function timeouts and the batching window.

    A message that reappears while it is worked on is processed twice, and burns a receive.
    """
    for one in complete_mappings(stack):
        timeout = number(stack.properties(one.function).get("Timeout", DEFAULT_TIMEOUT))
        window = number(one.properties.get("MaximumBatchingWindowInSeconds", 0))
        hidden = number(stack.properties(one.queue).get("VisibilityTimeout", DEFAULT_VISIBILITY))
        if timeout is None or window is None or hidden is None:
            continue
        if hidden < 6 * timeout + window:
            yield (
                one.queue,
                f"messages are hidden for {hidden:g} s; {one.function} may take {timeout:g} s"
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
def sqs_redrive_policy(stack: TemplateModel) -> Problems:
    """A queue that a function reads has a dead-letter queue.

    Without a dead-letter queue a message that always fails is retried until it is deleted.
    """
    targets = {title: target for title, _, target in _dead_letters(stack)}
    for one in stack.event_source_mappings():
        if one.queue and one.queue not in targets:
            yield one.queue, f"feeds {one.title} and has no dead-letter queue"
        elif one.queue and targets[one.queue] == one.queue:
            yield one.queue, "is its own dead-letter queue"


@rule(
    "DR-SQS-003",
    "error",
    remediation="Keep dead letters for 1209600 seconds (14 days), and the source queue for less.",
    source=DEAD_LETTERS,
    requirements=("R1",),
    pitfalls=(19,),
)
def sqs_dlq_retention(stack: TemplateModel) -> Problems:
    """The dead-letter queue keeps messages longer than its source queue.

    A dead letter keeps its first enqueue time: what failed late would be gone at once.
    """
    for title, _, target in _dead_letters(stack):
        if not target:
            continue
        ours, theirs = (
            number(stack.properties(one).get("MessageRetentionPeriod", DEFAULT_RETENTION))
            for one in (title, target)
        )
        if ours is not None and theirs is not None and theirs <= ours:
            yield target, f"keeps dead letters {theirs:g} s, {title} keeps messages {ours:g} s"


@rule(
    "DR-SQS-004",
    "error",
    remediation="Set maxReceiveCount to 5 or more; each receive takes one visibility timeout.",
    source=LAMBDA_SQS,
    requirements=("R1", "R2"),
)
def sqs_max_receive_count(stack: TemplateModel) -> Problems:
    """A message is tried several times before it is a dead letter, and within its retention.

    One throttled or interrupted try must not make a dead letter, and the last must come.
    """
    for title, _, _ in _dead_letters(stack):
        queue = stack.properties(title)
        if "maxReceiveCount" not in queue["RedrivePolicy"]:
            yield title, "does not say after how many receives a message is dead"
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
                f"{count:g} tries of {hidden:g} s take longer than messages are kept ({kept:g} s):"
                " they expire before they are dead letters",
            )


@rule(
    "DR-SQS-005",
    "warning",
    remediation=(
        "Set RedriveAllowPolicy on the dead-letter queue: redrivePermission byQueue, with the"
        " source queue's ARN spelled by name."
    ),
    source=DEAD_LETTERS,
    requirements=("R1",),
    pitfalls=(2,),
)
def sqs_redrive_allow_policy(stack: TemplateModel) -> Problems:
    """A dead-letter queue names the queues that may use it.

    Any queue of the account may otherwise use a dead-letter queue as its own.
    """
    for title, _, target in _dead_letters(stack):
        if not target:
            continue
        policy = stack.properties(target).get("RedriveAllowPolicy", {})
        if policy.get("redrivePermission") != "byQueue":
            yield target, "does not say which queues may use it for dead letters"
        elif stack.arn(title) not in policy.get("sourceQueueArns", []):
            yield target, f"does not admit dead letters of {title}"


@rule(
    "DR-SQS-006",
    "error",
    remediation="Send to a standard queue.",
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html",
    pitfalls=(15,),
)
def sqs_s3_target_standard(stack: TemplateModel) -> Problems:
    """A queue that S3 notifies is a standard queue.

    S3 refuses a FIFO queue, and a dead-letter queue is of its source's kind.
    """

    def is_fifo(title: str) -> bool:
        queue = stack.properties(title)
        return str(queue.get("FifoQueue", "")).lower() == "true"

    for bucket, _, queue in stack.queue_notifications():
        if queue and is_fifo(queue):
            yield queue, f"is a FIFO queue; {bucket} cannot send to it"
    for title, _, target in _dead_letters(stack):
        if target and is_fifo(title) != is_fifo(target):
            yield target, f"and {title} are not both standard or both FIFO"


@rule(
    "DR-SQS-007",
    "error",
    remediation=(
        "Allow sqs:SendMessage to s3.amazonaws.com on the queue, with aws:SourceArn the bucket's"
        " ARN (spelled by name) and aws:SourceAccount this account."
    ),
    source=NOTIFICATIONS,
    requirements=("T3",),
    pitfalls=(1, 32),
)
def sqs_policy_s3_source(stack: TemplateModel) -> Problems:
    """A queue's policy lets the bucket that notifies it send, and no other bucket.

    Without the right S3 refuses the notification; too wide, any bucket can feed the queue.
    """
    for bucket, queue in dict.fromkeys((b, q) for b, _, q in stack.queue_notifications() if q):
        guard = stack.resource_policy_statements(queue)
        context = {"aws:SourceArn": stack.arn(bucket), "aws:SourceAccount": stack.account}
        send = Request(
            action="sqs:SendMessage",
            resource=stack.arn(queue),
            principal="s3.amazonaws.com",
            context={**context, "aws:SecureTransport": "true", "aws:PrincipalIsAWSService": "true"},
        )
        holder = next(iter(stack.resource_policies(queue)), queue)
        if not allowed(guard, send):
            yield holder, f"does not let {bucket} send to {queue}"
            continue
        for name, changed in (
            ("another bucket", {"aws:SourceArn": stack.arn(bucket) + "-other"}),
            ("another account's bucket", {"aws:SourceAccount": "444455556666"}),
        ):
            other = Request(
                action=send.action,
                resource=send.resource,
                principal=send.principal,
                context={**send.context, **changed},
            )
            if allowed(guard, other):
                yield holder, f"lets {name} send to {queue}"


@rule(
    "DR-S3-001",
    "error",
    remediation=(
        "Name the queue in the bucket's NotificationConfiguration, or drop its right to send;"
        " read an announced queue by an event source mapping."
    ),
    source=NOTIFICATIONS,
    requirements=("T1",),
)
def s3_notification_consumed(stack: TemplateModel) -> Problems:
    """A notified queue is read by a function, and a bucket that may send does send.

    A right without its notification, or a queue without its reader, is a chain torn in two.
    """
    announced = {(bucket, queue) for bucket, _, queue in stack.queue_notifications() if queue}
    read = {one.queue for one in stack.event_source_mappings()}
    for queue in sorted({queue for _, queue in announced} - read):
        yield queue, "is announced uploads, and no function of the stack reads it"
    for queue in stack.resources_of_type("SQS::Queue"):
        for one in stack.resource_policy_statements(queue):
            for test in one.get("Condition", {}).values() if one["Effect"] == "Allow" else ():
                for source in test.get("aws:SourceArn", []):
                    bucket = stack.logical_id(source, "S3::Bucket")
                    if bucket and (bucket, queue) not in announced:
                        yield bucket, f"may send to {queue}, and announces nothing there"


@rule(
    "DR-SQS-008",
    "warning",
    remediation=(
        "Deny every action when aws:SecureTransport is false, to everybody, on the queue or topic."
    ),
    source="https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html",
    requirements=("S2",),
)
def sqs_sns_secure_transport(stack: TemplateModel) -> Problems:
    """The policies of queues and topics deny requests without TLS.

    Messages name what people upload; SQS and SNS answer plain HTTP as well.
    """
    for kind, action in (("SQS::Queue", "sqs:SendMessage"), ("SNS::Topic", "sns:Publish")):
        for title in stack.resources_of_type(kind):
            plain = Request(
                action=action,
                resource=stack.arn(title),
                principal=f"arn:aws:iam::{stack.account}:role/any",
                context={"aws:SecureTransport": "false"},
            )
            if not any(
                one["Effect"] == "Deny" and applies(one, plain)
                for one in stack.resource_policy_statements(title)
            ):
                yield title, "takes requests over plain HTTP"


@rule(
    "DR-IAM-001",
    "error",
    remediation=(
        "Allow sqs:ReceiveMessage, DeleteMessage and GetQueueAttributes on the dead-letter queue,"
        " sqs:SendMessage on the queue it goes back to, and the keys of both."
    ),
    source="https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
    "sqs-configure-dead-letter-queue-redrive.html",
    requirements=("D6",),
    pitfalls=(21,),
)
def iam_redrive_permissions(stack: TemplateModel) -> Problems:
    """An identity that may start a redrive has every permission that the redrive needs.

    Starting a redrive without these fails, on the day when somebody needs it.
    """
    holders = {role: stack.role_statements(role) for role in stack.resources_of_type("IAM::Role")}
    holders |= {
        title: stack.statements(title) for title in stack.resources_of_type("IAM::ManagedPolicy")
    }
    for title, granted in holders.items():
        for source, _, dead in _dead_letters(stack):
            started = Request(action="sqs:StartMessageMoveTask", resource=stack.arn(dead or source))
            if not dead or not allowed(granted, started):
                continue
            needed = [(action, stack.arn(dead)) for action in REDRIVE]
            needed.append(("sqs:SendMessage", stack.arn(source)))
            for queue, action in (
                (dead, "Decrypt"),
                (source, "Decrypt"),
                (source, "GenerateDataKey"),
            ):
                if key := stack.kms_key_of(queue):
                    needed.append((f"kms:{action}", stack.arn(key)))
            for action, resource in dict.fromkeys(needed):
                # A key right may be bound to the queues by its encryption context.
                contexts = [{"kms:EncryptionContext:aws:sqs:arn": stack.arn(dead)}]
                contexts.append({"kms:EncryptionContext:aws:sqs:arn": stack.arn(source)})
                if not any(
                    allowed(granted, Request(action=action, resource=resource, context=one))
                    for one in contexts
                ):
                    yield title, f"may start a redrive of {dead} and lacks {action} on {resource}"
