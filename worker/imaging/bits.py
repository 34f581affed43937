"""Fields of bits, as the headers of AV1 and HEVC have them."""

from __future__ import annotations

from typing import Final

_LONGEST_HEADER: Final = 1024
"""Bytes; AV1's sequence header has at most 32 operating points, of some 13 bytes each."""


class Bits:
    """Reads the start of some data bit by bit."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Start at the first bit."""
        head = bytes(data[:_LONGEST_HEADER])
        self._value, self._left = int.from_bytes(head), 8 * len(head)

    def read(self, count: int = 1) -> int:
        """Return the unsigned number in the next bits.

        Raises:
            ValueError: There are no more.
        """
        self._left -= count
        if self._left < 0:
            raise ValueError("a header that ends early")
        return self._value >> self._left & (1 << count) - 1

    def read_variable(self) -> int:
        """Return the next number in Exp-Golomb code, which AV1 calls uvlc and HEVC ue.

        Raises:
            ValueError: The data end before.
        """
        zeros = 0
        while not self.read():
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)
