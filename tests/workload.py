"""Whether worker/process.py makes thumbnails: tests that upload pictures need that."""

import pytest

from worker import imaging, process

MAKES_THUMBNAILS = set(imaging.REASONS) <= set(process.REASONS)
REASON = "worker/process.py has another workload than thumbnails"

thumbnails_only = pytest.mark.skipif(not MAKES_THUMBNAILS, reason=REASON)
