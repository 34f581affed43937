"""Whether worker/process.py makes thumbnails: tests that upload pictures need that."""

from collections.abc import Iterable

import pytest

from worker import imaging, process
from worker.results import Output, Properties

MAKES_THUMBNAILS = set(imaging.REASONS) <= set(process.REASONS)
REASON = "worker/process.py has another workload than thumbnails"


def outputs_of(made: Iterable[Output | Properties]) -> list[Output]:
    """Return the outputs among what a processor yields."""
    return [one for one in made if isinstance(one, Output)]


thumbnails_only = pytest.mark.skipif(not MAKES_THUMBNAILS, reason=REASON)
