"""Images to thumbnails: Pillow only, no AWS."""

REASONS = (
    "corrupt",
    "not_an_image",
    "too_many_pixels",
    "too_many_scans",
    "unsupported_format",
)
"""The reasons for which an image is rejected."""
