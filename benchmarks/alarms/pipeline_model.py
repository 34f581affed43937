"""A model of the pipeline that sends the metrics that AWS would send during a scenario.

Which metrics are sent when:

- SQS: every minute while a queue is active, which ends six hours after the last call or message;
  the age of the oldest message only if there is one that was received fewer than three times.
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
- Lambda: nothing in a minute without an invocation; Errors and Throttles are 0 or 1 for each, at
  the time of its start; a throttled attempt is not an invocation. The messages of a failed
  invocation return after the visibility timeout, those that the worker reports as failed after its
  back-off.
  https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
- The worker: one line per invocation that it completed.
- Firehose: the age of the oldest record, while something is delivered; it writes every five
  minutes.
  https://docs.aws.amazon.com/firehose/latest/dev/data-freshness-metric-not-emitted.html
- DNS Firewall: the number of queries that a domain list matched, every five minutes. Whether none
  is sent as 0 is not documented; here it is, while the worker resolves other names.
  https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-resolver-dns-firewall-with-cloudwatch.html
- S3: request metrics in minutes with requests, refused ones included, if they are enabled.
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

from benchmarks.alarms.evaluation import Key, PlayedMetrics
from darkroom.cloudformation.resolver import ResolvedTemplate
from templates import buckets
from templates.dashboard import NAMESPACE
from worker import retry

TICK = 5  # seconds
ACTIVE_SECONDS = 6 * 3600
BUFFER_SECONDS = 300
LATE_SECONDS = 3600
FIREWALL_MINUTES = 5
FOREIGN_NAMES = 1  # asked for in that time; to send data takes thousands
AGE_COUNTS_RECEIVES = 3
OUTPUTS = 5  # thumbnails of a picture, by default
POLLERS = 5  # batches that Lambda tries at once while all of them are throttled

By = Callable[[int], float]
"""A number per minute of the scenario."""


def always(value: float) -> By:
    """Return a constant number per minute."""
    return lambda _: value


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenario:
    """What happens to the pipeline, and the alarms that it must raise."""

    name: str
    raises: frozenset[str] = frozenset()
    spares: frozenset[str] = frozenset()
    """Alarms that it must not raise."""

    hours: float = 3
    uploads: By = field(default=lambda _: 60)
    """Per minute."""

    refused: By = field(default=lambda _: 0)
    """PUTs per minute that S3 refuses, as for lack of a permission."""

    parts: By = field(default=lambda _: 0)
    """Parts of multipart uploads per minute: PUTs without a notification."""

    rejected: float = 0.02
    """Share of the uploads that is rejected."""

    seconds: float = 1
    """Seconds per picture."""

    special: str = ""
    """Kind of one upload ten minutes after the start, one of `SPECIAL`."""

    notified_after: int = 1
    """Seconds from the upload to its message: usually one, but S3 guarantees nothing."""

    redriven: int = 10**6
    """Minute in which dead letters are redriven."""

    trouble: dict[str, range] = field(default_factory=dict)
    """Minutes of each trouble, which is one of `TROUBLES`."""


SPECIAL = {
    "",
    "slow",  # takes almost the timeout
    "fails",  # at every try
    "kills",  # ends every invocation it is in
}
TROUBLES = {
    "S3 fails",
    "S3 fails four times of five",
    "function does not start",
    "function hangs",  # until its timeout
    "throttled",
    "mapping disabled",
    "key disabled",
    "notifications lost",
    "logs late",
    "logs not delivered",
    "foreign names asked for",
}


@dataclass(eq=False)
class _Message:
    sent: int
    rejected: bool = False
    special: str = ""
    receives: int = 0


@dataclass(order=True)
class _Invocation:
    end: int
    number: int
    start: int = field(compare=False)
    batch: list[_Message] = field(compare=False)


def play(scenario: Scenario, stack: ResolvedTemplate, *, seed: int = 0) -> PlayedMetrics:
    """Return all metrics of the scenario, for the resources of the template `stack`.

    `seed` is that of the back-off's jitter.

    Raises:
        ValueError: The scenario has an unknown trouble or kind of upload.
    """
    if not set(scenario.trouble) <= TROUBLES or scenario.special not in SPECIAL:
        raise ValueError(f"{scenario.name}: allowed are {SPECIAL | TROUBLES}")
    return _Play(scenario, stack, seed).run()


@cache
def _key(namespace: str, name: str, **dimensions: str) -> Key:
    return Key(namespace, name, frozenset(dimensions.items()))


class _Play:
    def __init__(self, scenario: Scenario, stack: ResolvedTemplate, seed: int) -> None:
        self.scenario, self.stack = scenario, stack
        self.random = random.Random(seed)  # noqa: S311  # nosec B311 # a simulation, repeatable by its seed
        self.seed = seed
        self.metrics = PlayedMetrics(minutes=int(scenario.hours * 60))
        self.names = {
            title: stack.properties(title)[name]
            for title, name in (
                ("WorkQueue", "QueueName"),
                ("DeadLetterQueue", "QueueName"),
                ("Worker", "FunctionName"),
                ("UploadBucket", "BucketName"),
            )
        }
        trigger, queue = stack.properties("WorkerEventSourceMapping"), stack.properties("WorkQueue")
        self.slots = int(trigger["ScalingConfig"]["MaximumConcurrency"])
        self.batch_size = trigger["BatchSize"]
        self.visibility = queue["VisibilityTimeout"]
        self.receives = queue["RedrivePolicy"]["maxReceiveCount"]
        self.timeout: int = stack.properties("Worker")["Timeout"]
        self.has_back_off = "SqsEndpoint" in stack.resources
        self.counts_requests = "MetricsConfigurations" in stack.properties("UploadBucket")
        self.now = self.minute = 0
        self.visible: deque[_Message] = deque()
        self.hidden: list[tuple[int, int, _Message]] = []
        self.running: list[_Invocation] = []
        self.notified: deque[_Message] = deque()
        self.dead: list[_Message] = []
        self.number = 0
        self.owed = self.owed_rejections = self.owed_refused = self.owed_parts = 0.0
        self.last_call = {"WorkQueue": 0, "DeadLetterQueue": -ACTIVE_SECONDS}
        self.busiest = 0
        (self.stream,) = stack.resources_of_type("KinesisFirehose::DeliveryStream").values()
        self.blocked = _key(
            "AWS/Route53Resolver",
            "FirewallRuleQueryVolume",
            FirewallRuleGroupId=stack.resolve({"Ref": "DnsFirewallRules"}),
            FirewallDomainListId=stack.resolve({"Ref": "BlockedDomains"}),
        )
        self.unwritten: int | None = None  # since when there is a log line to be delivered

    def run(self) -> PlayedMetrics:
        random.seed(self.seed)  # the worker's back-off has jitter
        for now in range(0, self.metrics.minutes * 60, TICK):
            self.now, self.minute = now, now // 60
            self._upload()
            self._reappear()
            self._end()
            self._begin()
            self.busiest = max(self.busiest, len(self.running))
            if self.now % 60 == 60 - TICK:
                self._sample()
        return self.metrics

    def wrong(self, trouble: str) -> bool:
        return self.minute in self.scenario.trouble.get(trouble, ())

    def put(self, key: Key, value: float, *, at: int | None = None, times: int = 1) -> None:
        self.metrics.put(key, self.minute if at is None else at // 60, value, times)

    def of_function(self, name: str, value: float, at: int | None = None) -> None:
        self.put(_key("AWS/Lambda", name, FunctionName=self.names["Worker"]), value, at=at)

    def of_stream(self, name: str, value: float) -> None:
        of = self.stream["DeliveryStreamName"]
        self.put(_key("AWS/Firehose", name, DeliveryStreamName=of), value)

    def of_worker(self, name: str, value: float) -> None:
        self.put(_key(NAMESPACE, name, FunctionName=self.names["Worker"]), value)

    def of_queue(self, title: str, name: str, value: float, times: int = 1) -> None:
        self.put(_key("AWS/SQS", name, QueueName=self.names[title]), value, times=times)

    def _upload(self) -> None:
        self.owed += self.scenario.uploads(self.minute) * TICK / 60
        uploads = [""] * int(self.owed)
        self.owed -= len(uploads)
        if self.scenario.special and self.now == 600:
            uploads.append(self.scenario.special)
        self.owed_refused += self.scenario.refused(self.minute) * TICK / 60
        self.owed_parts += self.scenario.parts(self.minute) * TICK / 60
        refused, parts = int(self.owed_refused), int(self.owed_parts)
        self.owed_refused, self.owed_parts = self.owed_refused % 1, self.owed_parts % 1
        puts = len(uploads) + refused + parts
        if self.wrong("key disabled"):
            refused = puts
        if self.counts_requests:
            of = {"BucketName": self.names["UploadBucket"], "FilterId": buckets.REQUEST_METRICS}
            for name, number in (("PutRequests", puts), ("4xxErrors", refused)):
                if puts:
                    self.put(_key("AWS/S3", name, **of), number / puts, times=puts)
        if not self.wrong("key disabled") and not self.wrong("notifications lost"):
            for special in uploads:
                self._notify(special)
        sent = []
        while self.notified and self.notified[0].sent <= self.now:
            sent.append(self.notified.popleft())
        if self.minute == self.scenario.redriven:
            while self.dead:
                message = self.dead.pop()
                # A redriven message is a new one, with a new age.
                sent.append(_Message(self.now, message.rejected, message.special))
        if sent:
            self.visible.extend(sent)
            self.last_call["WorkQueue"] = self.now
            self.of_queue("WorkQueue", "NumberOfMessagesSent", 1, times=len(sent))

    def _notify(self, special: str) -> None:
        self.owed_rejections += self.scenario.rejected
        rejected = self.owed_rejections >= 1
        self.owed_rejections -= rejected
        self.notified.append(_Message(self.now + self.scenario.notified_after, rejected, special))

    def _hide(self, message: _Message, seconds: int) -> None:
        self.number += 1
        heapq.heappush(self.hidden, (self.now + seconds, self.number, message))

    def _reappear(self) -> None:
        while self.hidden and self.hidden[0][0] <= self.now:
            self.visible.append(heapq.heappop(self.hidden)[2])

    def _begin(self) -> None:
        if self.wrong("mapping disabled") or self.wrong("key disabled"):
            return
        self.last_call["WorkQueue"] = self.now  # it polls even without work
        tries = POLLERS if self.wrong("throttled") else self.slots
        while self.visible and tries > 0 and len(self.running) < self.slots:
            tries -= 1
            batch = self._receive()
            if not batch:
                continue
            if self.wrong("throttled"):
                self.of_function("Throttles", 1)
                for message in batch:
                    self._hide(message, self.visibility)
                continue
            self.of_function("Invocations", 1)
            self.of_function("Throttles", 0)
            self.number += 1
            end = self.now + max(1, round(min(self._takes(batch), self.timeout)))
            heapq.heappush(self.running, _Invocation(end, self.number, self.now, batch))

    def _receive(self) -> list[_Message]:
        batch: list[_Message] = []
        while self.visible and len(batch) < self.batch_size:
            message = self.visible.popleft()
            if message.receives >= self.receives:
                self.dead.append(message)
                self.last_call["DeadLetterQueue"] = self.now
            else:
                message.receives += 1
                batch.append(message)
        return batch

    def _takes(self, batch: list[_Message]) -> float:
        if self.wrong("function does not start"):
            return 1
        if self.wrong("function hangs"):
            return self.timeout
        if self.wrong("S3 fails"):
            return 10
        slow = sum(message.special == "slow" for message in batch)
        return self.scenario.seconds * len(batch) + slow * (self.timeout - 10)

    def _end(self) -> None:
        while self.running and self.running[0].end <= self.now:
            one = heapq.heappop(self.running)
            failed = self._fails(one.batch)
            timed_out = one.end - one.start >= self.timeout
            self.of_function("Errors", float(failed or timed_out), at=one.start)
            self.of_function("Duration", 1000 * (one.end - one.start), at=one.start)
            if failed or timed_out:
                for message in one.batch:
                    # Among equals the order reverses with each receive: then it harms no other.
                    if (
                        message.special == "kills"
                        or message.receives < 2
                        or not self._kills(one.batch)
                    ):
                        self._hide(message, self.visibility)
                continue
            again = [message for message in one.batch if self._returns(message)]
            for message in again:
                about = {"attributes": {"ApproximateReceiveCount": str(message.receives)}}
                wait = self.visibility - (self.now - one.start)
                if self.has_back_off:
                    wait = retry.delay(about, visibility_timeout=self.visibility)
                self._hide(message, wait)
            ended = [message for message in one.batch if message not in again]
            self.of_worker("ImagesProcessed", len(ended))
            rejected = sum(message.rejected for message in ended)
            self.of_worker("Rejected", rejected)
            self.of_worker("ThumbnailsWritten", OUTPUTS * (len(ended) - rejected))

    def _returns(self, message: _Message) -> bool:
        """Return whether the worker fails to process a message."""
        if self.wrong("S3 fails") or self.wrong("key disabled") or message.special == "fails":
            return True
        return self.wrong("S3 fails four times of five") and self.random.random() < 0.8

    def _fails(self, batch: list[_Message]) -> bool:
        return self.wrong("function does not start") or self._kills(batch)

    def _kills(self, batch: list[_Message]) -> bool:
        return any(message.special == "kills" for message in batch)

    def _sample(self) -> None:
        if self.minute % FIREWALL_MINUTES == 0 and self.busiest:
            blocked = self.wrong("foreign names asked for") * FOREIGN_NAMES
            self.put(self.blocked, float(blocked))
        if self.busiest:
            self.of_function("ConcurrentExecutions", self.busiest)
            self.of_stream("IncomingRecords", 1)
            if self.unwritten is None:
                self.unwritten = self.now
        if self.unwritten is not None:
            age = self.now - self.unwritten
            if not self.wrong("logs not delivered"):
                self.of_stream("DeliveryToS3.DataFreshness", age)
                if age >= BUFFER_SECONDS:
                    self.of_stream("DeliveryToS3.Records", 1)
                    late = self.wrong("logs late")
                    self.unwritten = self.now - LATE_SECONDS if late else None
        self.busiest = 0
        received = [message for one in self.running for message in one.batch]
        received += [one for *_, one in self.hidden]
        if received or self.visible or self.now - self.last_call["WorkQueue"] < ACTIVE_SECONDS:
            self.of_queue("WorkQueue", "ApproximateNumberOfMessagesVisible", len(self.visible))
            self.of_queue("WorkQueue", "NumberOfMessagesSent", 0)
        oldest = min(
            (
                one.sent
                for one in chain(received, self.visible)
                if one.receives < AGE_COUNTS_RECEIVES
            ),
            default=None,
        )
        if oldest is not None:
            self.of_queue("WorkQueue", "ApproximateAgeOfOldestMessage", self.now - oldest)
        if self.dead or self.now - self.last_call["DeadLetterQueue"] < ACTIVE_SECONDS:
            self.of_queue("DeadLetterQueue", "ApproximateNumberOfMessagesVisible", len(self.dead))
