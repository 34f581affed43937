"""Figures that the worker shares with the capacity model, without importing Pillow or botocore."""

from typing import Final

CONCURRENT_REQUESTS: Final = 10
"""Requests to S3 at once besides the downloads, each over a connection that is kept."""

# Bytes of memory: peaks of whole runs, measured with Pillow 13.0 and rounded up.
FIXED_BYTES: Final = 8_000_000
"""Blocks read from the file, the decoders' tables."""

BYTES_PER_THUMBNAIL_PIXEL: Final = 36
"""AVIF's encoder; shrinking to the widest variant takes up to 28, other encoders 29."""

BYTES_PER_PIXEL: Final = {"WEBP": 0.0, "ANIMATED_WEBP": 19.0}
"""libwebp shrinks a lossy picture row by row."""

BYTES_PER_COEFFICIENT: Final = 2
BYTES_BESIDE_COEFFICIENTS: Final = 0.2
"""Per pixel of a JPEG with several scans, whose coefficients libjpeg keeps until the last one."""

MOST_WATERMARK_BYTES: Final = 1_000_000
MOST_WATERMARK_PIXELS: Final = 4_000_000
"""Of a watermark's file, which is downloaded and decoded once in each execution environment."""

KEPT_SIZES: Final = 8
MOST_KEPT_PIXELS: Final = 250_000
"""Of the sizes that each is shown in, which are kept: most pictures, and all frames of one, have
the same."""

BYTES_PER_WATERMARK: Final = 4 * (MOST_WATERMARK_PIXELS + KEPT_SIZES * MOST_KEPT_PIXELS)
"""What stays in memory of each."""
