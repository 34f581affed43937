"""A zip whose bytes depend on nothing but its files."""

import io
import struct
import zlib
from collections.abc import Mapping

import deflate

COMPRESSION = 12  # libdeflate's best: two seconds, once
ZIP_DATE = (1 << 5) | 1  # 1980-01-01 in MS-DOS bits, the earliest that a zip can hold
ZIP_MODE = 0o100644  # a regular file that everyone may read: the function's user is not the owner


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a zip with sorted entries, one date and one mode.

    The standard library's zipfile compresses with whichever zlib the host has: zlib, zlib-ng and
    Apple's give different bytes. Stored, the package would be three times as large. libdeflate,
    pinned, gives the same bytes everywhere (its author: github.com/ebiggers/libdeflate/issues/400)
    but zipfile takes no other compressor. Layout: section 4.3 of PKWARE's APPNOTE.
    """
    body, directory = io.BytesIO(), io.BytesIO()
    for name, data in sorted(files.items()):
        path = name.encode()
        packed = deflate.deflate_compress(data, COMPRESSION)
        # version needed 2.0, UTF-8 names, deflate
        common = struct.pack(
            "<5H3L2H",
            *(20, 0x800, 8, 0, ZIP_DATE),
            *(zlib.crc32(data), len(packed), len(data), len(path), 0),
        )
        # made by 2.0 on Unix; no comment, disk 0, no internal attributes; mode; offset
        directory.write(b"PK\1\2" + struct.pack("<H", 3 << 8 | 20) + common)
        directory.write(struct.pack("<3H2L", 0, 0, 0, ZIP_MODE << 16, body.tell()) + path)
        body.write(b"PK\3\4" + common + path + packed)
    start, size = body.tell(), directory.tell()
    end = struct.pack("<4H2LH", 0, 0, len(files), len(files), size, start, 0)
    return body.getvalue() + directory.getvalue() + b"PK\5\6" + end
