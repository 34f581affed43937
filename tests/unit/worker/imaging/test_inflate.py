"""worker/imaging/inflate.py: ISA-L gives what zlib gives, in zlib's words where it is damaged."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from worker.imaging import inflate

_RANDOM = random.Random(16)  # noqa: S311 -- a test's data
CONTENT = _RANDOM.randbytes(2_000) + bytes(3_000) + b"abcdefgh" * 400 + bytes(range(256)) * 4
STREAMS = [
    compressor.compress(CONTENT) + compressor.flush()
    for compressor in (
        zlib.compressobj(level, wbits=bits, strategy=strategy)
        for level, bits, strategy in (
            *((0, 15, zlib.Z_DEFAULT_STRATEGY), (1, 15, zlib.Z_RLE), (6, 9, zlib.Z_FILTERED)),
            *(
                (9, 15, zlib.Z_DEFAULT_STRATEGY),
                (6, 15, zlib.Z_FIXED),
                (6, 12, zlib.Z_HUFFMAN_ONLY),
            ),
        )
    )
]


def cut(data: bytes, length: int) -> Iterator[bytes]:
    return (data[at : at + length] for at in range(0, len(data), length))


def read(data: bytes, length: int, sizes: list[int]) -> Any:
    """Return what is read in these sizes, or the error in words."""
    try:
        stream = inflate.Inflated(partial(cut, data, length))
        return [stream.read(size) for size in sizes]
    except (ValueError, zlib.error) as error:
        return type(error), str(error)


def by_zlib(data: bytes, length: int, sizes: list[int]) -> Any:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(inflate, "_isal", lambda: None)
        return read(data, length, sizes)


@pytest.mark.parametrize("length", [1, 7, 100_000])
@pytest.mark.parametrize("stream", STREAMS)
def test_it_reads_what_was_written(stream: bytes, length: int) -> None:
    """P1: whatever kinds of blocks, windows and pieces."""
    sizes = [1, 0, 4_999, len(CONTENT) - 5_000]
    found = read(stream, length, sizes)
    assert b"".join(found) == CONTENT
    assert [len(part) for part in found] == sizes


def test_isal_is_what_reads_a_sound_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """P2: zlib, which takes twice the time, is asked for damaged ones alone."""
    monkeypatch.setattr(inflate, "zlib", SimpleNamespace(error=zlib.error))
    assert read(STREAMS[2], 100, [len(CONTENT)]) == [CONTENT]
    assert inflate.crc32(b"123456789", inflate.crc32(b"")) == 0xCBF43926  # CRC-32's check value


def test_without_isal_there_is_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """C1: a local run on a platform for which isal has no wheel."""
    monkeypatch.setitem(__import__("sys").modules, "isal", None)
    inflate._isal.cache_clear()
    try:
        assert inflate._isal() is None
        assert inflate.crc32(b"123456789") == 0xCBF43926
        assert read(STREAMS[0], 100, [len(CONTENT)]) == [CONTENT]
    finally:
        inflate._isal.cache_clear()


@given(
    st.sampled_from(STREAMS),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=2),
    st.integers(-7_000, 0),
    st.sampled_from([1, 100, 100_000]),
    st.lists(st.integers(0, len(CONTENT)), max_size=3),
)
def test_damage_is_said_in_the_words_of_zlib(
    stream: bytes, changes: list[tuple[int, int]], cut_off: int, length: int, sizes: list[int]
) -> None:
    """P5: the same files are rejected, for the same reason, with ISA-L and without."""
    damaged = bytearray(stream)
    for place, value in changes:
        # The header, the first block's and the checksum.
        damaged[place - 4 if place < 40 else place % len(damaged)] = value
    data = bytes(damaged)[: len(damaged) + (cut_off if cut_off > -len(damaged) // 2 else 0)]
    expected = by_zlib(data, length, sizes)
    found = read(data, length, sizes)
    if expected != found:
        # Codes that leave values undefined, which these data do not have.
        assert expected[0] is zlib.error
        assert "set" in expected[1]


@pytest.mark.parametrize("header", [b"\x78\xbb", b"\x88\x1c", b"\x78\x00", b"\x79\x9c", b"\x78"])
def test_another_header_is_left_to_zlib(header: bytes) -> None:
    """P5: a dictionary, a larger window, a wrong check, another method, and half a header."""
    stream = header + STREAMS[3][2:]
    assert read(stream, len(header), [10]) == by_zlib(stream, len(header), [10])


@pytest.mark.parametrize("module", [isal_zlib, zlib])
def test_a_bomb_expands_no_further_than_is_asked_for(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5, pitfall 43: megabytes of zeros after the last row are not inflated."""
    expanded = 0

    class Counting:
        eof = False

        def __init__(self) -> None:
            self._stream = module.decompressobj()

        @property
        def unconsumed_tail(self) -> bytes:
            return bytes(self._stream.unconsumed_tail)

        def decompress(self, piece: bytes, size: int) -> bytes:
            nonlocal expanded
            found = bytes(self._stream.decompress(piece, size))
            expanded += len(found)
            return found

    counted = SimpleNamespace(decompressobj=Counting, error=module.error)
    monkeypatch.setattr(inflate, "_isal", lambda: counted)
    stream = inflate.Inflated(partial(cut, zlib.compress(bytes(50_000_000)), 100_000))
    assert stream.read(1_000) == bytes(1_000)
    assert expanded == 1_000
