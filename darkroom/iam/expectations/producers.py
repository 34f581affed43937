"""The event producers: S3, EventBridge and SNS send to the queues, under the KMS key."""

from collections.abc import Iterator, Mapping

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import KEY_POLICY, Expectation
from darkroom.iam.expectations.requests import EXTERNAL_USER, KEY, USER, by, by_service, request
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, SourceModel, StackModel

_PRODUCERS = ("s3.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com")
_QUEUE_CONTEXT = "kms:EncryptionContext:aws:sqs:arn"


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield how the producer of each source sends messages and uses the key."""
    for source in stack.sources:
        for reason, queue, queue_arn, policy in _deliveries(source):
            send = by_service(source.service, "sqs:SendMessage", queue, **_on_behalf_of(source))
            yield Expectation(reason, send, (PolicyCheck(policy, "resource-based"),))
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                # SQS adds the queue as encryption context; not every service sends a source.
                use = _key_use(source.service, action, {_QUEUE_CONTEXT: queue_arn})
                yield Expectation(reason, use, (KEY_POLICY,))


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield sending by other callers, and other uses of the key."""
    queues = [
        (arn, policy)
        for queue in stack.queues
        for arn, policy in (
            (queue.work_queue, queue.work_queue_policy),
            (queue.dead_letter_queue, queue.dead_letter_queue_policy),
        )
    ]
    for queue, policy in queues:
        checks = (PolicyCheck(policy, "resource-based"),)
        for principal in (USER, EXTERNAL_USER):
            yield Expectation("not a producer", by(principal, "sqs:SendMessage", queue), checks)
        for source in stack.sources:
            context = _on_behalf_of(source)
            if queue not in [arn for _, arn, _, _ in _deliveries(source)]:
                send = by_service(source.service, "sqs:SendMessage", queue, **context)
                yield Expectation("a producer of another queue", send, checks)
                continue
            other_source = {**context, "aws:SourceArn": f"{source.producer_arn}-other"}
            for reason, service, action, resource, changed in (
                ("another queue", source.service, "SendMessage", "arn:x", context),
                ("another action", source.service, "ReceiveMessage", queue, context),
                (
                    "another bucket, rule or topic",
                    source.service,
                    "SendMessage",
                    queue,
                    other_source,
                ),
                ("another service", "ec2.amazonaws.com", "SendMessage", queue, context),
            ):
                call = by_service(service, f"sqs:{action}", resource, **changed)
                yield Expectation(reason, call, checks)
            if source.producer_account == ACCOUNT:
                other_account = {**context, "aws:SourceAccount": OTHER_ACCOUNT}
                send = by_service(source.service, "sqs:SendMessage", queue, **other_account)
                yield Expectation("another account", send, checks)

    services = {source.service for source in stack.sources}
    queue_arn = stack.queues[0].work_queue_arn
    for service in _PRODUCERS:
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            own_account = {"aws:SourceAccount": ACCOUNT}
            other_queue = f"{queue_arn.rpartition(':')[0]}:other"
            elsewhere = queue_arn.replace(ACCOUNT, OTHER_ACCOUNT)
            for reason, context in (
                ("the key for another queue", {**own_account, _QUEUE_CONTEXT: other_queue}),
                ("the key for another account", {**own_account, _QUEUE_CONTEXT: elsewhere}),
                ("the key without encryption context", own_account),
            ):
                yield Expectation(reason, _key_use(service, action, context), (KEY_POLICY,))
        context = {_QUEUE_CONTEXT: queue_arn, "aws:SourceAccount": ACCOUNT}
        wrong = ("kms:Encrypt", "kms:CreateGrant")
        for action in wrong if service in services else (*wrong, "kms:Decrypt"):
            yield Expectation("another action", _key_use(service, action, context), (KEY_POLICY,))
    context = {_QUEUE_CONTEXT: queue_arn, "aws:SourceAccount": ACCOUNT}
    other = _key_use("ec2.amazonaws.com", "kms:Decrypt", context)
    yield Expectation("another service", other, (KEY_POLICY,))


def _deliveries(source: SourceModel) -> Iterator[tuple[str, str, str, str]]:
    """Yield what a source's producer sends to each queue.

    Yields:
        The reason, the queue as policies refer to it, its ARN, and its policy's logical id.
    """
    queue = source.queue
    yield "send a notification", queue.work_queue, queue.work_queue_arn, queue.work_queue_policy
    if source.service != "s3.amazonaws.com":  # S3 has no dead-letter queue
        yield (
            "keep an undelivered event",
            queue.dead_letter_queue,
            queue.dead_letter_queue_arn,
            queue.dead_letter_queue_policy,
        )


def _on_behalf_of(source: SourceModel) -> dict[str, str]:
    return {"aws:SourceArn": source.producer_arn, "aws:SourceAccount": source.producer_account}


def _key_use(service: str, action: str, context: Mapping[str, str]) -> Request:
    """Return a service's use of the key, with no condition keys but `context`."""
    fixed = {"aws:SecureTransport": "true", "aws:PrincipalIsAWSService": "true"}
    return request(service, action, KEY, {**fixed, **context})
