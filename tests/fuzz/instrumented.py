"""One target in the fuzzer's own process, which ends with it."""

from __future__ import annotations

import resource
import sys

import atheris

# Only Python code is instrumented: ours, and Pillow's plugins, which read the files' headers.
with atheris.instrument_imports(include=["PIL", "worker"]):
    from darkroom.bundle import imaging_library
    from tests.fuzz.targets import TARGETS
    from worker.imaging import tiff_strips

_MEMORY = 1 << 30
"""Bytes; an image of 250,000 pixels needs less than half of it."""


def main() -> None:
    """Fuzz the target that is named first; the other arguments are libFuzzer's."""
    name, *options = sys.argv[1:]
    target = TARGETS[name]
    imaging_library.use_here()
    setattr(tiff_strips, "LEAST_PIXELS", 0)  # noqa: B010 -- small pictures as large ones
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def changed(data: bytes, longest: int, seed: int) -> bytes:
        mutated: bytes = atheris.Mutate(data, longest)
        # One in eight stays as it is: wrong check sums have a path of their own.
        return target.repaired(mutated)[:longest] if seed % 8 else mutated

    atheris.Setup([sys.argv[0], *options], target.run, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
