"""The zlib stream of a PNG, inflated by ISA-L where it is installed, else by zlib."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Final

_SKIPPED_AT_ONCE: Final = 1 << 20


@cache
def _isal() -> ModuleType | None:
    """Return ISA-L's module, imported for the first PNG; None where it is not installed.

    Half of zlib's time for inflating, a tenth for checksums.
    """
    try:
        from isal import isal_zlib
    except ImportError:
        return None
    module: ModuleType = isal_zlib
    return module


def crc32(data: bytes, value: int = 0) -> int:
    """Return the checksum of a chunk; as zlib.crc32."""
    module = _isal()
    return zlib.crc32(data, value) if module is None else int(module.crc32(data, value))


class Inflated:
    """A zlib stream in pieces, which never expands to more than is asked for.

    Where ISA-L finds anything wrong, zlib begins again: its words, and what it takes, hold. ISA-L
    alone takes a Huffman code that leaves some values undefined, if the data have none of them; no
    encoder writes one.
    """

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Begin to read.

        Args:
            pieces: Returns the stream in pieces, from its start.
        """
        self._restart = pieces
        self._module = _isal() if _has_plain_header(pieces()) else None
        self._given = 0
        self._begin(self._module or zlib)

    def _begin(self, module: ModuleType) -> None:
        self._pieces = self._restart()
        self._stream = module.decompressobj()

    def read(self, size: int) -> bytes:
        """Return the next bytes, as many as this.

        Raises:
            ValueError: There are fewer, or the pieces are damaged.
            zlib.error: The stream is damaged.
        """
        if self._module is None:
            return self._read(size)
        try:
            data = self._read(size)
        except (self._module.error, ValueError):
            self._module = None
            self._begin(zlib)
            while self._given:
                self._given -= len(self._read(min(self._given, _SKIPPED_AT_ONCE)))
            return self._read(size)
        self._given += size
        return data

    def _read(self, size: int) -> bytes:
        found: list[bytes] = []
        while size > 0:
            piece = self._stream.unconsumed_tail or next(self._pieces, b"")
            if not piece or self._stream.eof:
                raise ValueError("the image data end early")
            found.append(self._stream.decompress(piece, size))
            size -= len(found[-1])
        return b"".join(found)


def _has_plain_header(pieces: Iterator[bytes]) -> bool:
    """Return whether the stream begins as RFC 1950, 2.2, has it, and without a dictionary."""
    head = next(filter(None, pieces), b"")[:2]
    if len(head) < 2:
        return False
    method, flags = head
    return method & 0x8F == 8 and not flags & 0x20 and (method << 8 | flags) % 31 == 0
