"""What encoder settings cost and bring, on one thumbnail: CPU time, bytes, likeness."""

from __future__ import annotations

import io
import json
import resource
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from benchmarks.likeness import ssim

_WIDTH = 1200
_PLAIN: Mapping[str, Any] = {"progressive": False, "optimize": False}

SETTINGS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("JPEG", {"quality": 85, **_PLAIN}),
    ("JPEG", {"quality": 85, "optimize": True}),
    ("JPEG", {"quality": 85, "progressive": True}),
    ("JPEG", {"quality": 80, **_PLAIN}),
    ("JPEG", {"quality": 80, "progressive": True}),
    ("JPEG", {"quality": 75, "progressive": True}),
    *(("PNG", {"compress_level": level}) for level in (1, 2, 3, 6, 9)),
    *(("WEBP", {"quality": 80, "method": method}) for method in (0, 1, 2, 3, 4, 6)),
    ("WEBP", {"quality": 70, "method": 2}),
    *(("AVIF", {"quality": 60, "speed": speed}) for speed in (10, 9, 8, 7, 6)),
    ("AVIF", {"quality": 50, "speed": 9}),
)


@dataclass(frozen=True)
class Row:
    """One setting: median CPU seconds of encoding, bytes, SSIM against the pixels encoded."""

    encoder: str
    options: Mapping[str, Any]
    seconds: float
    size: int
    likeness: float


def main() -> None:
    """Measure on the picture named first, in as many rounds as named second; rows as JSON."""
    with Image.open(sys.argv[1]) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    height = round(upright.height * _WIDTH / upright.width)
    image = upright.resize((_WIDTH, height), Image.Resampling.LANCZOS)
    image.info = {}
    seconds: list[list[float]] = [[] for _ in SETTINGS]
    bodies = [b""] * len(SETTINGS)
    for _ in range(int(sys.argv[2])):
        for place, (encoder, options) in enumerate(SETTINGS):
            buffer = io.BytesIO()
            began = _cpu_seconds()
            image.save(buffer, encoder, **options)
            seconds[place].append(_cpu_seconds() - began)
            bodies[place] = buffer.getvalue()
    rows = [
        Row(encoder, options, statistics.median(taken), len(body), _likeness(image, body))
        for (encoder, options), taken, body in zip(SETTINGS, seconds, bodies, strict=True)
    ]
    print(json.dumps([asdict(row) for row in rows]))


def command(picture: Path, *, rounds: int) -> list[str]:
    """Return what to run for `main` in a process of its own."""
    return [sys.executable, "-m", "benchmarks.encoders", str(picture), str(rounds)]


def _likeness(image: Image.Image, body: bytes) -> float:
    with Image.open(io.BytesIO(body)) as decoded:
        return ssim(image, decoded)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
