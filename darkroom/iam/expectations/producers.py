"""Who puts announcements on the queues, and uses the key for it."""

from collections.abc import Iterator, Mapping

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import KEY_POLICY, Expectation
from darkroom.iam.expectations.requests import KEY, STRANGER, USER, by, of_service, request
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, Source, StackModel

_ANNOUNCERS = ("s3.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com")
_QUEUE_CONTEXT = "kms:EncryptionContext:aws:sqs:arn"


def required(stack: StackModel) -> Iterator[Expectation]:
    """Yield how each source's announcer sends, and uses the key."""
    for source in stack.sources:
        for why, queue, named, policy in _ways(source):
            send = of_service(source.service, "sqs:SendMessage", queue, **_acts_for(source))
            yield Expectation(why, send, (PolicyCheck(policy, "resource"),))
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                # What S3 sends, and what SQS itself adds for whoever it is that sends.
                told = {"aws:SourceAccount": source.account, _QUEUE_CONTEXT: named}
                use = _by_sender(source.service, action, told)
                yield Expectation(why, use, (KEY_POLICY,))


def forbidden(stack: StackModel) -> Iterator[Expectation]:
    """Yield who may put nothing on a queue, and may not use the key for it."""
    queues = [
        (arn, policy)
        for queue in stack.queues
        for arn, policy in (
            (queue.work, queue.work_policy),
            (queue.dead_letters, queue.dead_letter_policy),
        )
    ]
    for queue, policy in queues:
        gates = (PolicyCheck(policy, "resource"),)
        for who in (USER, STRANGER):
            yield Expectation("not a producer", by(who, "sqs:SendMessage", queue), gates)
        for source in stack.sources:
            mine = _acts_for(source)
            if queue in [arn for _, arn, _, _ in _ways(source)]:
                far = of_service(source.service, "sqs:SendMessage", "arn:x", **mine)
                yield Expectation("another queue", far, gates)
                more = of_service(source.service, "sqs:ReceiveMessage", queue, **mine)
                yield Expectation("another action", more, gates)
                namesake = {**mine, "aws:SourceArn": f"{source.announcer}-of-others"}
                other = of_service(source.service, "sqs:SendMessage", queue, **namesake)
                yield Expectation("another bucket, rule or topic", other, gates)
                posing = of_service("ec2.amazonaws.com", "sqs:SendMessage", queue, **mine)
                yield Expectation("another service", posing, gates)
                if source.account == ACCOUNT:
                    taken = {**mine, "aws:SourceAccount": OTHER_ACCOUNT}
                    moved = of_service(source.service, "sqs:SendMessage", queue, **taken)
                    yield Expectation("the name in another account", moved, gates)
            else:
                stray = of_service(source.service, "sqs:SendMessage", queue, **mine)
                yield Expectation("another queue's, or no dead letter of its own", stray, gates)

    at_work = {source.service for source in stack.sources}
    named = stack.queues[0].work_named
    for announcer in _ANNOUNCERS:
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            # S3 is held to the account, the others to the queues; who announces nothing, to both.
            for why, told in (
                ("for another account", {_QUEUE_CONTEXT: named, "aws:SourceAccount": OTHER_ACCOUNT})
                if announcer == "s3.amazonaws.com"
                else ("for another queue", {_QUEUE_CONTEXT: f"{named.rpartition(':')[0]}:other"}),
                ("for something else", {}),
            ):
                yield Expectation(why, _by_sender(announcer, action, told), (KEY_POLICY,))
        told = {_QUEUE_CONTEXT: named, "aws:SourceAccount": ACCOUNT}
        wrong = ("kms:Encrypt", "kms:CreateGrant")
        for action in wrong if announcer in at_work else (*wrong, "kms:Decrypt"):
            yield Expectation("another action", _by_sender(announcer, action, told), (KEY_POLICY,))
    told = {_QUEUE_CONTEXT: named, "aws:SourceAccount": ACCOUNT}
    other = _by_sender("ec2.amazonaws.com", "kms:Decrypt", told)
    yield Expectation("another service", other, (KEY_POLICY,))


def _ways(source: Source) -> Iterator[tuple[str, str, str, str]]:
    """Yield why a source's announcer sends, the queue by reference and by name, and its policy."""
    queue = source.queue
    yield "announce an upload", queue.work, queue.work_named, queue.work_policy
    if source.service != "s3.amazonaws.com":  # S3 gives nothing up
        yield (
            "keep what cannot be delivered",
            queue.dead_letters,
            queue.dead_letters_named,
            queue.dead_letter_policy,
        )


def _acts_for(source: Source) -> dict[str, str]:
    return {"aws:SourceArn": source.announcer, "aws:SourceAccount": source.account}


def _by_sender(service: str, action: str, told: Mapping[str, str]) -> Request:
    """Return a service's use of the key for a queue, with nothing but what is told."""
    fixed = {"aws:SecureTransport": "true", "aws:PrincipalIsAWSService": "true"}
    return request(service, action, KEY, {**fixed, **told})
