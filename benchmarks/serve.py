"""One implementation in its own process: one request per line of input, one answer each."""

import json
import resource
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks import implementations


def main() -> None:
    """Answer until standard input ends; `benchmarks/sharp.mjs` answers the same requests.

    A second argument is the library that the worker resizes with.
    """
    implementation = implementations.IMPLEMENTATIONS[sys.argv[1]]
    if sys.argv[2:]:
        from worker.imaging import resize  # the other processes should not pay for it

        resize.use(Path(sys.argv[2]))

    @lru_cache(maxsize=1)
    def prepared(path: str, task_text: str) -> tuple[implementations.Task, implementations.Job]:
        task = _task(json.loads(task_text))
        return task, implementation(Path(path).read_bytes(), task)

    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _answer(request, prepared)
        except Exception as error:  # noqa: BLE001 -- a failure is a result too
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def _answer(request: dict[str, Any], prepared: Any) -> dict[str, Any]:
    if request["observe"]:
        task = _task(request["task"])
        return {
            "encoders": implementations.observed_encoders(
                Path(request["picture"]).read_bytes(), task
            )
        }
    task, job = prepared(request["picture"], json.dumps(request["task"]))
    with implementations.overridden_encoders(task):
        began = _cpu_seconds()
        outputs = job()
        seconds = _cpu_seconds() - began
    if request["output"] is not None:
        for name, body in outputs.items():
            Path(request["output"], name).write_bytes(body)
    return {"seconds": seconds, "sizes": {name: len(body) for name, body in outputs.items()}}


def _task(fields: dict[str, Any]) -> implementations.Task:
    return implementations.Task(tuple(fields["widths"]), fields["formats"], fields["encoders"])


def _cpu_seconds() -> float:
    """Return user and system time of this process, all its threads included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
