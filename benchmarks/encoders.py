"""CPU time, bytes and similarity of encoder settings on one thumbnail."""

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

from benchmarks.similarity import ssim

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
class EncoderResult:
    """One setting: median CPU seconds of encoding, bytes, SSIM with the encoded pixels."""

    encoder: str
    options: Mapping[str, Any]
    seconds: float
    size: int
    similarity: float


def main() -> None:
    """Measure on the picture of the first argument, in as many rounds as the second; print JSON."""
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
        EncoderResult(
            encoder, options, statistics.median(taken), len(body), _similarity(image, body)
        )
        for (encoder, options), taken, body in zip(SETTINGS, seconds, bodies, strict=True)
    ]
    print(json.dumps([asdict(row) for row in rows]))


def command(picture: Path, *, rounds: int) -> list[str]:
    """Return the command that runs `main` in its own process."""
    return [sys.executable, "-m", "benchmarks.encoders", str(picture), str(rounds)]


def _similarity(image: Image.Image, body: bytes) -> float:
    with Image.open(io.BytesIO(body)) as decoded:
        return ssim(image, decoded)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
