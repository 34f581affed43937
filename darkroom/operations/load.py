"""A load run: arrivals at given rates through the pipeline on the emulator, second by second."""

import random
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from darkroom.capacity import stack as stack_figures
from darkroom.capacity.model import CapacityModel, Demand, Polling, Retries
from darkroom.capacity.replay import MeasuredService, Moment, replay
from darkroom.console.progress import Progress
from darkroom.emulator import pictures, processing
from darkroom.emulator.deployment import EmulatedStack
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UsageError
from darkroom.operations.load_report import Second, SourceLoad
from templates import naming, specification
from templates.specification import Specification

EMULATOR_CONCURRENCY = 5
"""Batches at once of a queue with provisioned pollers, which the emulator does not have."""

_SENDERS = 32


@dataclass(frozen=True)
class Step:
    """Arrivals at a rate for some time."""

    rate: float
    """Pictures per second."""

    seconds: float


Profile = Sequence[Step]


@dataclass
class _Sent:
    source: str
    key: str
    at: float
    begun: float | None = None
    ended: float | None = None


def run(
    pipeline: Path,
    profiles: Mapping[str, Profile],
    *,
    concurrency: int,
    seed: int,
    progress: Progress,
) -> list[SourceLoad]:
    """Deploy the specification `pipeline`, upload as `profiles` say, by source, and wait.

    Args:
        pipeline: The specification.
        profiles: Steps by source, one after the other.
        concurrency: Each queue's MaximumConcurrency.
        seed: Decides the moments of arrivals, which are random, and the pictures.
        progress: Gets how far it is.

    Raises:
        SpecificationError, UsageError: There is no such source, or its bucket is not the stack's.
        UserError: The worker cannot start, with its error.
    """
    plan = specification.load(pipeline)
    for name in profiles:
        if name not in plan.sources:
            raise UsageError(f"there is no source {name!r}; allowed: {', '.join(plan.sources)}")
    queues = [plan.sources[name].queue for name in profiles]
    if len(set(queues)) < len(queues):
        raise UsageError("two sources share a queue; give the arrivals of one of them only")
    with Emulator(progress=progress.update) as emulator:
        deployed = processing.deploy(emulator, plan, concurrency=concurrency, progress=progress)
        load = _Load(emulator, deployed.stack, plan, profiles, seed=seed, progress=progress)
        load.send_and_wait()
        return [
            load.of_source(name, _model(pipeline, name, concurrency=concurrency))
            for name in profiles
        ]


class _Load:
    def __init__(
        self,
        emulator: Emulator,
        stack: EmulatedStack,
        plan: Specification,
        profiles: Mapping[str, Profile],
        *,
        seed: int,
        progress: Progress,
    ) -> None:
        self._emulator, self._stack, self._plan = emulator, stack, plan
        self._profiles, self._progress = profiles, progress
        self._random = random.Random(seed)  # noqa: S311  # nosec B311 # no secret
        self._samples = [path.read_bytes() for path in pictures.sample_photographs()]
        self._sent: list[_Sent] = []
        self._waiting: dict[str, list[int]] = defaultdict(list)
        self._ended: Mapping[processing.Place, processing.Ended] = {}
        self._batches: dict[str, list[tuple[float, float, int]]] = defaultdict(list)

    def send_and_wait(self) -> None:
        s3 = self._emulator.client("s3")
        planned = sorted(
            (moment, name, number)
            for name, profile in self._profiles.items()
            for number, moment in enumerate(arrivals(profile, self._random))
        )
        buckets = {name: processing.bucket_of(self._stack, name) for name in self._profiles}
        bodies = self._random.choices(self._samples, k=len(planned))
        stop = threading.Event()
        self._start = time.time()
        watch = threading.Thread(target=self._watch, args=(stop,), daemon=True)
        watch.start()

        def put(name: str, key: str, body: bytes) -> None:
            s3.put_object(Bucket=buckets[name], Key=key, Body=body)
            self._sent.append(_Sent(name, key, time.time()))

        try:
            with ThreadPoolExecutor(_SENDERS) as pool:
                uploads = []
                for (moment, name, number), body in zip(planned, bodies, strict=True):
                    time.sleep(max(0.0, self._start + moment - time.time()))
                    self._progress.update(f"Uploaded {len(self._sent):,} of {len(planned):,}")
                    source = self._plan.sources[name]
                    suffix = next(one for one in source.suffixes if one in (".png", ".jpg"))
                    key = f"{source.prefixes[0]}load/{number:06}{suffix}"
                    uploads.append(pool.submit(put, name, key, body))
                for upload in uploads:
                    upload.result()
            places = {(buckets[one.source], one.key) for one in self._sent}
            self._ended = processing.wait(
                self._emulator, self._stack, self._plan, places, self._progress
            )
            self._read_log(buckets)
            time.sleep(2)  # the counters once more
        finally:
            stop.set()
            watch.join()

    def _watch(self, stop: threading.Event) -> None:
        """Read each queue's counter every second."""
        sqs = self._emulator.client("sqs")
        urls = {
            name: self._stack.outputs[
                naming.logical_id(self._plan.sources[name].queue, "WorkQueueUrl")
            ]
            for name in self._profiles
        }
        number = 0
        while not stop.wait(max(0.0, self._start + number + 1 - time.time())):
            number += 1
            for name, url in urls.items():
                counter = "ApproximateNumberOfMessages"
                answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[counter])
                self._waiting[name].append(int(answer["Attributes"][counter]))

    def _read_log(self, buckets: Mapping[str, str]) -> None:
        """Take from the worker's log when each picture began and ended, and each batch."""
        sent = {(buckets[one.source], one.key): one for one in self._sent}
        batches: dict[tuple[str, str], list[_Sent]] = defaultdict(list)
        for _, line in processing.log_lines(self._emulator, self._stack):
            one = sent.get((line.get("bucket", ""), line.get("key", "")))
            if one and line.get("outcome") in processing.FINAL:
                one.ended = datetime.fromisoformat(line["timestamp"]).timestamp()
                one.begun = one.ended - line["duration_ms"] / 1000
                batches[one.source, line["function_request_id"]].append(one)
        for (name, _), together in batches.items():
            begun = min(one.begun or 0.0 for one in together)
            ended = max(one.ended or 0.0 for one in together)
            self._batches[name].append((begun, ended, len(together)))

    def of_source(self, name: str, model: CapacityModel) -> SourceLoad:
        bucket = processing.bucket_of(self._stack, name)
        sent = sorted((one for one in self._sent if one.source == name), key=lambda one: one.at)
        counted = self._waiting[name]
        moments = [one.at - self._start for one in sent]
        batches = self._batches[name]
        simulated: list[Moment] = []
        if batches:
            stack = model.service.stack
            measured = MeasuredService(stack, (), batch_seconds=_average(batches))
            simulated = replay(replace(model, service=measured), moments, len(counted))
        outcomes = {one.key: self._ended.get((bucket, one.key)) for one in sent}
        latencies = (one.ended - one.at for one in sent if one.ended is not None)
        return SourceLoad(
            source=name,
            queue=self._plan.sources[name].queue,
            concurrency=round(model.polling.maximum),
            seconds=_seconds(sent, counted, [one[:2] for one in batches], self._start),
            simulated=simulated,
            latencies=sorted(max(0.0, one) for one in latencies),
            lost=[
                key
                for key, ended in outcomes.items()
                if ended is None or ended.outcome not in processing.FINAL
            ],
        )


