"""Fuzz targets: each takes any bytes, and raises only if the worker breaks a requirement."""

from __future__ import annotations

import io
import json
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
from PIL import Image

from tests.fuzz import layouts
from tests.fuzz.cost import RecordedMemory, bounded
from tests.fuzz.repetition import attacks, file_of, repeated, with_head
from tests.unit.worker.imaging import corpus
from tests.workload import outputs_of
from worker import events, records
from worker.events import SourceObject
from worker.imaging import thumbnails
from worker.keys import LONGEST_KEY, output_key, record_key, rejection_key
from worker.results import Output, Properties, Rejection
from worker.settings import Variants
from worker.storage import Stored
from worker.versions import order

VARIANTS = Variants(widths=(32, 8), formats={"jpeg": 80, "webp": 70}, max_pixels=250_000)
ANIMATED = replace(VARIANTS, animated=True)
SCHEMA = Path(__file__).parents[2] / "docs/record.schema.json"
RECORDS = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
FIELDS = {
    name: jsonschema.Draft202012Validator(schema)
    for name, schema in RECORDS.schema["properties"].items()
}
LONGEST_SEED = 20_000
"""Bytes: longer seeds are slow and mostly changed where it does not matter."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EVENTS = Path(corpus.__file__).parents[1] / "events"


def picture(data: bytes) -> None:
    """Check for every variant, or a rejection with its sentence; never another exception."""
    _picture(data, VARIANTS)


def animation(data: bytes) -> None:
    """Check for the same, where the WebPs show all frames of an animation."""
    _picture(data, ANIMATED)


def _picture(data: bytes, variants: Variants) -> None:
    memory = RecordedMemory()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about what is odd in a file
        try:
            with bounded(memory):
                *made, properties = thumbnails.make(
                    io.BytesIO(data), [variants], memory, keep_metadata=("taken", "copyright")
                )
        except Rejection as rejection:
            assert rejection.detail  # noqa: PT017 -- this is no test, but what one runs
            return
    assert isinstance(properties, Properties)
    for name in ("taken", "copyright"):
        assert FIELDS[name].is_valid(properties.record[name])
    outputs = outputs_of(made)
    wanted = product(VARIANTS.widths, ("", ".webp"))
    # Animations come last.
    assert sorted(output.name for output in outputs) == sorted(f"w{n}{end}" for n, end in wanted)
    for output in outputs:
        image = Image.open(io.BytesIO(output.body), formats=("JPEG", "PNG", "WEBP"))
        assert Image.MIME[image.format or ""] == output.content_type
        size = {"width": image.width, "height": image.height}
        assert dict(output.metadata).items() >= size.items()
        if output.metadata.keys() != size.keys():
            assert variants.animated
            assert output.name.endswith(".webp")
            # What libwebp says is that nothing has changed for so long.
            assert 1 <= getattr(image, "n_frames", 1) <= int(output.metadata.get("frames", 1))
        entry = {"name": output.name, "key": "k", "type": output.content_type, "bytes": 1}
        assert FIELDS["outputs"].is_valid([{**entry, "etag": "e", **output.metadata}])
        assert not {"exif", "comment", "icc_profile", "xmp"} & set(image.info)


def repetition(data: bytes) -> None:
    """Check a file in which a part is repeated; see `repetition.repeated`."""
    file = repeated(data)
    picture(file)
    if file.startswith((b"GIF8", b"RIFF")):
        animation(file)


def event(data: bytes) -> None:
    """Check for objects, skipped events and problems, or the parser's own error."""
    body = data.decode(errors="replace")
    try:
        found = events.parse(body)
    except events.UnreadableMessageError:
        return
    assert found.objects or found.skipped or found.problems or _is_test_event(json.loads(body))
    for source in found.objects:
        assert source.bucket
        assert source.key
        order(source.sequencer)
        for key in (
            output_key(source.key, "w1200.webp"),
            record_key(source.key),
            rejection_key(source.key),
        ):
            assert len(key.encode()) <= LONGEST_KEY


def record(data: bytes) -> None:
    """Check that a record which its schema allows is read, and that all else is a ValueError."""
    try:
        content = json.loads(data)
        records.encode(content)  # half a surrogate pair is in no key of S3
        is_allowed = RECORDS.is_valid(content)
    except (ValueError, RecursionError):
        is_allowed = False
    try:
        found = records.parse(data)
    except ValueError:
        assert not is_allowed
        return
    if is_allowed:
        assert found.compare(found.source) != "newer"
        assert all(map(found.stored, found.objects))


def _is_test_event(message: Any) -> bool:
    if "TopicArn" in message and "Message" in message:
        message = json.loads(message["Message"])
    return bool(message["Event"] == "s3:TestEvent")


def resealed(data: bytes) -> bytes:
    """Return a PNG with correct checksums, so that decoders read past them."""
    if not data.startswith(_PNG_SIGNATURE):
        return data
    sealed, position = bytearray(data), len(_PNG_SIGNATURE)
    while position + 12 <= len(sealed):
        end = position + 8 + int.from_bytes(sealed[position : position + 4])
        sealed[end : end + 4] = zlib.crc32(sealed[position + 4 : end]).to_bytes(4)[
            : max(0, len(sealed) - end)
        ]
        position = end + 4
    return bytes(sealed)


def resealed_part(data: bytes) -> bytes:
    """Return the input of `repetition` with the checksums of its PNG corrected."""
    return data[: len(data) - len(file_of(data))] + resealed(file_of(data))


