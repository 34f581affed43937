"""worker/imaging/isobmff.py: boxes and items, whatever a file says of them."""

from __future__ import annotations

import struct

import pytest

from tests.unit.worker.imaging.heic_files import box
from tests.unit.worker.imaging.test_avif import entry
from worker.imaging.isobmff import Container


def container(*boxes: bytes) -> Container:
    return Container(memoryview(box(b"meta", bytes(4), *boxes)))


def items(*entries: bytes) -> bytes:
    return box(b"iinf", bytes(4), struct.pack(">H", len(entries)), *entries)


def test_items_are_listed_by_id() -> None:
    """P5: each has one type."""
    listed = container(items(entry(1, b"hvc1"), entry(7, b"Exif")))
    assert listed.item_types() == {1: b"hvc1", 7: b"Exif"}


def test_an_ambiguous_file_is_an_error() -> None:
    """P5: what a limit is computed from is what the decoder decodes."""
    with pytest.raises(ValueError, match="listed twice"):
        container(items(entry(1, b"av01"), entry(1, b"Exif"))).item_types()
    primary = box(b"pitm", bytes(4), b"\0\1")
    with pytest.raises(ValueError, match="more than one primary item"):
        container(primary, primary).primary_item()


@pytest.mark.parametrize(
    ("version", "body"), [(0, b"\0\x2a"), (1, b"\0\0\0\x2a")], ids=["16 bits", "32 bits"]
)
def test_the_primary_item(version: int, body: bytes) -> None:
    """P5: its id has two widths."""
    assert container(box(b"pitm", bytes([version, 0, 0, 0]), body)).primary_item() == 42
    assert container().primary_item() is None


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("version", [0, 1])
def test_properties_belong_to_items(version: int, *, is_wide: bool) -> None:
    """P5: indices start at one, with a bit for what is essential; unknown ones are passed over."""
    item, index = ("HI"[version], "BH"[is_wide])
    essential = 1 << (15 if is_wide else 7)
    associations = struct.pack(f">I{item}B3{index}", 1, 5, 3, 2 | essential, 1, 9)
    found = container(
        box(
            b"iprp",
            box(b"ipco", box(b"ispe", b"size"), box(b"irot", b"\1")),
            box(b"ipma", bytes([version, 0, 0, is_wide]), associations),
        )
    ).properties()
    bodies = [(name, bytes(data)) for name, data in found[5]]
    assert (list(found), bodies) == ([5], [(b"irot", b"\1"), (b"ispe", b"size")])


@pytest.mark.parametrize("version", [0, 1])
def test_references_between_items(version: int) -> None:
    """P5: of the wanted kind only, in their order, with repetitions."""
    item = "HI"[version]
    cells = struct.pack(f">{item}H3{item}", 4, 3, 1, 2, 1)
    other = struct.pack(f">{item}H{item}", 9, 1, 4)
    found = container(
        box(b"iref", bytes([version, 0, 0, 0]), box(b"dimg", cells), box(b"thmb", other))
    ).references(b"dimg")
    assert found == {4: [1, 2, 1]}
