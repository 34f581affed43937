"""The pipeline under load: two queues, one of which has more arrivals than it can process."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import ROOT
from tests.workload import thumbnails_only

PLAN = """
[sources.default]
[sources.imports]
prefixes = ["in/"]
queue = "bulk"
[queues.default]
[queues.bulk]
batch_size = 10
[variants.default]
widths = [64]
formats = { jpeg = 80 }
"""


@thumbnails_only
def test_a_burst_delays_its_own_queue_only(tmp_path: Path) -> None:
    """R2, R4: MaximumConcurrency is kept, the backlog drained and nothing lost, on both queues."""
    (tmp_path / "plan.toml").write_text(PLAN)
    arguments = ["--arrivals", "default=2/s:10s", "--arrivals", "imports=0:3s,150/s:3s"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "darkroom", "load", "--pipeline", "plan.toml", *arguments),
            *("--output", "out", "--format", "json"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert (tmp_path / "out" / "load.png").is_file()
    people, imports = json.loads(done.stdout)["sources"]
    assert people["problems"] == imports["problems"] == []
    assert imports["most_batches_at_once"] == imports["maximum_concurrency"] == 2
    assert imports["most_waiting"] > people["most_waiting"]
    assert people["latency_seconds"]["p95"] < imports["latency_seconds"]["p95"]
    assert max(second["simulated_batches"] for second in imports["seconds"]) == 2