def _repetitions() -> Iterator[bytes]:
    yield from attacks()
    for number, data in enumerate(_pictures()):
        yield with_head(len(data) * (number % 7) // 7, 8 << number % 4, data)


def _pictures() -> Iterator[bytes]:
    for specimen in corpus.SPECIMENS:
        data = specimen.make()
        if len(data) <= LONGEST_SEED:
            yield data


def _messages() -> Iterator[bytes]:
    for path in sorted(_EVENTS.glob("*.json")):
        yield path.read_bytes()


def _records() -> Iterator[bytes]:
    source = SourceObject("uploads", "a.jpg", "v1", "e1", "0A", 9, "2026-01-01T00:00:00Z")
    stored = Stored("thumbnails/a.jpg/w8", '"t"', {})
    output = Output("w8", b"x", "image/jpeg", {"width": 8, "height": 8})
    properties = Properties({"type": "image/png", "width": 9}, {"color": None})
    time = "2026-01-02T00:00:00Z"
    made = {stored.key: (output, stored)}
    yield records.done(source, "s", made, properties, time=time).body()
    why = Rejection("empty", "The object has no bytes.")
    yield records.rejected("rejected", source, "s", why).body()
    yield records.rejected("deleted", source, "s", why, stored=stored, time=time).body()


@dataclass(frozen=True)
class Target:
    """A function to fuzz.

    Attributes:
        run: The function.
        seeds: Returns the inputs to start from.
        repaired: Applied to each changed input.
        words: Byte strings to insert that no random change would produce.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    repaired: Callable[[bytes], bytes]
    words: Sequence[bytes]


_PICTURE_WORDS = [
    *(bytes([0xFF, marker]) for marker in (0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE1, 0xE2)),
    *(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"eXIf"),
    *(b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ftypavif", b"ispe", b"av1C"),
    *(b"II*\x00", b"MM\x00*", b"Exif\x00\x00", b"MPF\x00", b"Adobe", b"ICC_PROFILE\x00"),
    *(b"GIF89a", b"\x21\xf9\x04", b"\x21\xfe", b"BM"),
]

TARGETS = {
    "picture": Target(
        run=picture,
        seeds=_pictures,
        repaired=resealed,
        words=_PICTURE_WORDS,
    ),
    "repetition": Target(
        run=repetition,
        seeds=_repetitions,
        repaired=resealed_part,
        words=_PICTURE_WORDS,
    ),
    **{
        name: Target(run=picture, seeds=seeds, repaired=resealed, words=_PICTURE_WORDS)
        for name, seeds in (
            *(("tiff", layouts.tiffs), ("png", layouts.pngs)),
            *(("bmp", layouts.bmps), ("gif", layouts.gifs), ("webp", layouts.webps)),
        )
    },
    "animation": Target(
        run=animation,
        seeds=layouts.animations,
        repaired=bytes,
        words=[
            *(
                b"!\xf9\x04\x04\x04\x00\x00\x00",
                b"!\xf9\x04\x09\x00\x00\x01\x00",
                b"\x00;",
                b"!\xfe",
            ),
            *(b"!\xff\x0bNETSCAPE2.0\x03\x01", b",\x00\x00\x00\x00\x10\x00\x10\x00\x00", b"GIF89a"),
            *(
                b"ANMF",
                b"ANIM",
                b"VP8L",
                b"VP8 ",
                b"VP8X",
                b"ALPH",
                b"ICCP",
                b"EXIF",
                b"\xff\xff\xff",
            ),
        ],
    ),
    "heic": Target(
        run=picture,
        seeds=lambda: (
            specimen.make() for specimen in corpus.SPECIMENS if specimen.name.startswith("hei")
        ),
        repaired=bytes,
        words=[
            *(b"ftypheic", b"mif1", b"pitm", b"iinf", b"infe", b"iloc", b"idat", b"iref", b"dimg"),
            *(b"auxl", b"thmb", b"cdsc", b"iprp", b"ipco", b"ipma", b"ispe", b"irot", b"imir"),
            *(b"clap", b"pixi", b"colr", b"nclx", b"prof", b"hvcC", b"hvc1", b"grid", b"iovl"),
            *(b"iden", b"Exif", b"grpl", b"altr", b"prem", b"\x42\x01", b"\x26\x01"),
        ],
    ),
    "event": Target(
        run=event,
        seeds=_messages,
        repaired=bytes,
        words=[
            *(b'"Records":[', b'"TopicArn":"', b'"Message":"', b'"Type":"Notification"'),
            *(b'"source":"aws.s3"', b'"detail-type":"Object Deleted"', b'"eventName":"'),
            *(
                b"ObjectRemoved:",
                b"ObjectTagging:",
                b"LifecycleExpiration:",
                b"\\ud800",
                b"%FF",
                b"NaN",
                b"1e999",
            ),
            *(b'"sequencer":"', b'"size":', b'"versionId":', b'"deletion-type":"', b"[[[[", b"{}"),
        ],
    ),
    "record": Target(
        run=record,
        seeds=_records,
        repaired=bytes,
        words=[
            *(
                b'"schema": 1',
                b'"state": "done"',
                b'"outputs": [',
                b'"rejection": {',
                b'"source": {',
            ),
            *(b'"etag":', b'"sequencer":', b'"key":', b"null", b"1", b"{}", b"[]", b"[[[[", b","),
            *(b"\\ud800", b"\xff", b"NaN", b"1e999", b'"', b"2"),
        ],
    ),
}
