"""Which pictures arrive: their sizes and formats, as assumed for common workloads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

# Bytes per pixel of a file, from the benchmark's pictures: docs/measurements/capacity-figures.md.
FILE_BYTES = {
    "jpeg": 0.28,
    "progressive": 0.26,
    "cmyk": 0.78,
    "png": 1.81,
    "rgba": 2.0,
    "webp": 0.2,
}
IMAGE_FORMATS = tuple(FILE_BYTES)

_QUANTILES = 100


@dataclass(frozen=True)
class TypicalPicture:
    """A picture that represents a share of all; the shares of all of them add up to 1."""

    image_format: str
    megapixels: float
    share: float

    @property
    def file_bytes(self) -> float:
        """Return the size of its file."""
        return self.megapixels * 1e6 * FILE_BYTES[self.image_format]


@dataclass(frozen=True)
class Component:
    """Pictures of one format, log-normal in megapixels with this median and 95th percentile."""

    image_format: str
    share: float
    median: float
    p95: float

    def pictures(self) -> list[TypicalPicture]:
        """Return pictures of equal share, at the middle of each hundredth."""
        sigma = math.log(self.p95 / self.median) / NormalDist().inv_cdf(0.95)
        return [
            TypicalPicture(
                self.image_format,
                self.median * math.exp(sigma * NormalDist().inv_cdf((place + 0.5) / _QUANTILES)),
                self.share / _QUANTILES,
            )
            for place in range(_QUANTILES)
        ]


# Assumptions about who uploads, not measurements: `--megapixels` and `--image-format` are better.
WORKLOADS: dict[str, Sequence[Component]] = {
    "phone": (Component("jpeg", 0.95, 12, 24), Component("png", 0.05, 2.5, 4)),
    "camera": (Component("jpeg", 1.0, 24, 46),),
    "web": (
        Component("progressive", 0.5, 2, 8),
        Component("jpeg", 0.2, 2, 8),
        Component("webp", 0.2, 2, 6),
        Component("png", 0.1, 1, 4),
    ),
    "mixed": (
        Component("jpeg", 0.6, 12, 24),
        Component("progressive", 0.15, 3, 12),
        Component("png", 0.15, 2, 8),
        Component("rgba", 0.05, 1, 6),
        Component("webp", 0.05, 2, 8),
    ),
}


def pictures(components: Sequence[Component]) -> list[TypicalPicture]:
    """Return the pictures that represent these components."""
    return [picture for component in components for picture in component.pictures()]
