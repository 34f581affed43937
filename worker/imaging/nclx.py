"""The color space that a file of AVIF's or HEIC's container names by code points, not by a profile.

ISO/IEC 14496-12, 12.1.5 (colr), 12.1.6 (mdcv) and 12.1.7 (clli).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from worker.imaging.color_space import ColorSpace, by_code_points
from worker.imaging.isobmff import Container, number

_BEFORE_BOXES: Final = 78
"""Bytes of a track's sample entry for video before the boxes in it."""

_LIGHT_UNIT: Final = 0.0001
"""cd/m², of mdcv."""


def color_space(data: bytes, coded: tuple[int, int] | None) -> ColorSpace | None:
    """Return the color space of a file's picture; None if it names none, or one that is not known.

    That is the space of the primary item, or in a file without items of the first track.

    Args:
        data: The file.
        coded: Primaries and transfer function as the coded picture names them, which hold where the
            container names none.
    """
    container = Container(memoryview(data))
    code_points, of_pixels, of_screen = coded, 0.0, 0.0
    # Where the container is damaged, the decoder says what is wrong with it.
    with suppress(ValueError):
        for name, body in _properties(container):
            if name == b"colr" and bytes(body[:4]) == b"nclx":
                code_points = number(body, 4, 2), number(body, 6, 2)
            elif name == b"clli":
                of_pixels = number(body, 0, 2)
            elif name == b"mdcv":
                of_screen = number(body, 16, 4) * _LIGHT_UNIT
    if code_points is None:
        return None
    return by_code_points(*code_points, of_pixels or of_screen or None, video=True)


def _properties(container: Container) -> Iterable[tuple[bytes, memoryview]]:
    primary = container.primary_item()
    if primary is not None:
        return container.properties().get(primary, ())
    for entries in container.boxes(container.file, b"moovtrakmdiaminfstblstsd"):
        for _, entry in container.children(entries[8:]):
            return container.children(entry[_BEFORE_BOXES:])
    return ()
