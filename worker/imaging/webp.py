"""How many chunks a WebP file has: libwebp lists them all before it decodes a frame."""

from __future__ import annotations

from worker.imaging.work_limits import MOST_PARTS, too_many_parts

_HEADER_BYTES = 12
"""`RIFF`, a size, `WEBP`: https://developers.google.com/speed/webp/docs/riff_container"""


def check_parts(data: bytes) -> None:
    """Check the number of chunks.

    Raises:
        Rejection: There are more than MOST_PARTS.
    """
    position = _HEADER_BYTES
    for _ in range(MOST_PARTS):
        if position + 8 > len(data):
            return
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + size + size % 2
    raise too_many_parts()
