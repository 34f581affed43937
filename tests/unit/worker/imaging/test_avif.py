"""worker/imaging/avif.py: the size of the frames themselves, whatever the container says."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import time
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tests.unit.worker.imaging.heic_files import box
from worker.imaging import avif

SIZE = (301, 203)
AREA = 301 * 203


def saved(mode: str = "RGB", *, frames: int = 1, **options: object) -> bytes:
    images = [Image.effect_noise(SIZE, 50 + n).convert(mode).rotate(n) for n in range(frames)]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "AVIF", save_all=frames > 1, append_images=images[1:], speed=10, **options
    )
    return buffer.getvalue()


def entry(identity: int, kind: bytes = b"av01") -> bytes:
    return box(b"infe", b"\2\0\0\0", struct.pack(">HH", identity, 0), kind, b"\0")


def within(*samples: bytes, extents: int = 1, kind: bytes = b"av01") -> bytes:
    """Return a container with these items in its "idat", each in this many extents."""
    numbers = range(1, len(samples) + 1)
    starts = accumulate(map(len, samples[:-1]), initial=0)
    places = b"".join(
        struct.pack(">HHHH", number, 1, 0, extents)
        + b"".join(struct.pack(">II", start, len(sample)) for _ in range(extents))
        for number, start, sample in zip(numbers, starts, samples, strict=False)
    )
    entries = b"".join(entry(number, kind) for number in numbers)
    return box(
        b"meta",
        bytes(4),
        box(b"iinf", bytes(4), struct.pack(">H", len(samples)), entries),
        box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", len(samples)), places),
        box(b"idat", *samples),
    )


def unit(kind: int, bits: str) -> bytes:
    """Return an OBU with its size, of bits as text: spaces are for people."""
    bits = bits.replace(" ", "")
    body = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
    return bytes([kind << 3 | 2, len(body)]) + body


def sequence(
    width: int,
    height: int,
    *,
    timing: str = "0",
    has_model: bool = False,
    bits: int = 16,
    profile: int = 0,
    order_hints: bool = False,
    colour: str = "000000",
) -> bytes:
    """Return a sequence header in full, as the specification's 5.5 lists its fields."""
    sizes = f"{bits - 1:04b} {bits - 1:04b} {width - 1:0{bits}b} {height - 1:0{bits}b}"
    # No still picture, one operating point, no frame ids; all that follows the sizes.
    point = "000000000000 00000" + "0" * has_model
    tools = "000 0000 " + ("1 11 1 1 101" if order_hints else "0 1 1")
    head = f"{profile:03b} 0 0 {timing} 0 00000 {point} {sizes} 0 {tools} 000"
    return unit(1, f"{head} {colour}")


def still(colour: str) -> bytes:
    """Return the sequence header of a still picture, reduced as encoders write it."""
    return unit(1, f"000 1 1 00000 0111 0111 11111111 11111111 111 111 {colour}")


def primary(identity: int) -> bytes:
    return box(b"pitm", bytes(4), struct.pack(">H", identity))


def in_meta(data: bytes, *boxes: bytes) -> bytes:
    """Return a container of `within` with more boxes."""
    return box(b"meta", data[8:], *boxes)


FRAMES = {
    # show_existing_frame, frame_type, show_frame, …, frame_size_override_flag.
    "key": ("0 00 1 0 0", False),
    "key with its own size": ("0 00 1 0 0 1", True),
    "key for screens": ("0 00 1 0 1 1 0", False),
    "hidden key with its own size": ("0 00 0 1 1 0 0 1", True),
    "inter with its own size": ("0 01 1 1 0 0 1", True),
    "switch": ("0 11 1 0 0", True),
    "shown again": ("1 111 11111", False),
}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("frames", [1, 3])
def test_what_encoders_write(mode: str, frames: int) -> None:
    """P5: stills and animations, with and without alpha, have what they state."""
    assert avif.pixels_at_once(saved(mode, frames=frames)) == AREA


