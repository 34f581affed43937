"""The processor: the one function to replace for a workload other than thumbnails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from worker import imaging, storage
from worker.imaging import thumbnails
from worker.imaging.memory import Memory
from worker.results import Output, Properties
from worker.settings import Source

REASONS: tuple[str, ...] = (*storage.REASONS, *imaging.REASONS)
"""Reasons for rejections that have a metric of their own, `Rejected<Reason>`.

CloudWatch charges for each metric. A processor may reject for any reason; the metrics count those
that are not in this list as `RejectedOther`. The log and the rejection record name every reason.
"""


def process(body: BinaryIO, source: Source, memory: Memory) -> Iterable[Output | Properties]:
    """Turn one object's bytes into named outputs; what the record says of it besides is optional.

    Everything else (queue, envelopes, limits, conditional writes, retries, rejections, logs) is
    around this call and does not know what it does. To write another processor:

    1. Call your own function here. Names, number and types of the outputs are its own business,
       but the same bytes and settings must give the same names, and each name only once. What is
       yielded is stored while the next output is made.
    2. Raise `Rejection("some_reason", "A sentence.")` for bytes that will never work. Replace
       `imaging.REASONS` above by your reasons, and those in `templates/dashboard.py`.
    3. Raise anything else for what may work later: the message returns to the queue, and after its
       last try it goes to the dead-letter queue.
    4. What the function has to know of a source becomes a field in `worker/settings.py`.

    Args:
        body: The object, seekable and at its start, of at most MAX_OBJECT_BYTES.
        source: The settings of the bucket that the object comes from.
        memory: The function's memory, shared by the objects that are processed at the same time:
            reserve what takes much of it with `memory.reserved(size)`.

    Raises:
        Rejection: The bytes will never give outputs. The reason is recorded.
    """
    return thumbnails.make(body, source.variants, memory, source.keep_metadata)
