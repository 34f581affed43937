"""One side in a process of its own: a request a line on standard input, an answer a line back."""

from __future__ import annotations

import json
import resource
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks import sides


def main() -> None:
    """Answer until standard input ends; `benchmarks/sharp.mjs` answers the same requests."""
    side = sides.SIDES[sys.argv[1]]

    @lru_cache(maxsize=1)
    def prepared(path: str, task_text: str) -> tuple[sides.Task, sides.Job]:
        task = _task(json.loads(task_text))
        return task, side(Path(path).read_bytes(), task)

    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _answer(request, prepared)
        except Exception as error:  # noqa: BLE001 -- that a side cannot do it is a result too
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def _answer(request: dict[str, Any], prepared: Any) -> dict[str, Any]:
    if request["observe"]:
        task = _task(request["task"])
        return {"encoders": sides.observed_encoders(Path(request["picture"]).read_bytes(), task)}
    task, job = prepared(request["picture"], json.dumps(request["task"]))
    with sides.overridden_encoders(task):
        began = _cpu_seconds()
        outputs = job()
        seconds = _cpu_seconds() - began
    if request["output"] is not None:
        for name, body in outputs.items():
            Path(request["output"], name).write_bytes(body)
    return {"seconds": seconds, "sizes": {name: len(body) for name, body in outputs.items()}}


def _task(fields: dict[str, Any]) -> sides.Task:
    return sides.Task(tuple(fields["widths"]), fields["formats"], fields["encoders"])


def _cpu_seconds() -> float:
    """Return user and system time of this process, all its threads included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
