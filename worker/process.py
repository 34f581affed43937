"""The seam: the one function that a different workload replaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from worker.imaging import thumbnails
from worker.imaging.memory import Memory
from worker.results import Output
from worker.settings import Source


def process(body: BinaryIO, source: Source, memory: Memory) -> Sequence[Output]:
    """Turn one object's bytes into named outputs.

    Everything else (queue, envelopes, limits, conditional writes, retries, rejections, logs) is
    around this call and does not know what it does. To run another workload, call that one here;
    what it needs to be told of a `source` is added to `worker/settings.py`.

    `body` is seekable and at its start, and holds at most MAX_OBJECT_BYTES. Several objects are
    worked on at the same time: what takes much memory is done within `memory.reserved`. The same
    bytes and source must give the same names, and no two outputs one name. Raises Rejection for
    bytes that will never work: it is recorded with its reason. Any other exception means "not this
    time": the message goes back to the queue, and after its last try to the dead-letter queue.
    """
    return thumbnails.make(body, source.variants, memory)
