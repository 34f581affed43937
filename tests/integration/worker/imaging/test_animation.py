"""worker/imaging/animation.py: the costliest animations stay within time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.fuzz.cost import PROCESSOR_SECONDS
from tests.unit.worker.imaging.gif_files import GifFrame, gif_of
from tests.unit.worker.imaging.webp_files import WebpFrame, webp_of
from worker.imaging import animation

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of memory")

MEASURE = """
import io, json, re, sys, time
from tests.fuzz.cost import RecordedMemory
from worker.imaging import thumbnails
from worker.settings import Variants

file, widths, quality, options = sys.argv[1], *map(json.loads, sys.argv[2:])
variants = Variants(
    tuple(widths), {"webp": quality}, 100_000_000, animated=True, **options
)
with open(file, "rb") as opened:
    source = io.BytesIO(opened.read())
memory = RecordedMemory()

def peak():  # getrusage would count what this process's parent had before
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) * 1024

before = peak()
started = time.process_time()
outputs = list(thumbnails.make(source, [variants], memory))[:-1]
seconds = time.process_time() - started
print(json.dumps([seconds, memory.most, peak() - before, [dict(one.metadata) for one in outputs]]))
"""


def noisy_gif(side: int, count: int) -> bytes:
    """Return frames of noise, which no frame before helps to encode."""
    colors = [(number, number * 7 % 256, number * 31 % 256) for number in range(256)]
    frames = [
        GifFrame([os.urandom(side) for _ in range(side)], colors=one)
        for one in (colors, colors[::-1])
    ]
    two = gif_of((side, side), frames)
    return two[:13] + two[13:-1] * (count // 2) + two[-1:]


def flat_gif(side: int, count: int) -> bytes:
    """Return frames of a pixel each on a large screen, of which each is cleared."""
    colors = ((0, 0, 0), (255, 0, 0))
    frames = [GifFrame([[1]], number, number, disposal=2) for number in range(count)]
    return gif_of((side, side), frames, colors)


def noisy_webp(side: int, count: int) -> bytes:
    frames = [
        WebpFrame(Image.frombytes("RGBA", (side, side), os.urandom(side * side * 4)), blended=False)
        for _ in range(2)
    ]
    return webp_of((side, side), [frames[number % 2] for number in range(count)])


def at_limit(side: int, pixels: int) -> int:
    return min(animation.MOST_FRAMES, pixels // (side * side))


DECODED, ENCODED = animation.MOST_DECODED_PIXELS, animation.MOST_ENCODED_PIXELS
COSTLY: dict[str, tuple[Callable[[], bytes], list[int], int, dict[str, Any]]] = {
    "noise of which all is encoded": (
        partial(noisy_gif, 500, at_limit(500, ENCODED)), [500], 100, {}
    ),
    "noise sharpened at three widths": (
        partial(noisy_gif, 500, 26),
        [500, 400, 300],
        80,
        {"sharpen": 200},
    ),
    "a large screen": (partial(flat_gif, 5_000, at_limit(5_000, DECODED)), [1_200, 400], 80, {}),
    "many frames": (partial(flat_gif, 387, at_limit(387, DECODED)), [150], 80, {}),
    "noise with transparency": (partial(noisy_webp, 1_000, 12), [1_000], 100, {}),
    "a large screen of noise": (partial(noisy_webp, 2_400, 2), [400], 80, {}),
    "empty space": (
        partial(flat_gif, 300, 150),
        [400],
        80,
        {"fit": "contain", "aspect_ratio": [1, 1], "sharpen": 100},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
def test_the_costliest_animations_end_in_time_and_within_their_memory(
    name: str, tmp_path: Path
) -> None:
    """P5, P9: all frames are encoded, in what a file may take and what is reserved for it."""
    make, widths, quality, options = COSTLY[name]
    file = tmp_path / "animation"
    file.write_bytes(make())
    assert file.stat().st_size < 50_000_000  # the default's largest file
    arguments = [str(file), *map(json.dumps, (widths, quality, options))]
    command = [sys.executable, "-c", MEASURE, *arguments]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, reserved, peak, outputs = json.loads(child.stdout)
    assert all(one["frames"] > 1 for one in outputs)
    assert seconds < PROCESSOR_SECONDS
    assert peak < reserved
    if name.startswith("noise"):
        # More would keep pictures waiting that fit into memory.
        assert reserved < 4 * peak + 90_000_000