def arrivals(profile: Profile, chance: random.Random) -> list[float]:
    """Return the moments of arrivals in seconds: random, at the rate of each step."""
    found, begin = [], 0.0
    for step in profile:
        moment = begin
        while step.rate and (moment := moment + chance.expovariate(step.rate)) < (
            begin + step.seconds
        ):
            found.append(moment)
        begin += step.seconds
    return found


def _model(pipeline: Path, source: str, *, concurrency: int) -> CapacityModel:
    """Return the capacity model of a source's queue as the emulator runs it."""
    figures = stack_figures.read(pipeline, [], {"MaximumConcurrency": concurrency}, source=source)
    most = figures.concurrency or EMULATOR_CONCURRENCY
    return CapacityModel(
        service=MeasuredService(replace(figures, window=0), ()),
        polling=Polling(first=most, per_second=1, maximum=most),
        retries=Retries(
            maximum=figures.max_receive_count,
            visibility=figures.visibility,
            has_back_off=figures.has_sqs_endpoint,
        ),
        demand=Demand(rate=1),
    )


def _average(batches: Iterable[tuple[float, float, int]]) -> dict[int, float]:
    """Return the average seconds of the batches of each size."""
    by_size: dict[int, list[float]] = defaultdict(list)
    for begun, ended, size in batches:
        by_size[size].append(ended - begun)
    return {size: sum(found) / len(found) for size, found in by_size.items()}


def _seconds(
    sent: Sequence[_Sent],
    waiting: Sequence[int],
    batches: Sequence[tuple[float, float]],
    start: float,
) -> list[Second]:
    arrived = [one.at - start for one in sent]
    ended = sorted((one.ended - start, one.ended - one.at) for one in sent if one.ended)
    found = []
    for number, messages in enumerate(waiting):
        now = number + 1
        late = sorted(latency for moment, latency in ended if number <= moment < now)
        unbegun = [
            one.at - start
            for one in sent
            if one.at - start <= now and (one.begun is None or one.begun - start > now)
        ]
        found.append(
            Second(
                arrived=bisect_right(arrived, now) - bisect_right(arrived, number),
                waiting=messages,
                oldest=now - min(unbegun, default=now),
                running=_most_at_once(batches, start + number, start + now),
                latency=late[int(0.95 * (len(late) - 1))] if late else None,
            )
        )
    return found


def _most_at_once(batches: Sequence[tuple[float, float]], begin: float, end: float) -> int:
    """Return how many of these intervals overlap at most at a moment of a second."""
    overlapping = [one for one in batches if one[0] < end and one[1] > begin]
    return max(
        (
            sum(begun <= max(moment, begin) < ended for begun, ended in overlapping)
            for moment, _ in overlapping
        ),
        default=0,
    )
