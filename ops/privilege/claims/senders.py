"""Who puts announcements on the queues, and uses the key for it."""

from collections.abc import Iterator, Mapping

from ops.privilege.claims.callers import KEY, STRANGER, USER, by, of_service, request
from ops.privilege.claims.claim import KEY_POLICY, Claim
from ops.privilege.described import ACCOUNT, OTHER_ACCOUNT, Described, Source
from ops.privilege.evaluation import Gate, Request

_ANNOUNCERS = ("s3.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com")
_QUEUE_CONTEXT = "kms:EncryptionContext:aws:sqs:arn"


def required(stack: Described) -> Iterator[Claim]:
    """Yield how each source's announcer sends, and uses the key."""
    for source in stack.sources:
        for why, queue, named, policy in _ways(source):
            send = of_service(source.service, "sqs:SendMessage", queue, **_acts_for(source))
            yield Claim(why, send, (Gate(policy, "resource"),))
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                # What S3 sends, and what SQS itself adds for whoever it is that sends.
                told = {"aws:SourceAccount": source.account, _QUEUE_CONTEXT: named}
                use = _by_sender(source.service, action, told)
                yield Claim(why, use, (KEY_POLICY,))


def forbidden(stack: Described) -> Iterator[Claim]:
    """Yield who may put nothing on a queue, and may not use the key for it."""
    queues = [
        (arn, policy)
        for lane in stack.lanes
        for arn, policy in (
            (lane.work, lane.work_policy),
            (lane.dead_letters, lane.dead_letter_policy),
        )
    ]
    for queue, policy in queues:
        gates = (Gate(policy, "resource"),)
        for who in (USER, STRANGER):
            yield Claim("not a producer", by(who, "sqs:SendMessage", queue), gates)
        for source in stack.sources:
            mine = _acts_for(source)
            if queue in [arn for _, arn, _, _ in _ways(source)]:
                far = of_service(source.service, "sqs:SendMessage", "arn:x", **mine)
                yield Claim("another queue", far, gates)
                more = of_service(source.service, "sqs:ReceiveMessage", queue, **mine)
                yield Claim("another action", more, gates)
                namesake = {**mine, "aws:SourceArn": f"{source.announcer}-of-others"}
                other = of_service(source.service, "sqs:SendMessage", queue, **namesake)
                yield Claim("another bucket, rule or topic", other, gates)
                posing = of_service("ec2.amazonaws.com", "sqs:SendMessage", queue, **mine)
                yield Claim("another service", posing, gates)
                if source.account == ACCOUNT:
                    taken = {**mine, "aws:SourceAccount": OTHER_ACCOUNT}
                    moved = of_service(source.service, "sqs:SendMessage", queue, **taken)
                    yield Claim("the name in another account", moved, gates)
            else:
                stray = of_service(source.service, "sqs:SendMessage", queue, **mine)
                yield Claim("another lane's, or no dead letter of its own", stray, gates)

    at_work = {source.service for source in stack.sources}
    named = stack.lanes[0].work_named
    for announcer in _ANNOUNCERS:
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            # S3 is held to the account, the others to the queues; who announces nothing, to both.
            for why, told in (
                ("for another account", {_QUEUE_CONTEXT: named, "aws:SourceAccount": OTHER_ACCOUNT})
                if announcer == "s3.amazonaws.com"
                else ("for another queue", {_QUEUE_CONTEXT: f"{named.rpartition(':')[0]}:other"}),
                ("for something else", {}),
            ):
                yield Claim(why, _by_sender(announcer, action, told), (KEY_POLICY,))
        told = {_QUEUE_CONTEXT: named, "aws:SourceAccount": ACCOUNT}
        wrong = ("kms:Encrypt", "kms:CreateGrant")
        for action in wrong if announcer in at_work else (*wrong, "kms:Decrypt"):
            yield Claim("another action", _by_sender(announcer, action, told), (KEY_POLICY,))
    told = {_QUEUE_CONTEXT: named, "aws:SourceAccount": ACCOUNT}
    other = _by_sender("ec2.amazonaws.com", "kms:Decrypt", told)
    yield Claim("another service", other, (KEY_POLICY,))


def _ways(source: Source) -> Iterator[tuple[str, str, str, str]]:
    """Yield why a source's announcer sends, the queue by reference and by name, and its policy."""
    lane = source.lane
    yield "announce an upload", lane.work, lane.work_named, lane.work_policy
    if source.service != "s3.amazonaws.com":  # S3 gives nothing up
        yield (
            "keep what cannot be delivered",
            lane.dead_letters,
            lane.dead_letters_named,
            lane.dead_letter_policy,
        )


def _acts_for(source: Source) -> dict[str, str]:
    return {"aws:SourceArn": source.announcer, "aws:SourceAccount": source.account}


def _by_sender(service: str, action: str, told: Mapping[str, str]) -> Request:
    """Return a service's use of the key for a queue, with nothing but what is told."""
    fixed = {"aws:SecureTransport": "true", "aws:PrincipalIsAWSService": "true"}
    return request(service, action, KEY, {**fixed, **told})