@pytest.mark.parametrize(("frame", "has_own_size"), FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize(
    "timing",
    [
        "0",
        "1" + "1" * 64 + "0 0",
        "1" + "1" * 64 + "1 00101 0",  # equal intervals, with their length
    ],
)
def test_a_frame_with_a_size_of_its_own(frame: str, timing: str, *, has_own_size: bool) -> None:
    """P5: such a frame may be larger than the sequence's greatest: its number of bits counts."""
    data = within(sequence(640, 480, timing=timing, bits=12) + unit(6, f"{frame} 00000000"))
    assert avif.pixels_at_once(data) == (4096 * 4096 if has_own_size else 640 * 480)


def test_times_of_frames_are_read_over() -> None:
    """P5: a decoder model puts fields of stated lengths before the flag that matters."""
    timing = "1" + "1" * 64 + "0 1 00111 " + "1" * 32 + " 00001 00100"
    header = sequence(640, 480, timing=timing, has_model=True, bits=12)
    for flag, expected in (("0", 640 * 480), ("1", 4096 * 4096)):
        frame = unit(3, f"0 00 1 11111 0 0 {flag} 0000")
        assert avif.pixels_at_once(within(header + frame)) == expected


def test_cells_of_a_grid_count_together() -> None:
    """P5: small cells in great numbers; half, as the other half may be the alpha channel's."""
    assert avif.pixels_at_once(within(*[sequence(1000, 1000)] * 8)) == 4_000_000


def test_the_largest_of_several_headers_counts() -> None:
    """P5: a small one in front hides nothing, nor does an extension or a size left out."""
    small, large = sequence(10, 10), sequence(5000, 5000)
    assert avif.pixels_at_once(within(small + large)) == 25_000_000
    extended = bytes([large[0] | 4, 0, *large[1:]])
    assert avif.pixels_at_once(within(small + extended)) == 25_000_000
    endless = bytes([large[0] & ~2, *large[2:]])
    assert avif.pixels_at_once(within(small + endless)) == 25_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        within(),
        within(b""),
        within(unit(6, "0")),
        within(sequence(9, 9), kind=b"Exif"),
        within(sequence(9, 9)[:5]),
        within(sequence(9, 9)).replace(b"iloc", b"iloq"),
        within(sequence(9, 9)).replace(b"\1\0\0\0\x44", b"\1\0\0\0\x88"),
        box(b"meta", bytes(4), b"\0\0\0\1iinf" + b"\xff" * 8),
        b"\0\0\0\7free" + within(sequence(9, 9)),
    ],
)
def test_an_invalid_file_is_an_error(data: bytes) -> None:
    """P5: ValueError, which becomes a rejection."""
    with pytest.raises(ValueError, match=r"."):
        avif.pixels_at_once(data)


@pytest.mark.parametrize(
    "data",
    [
        within(b"\x12\0" * 5_000_000),
        within(sequence(9, 9) * 99, extents=65_535),
        box(b"free") * 5_000_000,
        within(*[sequence(9, 9)] * 60_000),
    ],
    ids=["units", "extents", "boxes", "items"],
)
def test_files_that_ask_for_much(data: bytes) -> None:
    """P5: the number of steps is limited; these files ask for about ten times as many."""
    began = time.process_time()
    with pytest.raises(ValueError, match=r"more than 100000 parts|more than the file"):
        avif.pixels_at_once(data)
    assert time.process_time() - began < 10


WHOLE = saved("RGBA", frames=2)


@given(st.data())
@example(None)
def test_damage_is_a_value_error(data: st.DataObject | None) -> None:
    """P5: whatever a byte is changed to, or wherever the file ends."""
    whole = bytearray(WHOLE)
    if data is not None:
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, 1500))] = data.draw(st.integers(0, 255))
        del whole[data.draw(st.integers(0, len(whole))) :]
    with contextlib.suppress(ValueError):
        assert avif.pixels_at_once(bytes(whole)) > 0


NAMED = f" 1 {12:08b} {16:08b} {9:08b}"
"""That code points follow: primaries, transfer function and matrix."""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (still(f"0 0 {NAMED}"), (12, 16)),
        (still(f"1 1 {NAMED}"), (12, 16)),
        (still("0 0 0"), None),
        (sequence(9, 9, colour=f"0 0 {NAMED}"), (12, 16)),
        (sequence(9, 9, order_hints=True, colour=f"1 0 {NAMED}"), (12, 16)),
        (sequence(9, 9, profile=1, colour=f"1 {NAMED}"), (12, 16)),
        (sequence(9, 9, profile=2, colour=f"0 0 {NAMED}"), (12, 16)),
        (sequence(9, 9, profile=2, colour=f"1 1 0 {NAMED}"), (12, 16)),
        (sequence(9, 9, profile=2, colour="1 1 1 0"), None),
    ],
)
def test_code_points_of_the_frames(header: bytes, expected: tuple[int, int] | None) -> None:
    """P1: AV1, 5.5.2, in each profile, with and without what may be in front."""
    assert avif.code_points(in_meta(within(header), primary(1))) == expected


