"""A WebP that no encoder writes: as many groups of Huffman codes as there can be."""

from __future__ import annotations

# A code of one symbol, which is 0 and takes no bits (RFC 9649, 3.7.2.1.1); bits come lowest first.
_ZERO = "1000"


def with_many_codes(side: int) -> bytes:
    """Return a lossless picture, as wide as high, with a group for each of its 4 × 4 pixels."""
    blocks = (side // 4) ** 2
    groups = min(blocks, 1 << 16)
    # All values in eight bits each: the lengths of codes have a code of one symbol, 8.
    any_byte = "0" + _bits(8, 4) + "000" * 11 + "100" + "1" + _bits(3, 3) + _bits(254, 8)
    # Green is the lower byte; a code's first bit is its highest one.
    numbers = "".join(f"{n & 255:08b}{n >> 8 & 255:08b}" for n in range(blocks))
    size = _bits(side - 1, 14) * 2 + "0" + "000"
    # No transform and no cache; groups, whose image has no cache and is in green and red.
    head = _bits(0x2F, 8) + size + "0" + "0" + "1" + "000" + "0" + any_byte * 2 + _ZERO * 3
    bits = head + numbers + _ZERO * 5 * groups
    body = int(bits[::-1], 2).to_bytes(-(-len(bits) // 16) * 2, "little")
    chunk = b"VP8L" + len(body).to_bytes(4, "little") + body
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


def _bits(value: int, count: int) -> str:
    return f"{value:0{count}b}"[::-1]
