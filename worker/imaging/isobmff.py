"""The boxes and items of a file in ISO's base media file format, as AVIF and HEIC are.

ISO/IEC 14496-12 has the boxes, ISO/IEC 23008-12 the items of pictures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

_MOST_STEPS: Final = 100_000
"""Boxes, extents, items and what is in them: most files have a few hundred."""


def number(data: memoryview, position: int, size: int) -> int:
    """Return the unsigned number of so many bytes at a position.

    Raises:
        ValueError: The data end before.
    """
    if position + size > len(data):
        raise ValueError("a box that ends early")
    return int.from_bytes(data[position : position + size])


class Container:
    """A file whose parts are read, within a number of steps."""

    def __init__(self, file: memoryview) -> None:
        """Read nothing yet.

        Args:
            file: The whole file.
        """
        self.file = file
        self._steps = 0
        self._joined = 0

    def step(self) -> None:
        """Count one part.

        Raises:
            ValueError: They are too many.
        """
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise ValueError(f"more than {_MOST_STEPS} parts")

    def children(self, data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
        """Yield name and body of each box, up to what is not a box."""
        position = 0
        while position + 8 <= len(data):
            self.step()
            size, start = number(data, position, 4), position + 8
            if size == 1:
                size, start = int.from_bytes(data[start : start + 8]), start + 8
            end = position + size if size else len(data)
            if not start <= end <= len(data):
                return  # other data may follow a file, which decoders do not read
            yield bytes(data[position + 4 : position + 8]), data[start:end]
            position = end

    def boxes(self, data: memoryview, path: bytes) -> Iterator[memoryview]:
        """Yield the bodies of the boxes at a path: names of four letters, outermost first."""
        for name, body in self.children(data):
            if name != path[:4]:
                continue
            if name == b"meta":  # a version and flags before the boxes in it
                body = body[4:]
            if path[4:]:
                yield from self.boxes(body, path[4:])
            else:
                yield body

    def stated_sizes(self) -> Iterator[tuple[int, int]]:
        """Yield width and height of each image, which follow four bytes of version and flags."""
        for size in self.boxes(self.file, b"metaiprpipcoispe"):
            yield number(size, 4, 4), number(size, 8, 4)

    def item_types(self) -> Mapping[int, bytes]:
        """Return each item's type, such as b"hvc1", by its id.

        Raises:
            ValueError: An item has two: which of them counts is the decoder's choice.
        """
        types: dict[int, bytes] = {}
        for entries in self.boxes(self.file, b"metaiinf"):
            head = 6 if number(entries, 0, 1) == 0 else 8
            for entry in self.boxes(entries[head:], b"infe"):
                id_bytes = 4 if number(entry, 0, 1) == 3 else 2
                identity = number(entry, 4, id_bytes)
                if identity in types:
                    raise ValueError("an item that is listed twice")
                types[identity] = bytes(entry[6 + id_bytes : 10 + id_bytes])
        return types

    def items(self, wanted: Collection[int]) -> Iterator[tuple[int, memoryview]]:
        """Yield id and data of each of these items.

        Raises:
            ValueError: They hold more than the file.
        """
        for location in self.boxes(self.file, b"metailoc"):
            inside = next(self.boxes(self.file, b"metaidat"), self.file[:0])
            for identity, is_inside, extents in self._extents(location):
                if identity not in wanted:
                    continue
                source = inside if is_inside else self.file
                pieces = [source[start : start + length] for start, length in extents]
                if len(pieces) == 1:
                    yield identity, pieces[0]
                else:
                    self._joined += sum(map(len, pieces))
                    if self._joined > len(self.file):
                        raise ValueError("items that hold more than the file")
                    yield identity, memoryview(b"".join(pieces))

    def _extents(self, location: memoryview) -> Iterator[tuple[int, bool, list[tuple[int, int]]]]:
        """Yield each item's id, whether it is in the "idat" box, and its extents: start, length."""
        position = 0

        def take(size: int) -> int:
            nonlocal position
            position += size
            return number(location, position - size, size)

        version = take(1)
        take(3)
        sizes = take(2)
        start_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_bytes = sizes & 15 if version else 0
        id_bytes = 4 if version == 2 else 2
        for _ in range(take(id_bytes)):
            self.step()
            identity = take(id_bytes)
            method = take(2) & 15 if version else 0
            if method > 1:
                raise ValueError("an item within an item")
            take(2)  # which file: this one
            base = take(base_bytes)
            extents = []
            for _ in range(take(2)):
                self.step()
                take(index_bytes)
                start, length = base + take(start_bytes), take(length_bytes)
                extents.append((start, length))
            yield identity, method == 1, extents

    def primary_item(self) -> int | None:
        """Return the id of the item to show; None if the file names none.

        Raises:
            ValueError: It names several.
        """
        named = [
            number(body, 4, 2 if number(body, 0, 1) == 0 else 4)
            for body in self.boxes(self.file, b"metapitm")
        ]
        if len(named) > 1:
            raise ValueError("more than one primary item")
        return named[0] if named else None

    def properties(self) -> Mapping[int, Sequence[tuple[bytes, memoryview]]]:
        """Return name and body of each item's properties, by the item's id."""
        properties = [
            one for box in self.boxes(self.file, b"metaiprpipco") for one in self.children(box)
        ]
        found: dict[int, list[tuple[bytes, memoryview]]] = {}
        for body in self.boxes(self.file, b"metaiprpipma"):
            id_bytes = 2 if number(body, 0, 1) == 0 else 4
            index_bytes = 2 if number(body, 3, 1) & 1 else 1
            position = 8
            for _ in range(number(body, 4, 4)):
                self.step()
                of = found.setdefault(number(body, position, id_bytes), [])
                position += id_bytes + 1
                for _ in range(number(body, position - 1, 1)):
                    self.step()
                    # The highest bit says whether a reader must know the property.
                    index = number(body, position, index_bytes) & (1 << 8 * index_bytes - 1) - 1
                    position += index_bytes
                    if 0 < index <= len(properties):
                        of.append(properties[index - 1])
        return found

    def references(self, kind: bytes) -> Mapping[int, Sequence[int]]:
        """Return the ids of the items that each item refers to in this way, by its own."""
        found: dict[int, list[int]] = {}
        for body in self.boxes(self.file, b"metairef"):
            id_bytes = 2 if number(body, 0, 1) == 0 else 4
            for name, reference in self.children(body[4:]):
                if name != kind:
                    continue
                to = found.setdefault(number(reference, 0, id_bytes), [])
                for place in range(number(reference, id_bytes, 2)):
                    self.step()
                    to.append(number(reference, id_bytes * (place + 1) + 2, id_bytes))
        return found