def test_code_points_are_those_of_the_picture_to_show() -> None:
    """P1: of a grid, those of its first cell."""
    other = still(f"0 0 1 {1:08b} {13:08b} {6:08b}")
    items = within(other, still(f"0 0 {NAMED}"), other)
    assert avif.code_points(in_meta(items, primary(2))) == (12, 16)
    cells = box(b"iref", bytes(4), box(b"dimg", struct.pack(">4H", 7, 2, 2, 3)))
    assert avif.code_points(in_meta(items, primary(7), cells)) == (12, 16)
    assert avif.code_points(in_meta(items, primary(9))) is None


@pytest.mark.parametrize("frames", [1, 3])
def test_code_points_that_pillow_writes(frames: int) -> None:
    """P1: those of sRGB."""
    assert avif.code_points(saved(frames=frames)) == (1, 13)


@given(st.binary(max_size=60), st.integers(0, 1_500))
def test_damaged_frames_have_no_code_points(damage: bytes, at: int) -> None:
    """P5: the decoder says what is wrong."""
    whole = WHOLE[:at] + damage + WHOLE[at + len(damage) :]
    avif.code_points(whole)
    avif.code_points(WHOLE[:at] + damage)


RGB = f" 1 {1:08b} {13:08b} {0:08b}"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (sequence(9, 9, colour="0 0 0 0 00 0 0"), 1.5),
        (sequence(9, 9, colour="0 0 0 0 00 0 1"), 3),
        (sequence(9, 9, colour="1 0 0 0 00 0 0"), 3),
        (sequence(9, 9, colour="1 1 0 0 1"), 4),
        (sequence(9, 9, colour="0 1 0 0 0"), 1),
        (sequence(9, 9, profile=1, colour="0 0 0 0 0"), 3),
        (sequence(9, 9, profile=1, colour="1 0 0 0 1"), 12),
        (sequence(9, 9, profile=1, colour=f"0 {RGB} 0 0"), 3),
        (sequence(9, 9, profile=2, colour="0 0 0 0 0 0"), 2),
        (sequence(9, 9, profile=2, colour="1 1 0 0 0 1 1 00 0 0"), 3),
        (sequence(9, 9, profile=2, colour="1 1 0 0 0 1 0 0 1"), 8),
        (sequence(9, 9, profile=2, colour="1 1 0 0 0 0 0 0"), 6),
        (still("0 0 0 0 00 0 0"), 1.5),
    ],
)
def test_memory_follows_from_the_frames(header: bytes, expected: float) -> None:
    """P5: AV1, 5.5.2: samples per pixel, of one or two bytes, and twice with film grain."""
    side = math.isqrt(avif.pixels_at_once(within(header)))
    size = box(b"ispe", bytes(4), struct.pack(">II", side, side))
    data = in_meta(within(header), box(b"iprp", box(b"ipco", size)))
    assert avif.plane_bytes(data) == expected


def test_of_several_frames_the_one_that_takes_most_counts() -> None:
    """P5: cells of a grid are besides copied, and what cannot be read takes the most."""
    small, large = (sequence(9, 9, colour=f"{deep} 0 0 0 00 0 0") for deep in (0, 1))
    assert avif.plane_bytes(within(small, large, small)) >= 3
    assert avif.plane_bytes(within(sequence(9, 9)[:-3])) == 12
    assert avif.plane_bytes(b"") == 12


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_memory_of_what_encoders_write(mode: str, subsampling: str) -> None:
    """P5: eight bits, without film grain."""
    samples = 1 if mode == "L" else {"4:2:0": 1.5, "4:4:4": 3}[subsampling]
    assert avif.plane_bytes(saved(mode, subsampling=subsampling)) in {samples, 1.5, 3}
