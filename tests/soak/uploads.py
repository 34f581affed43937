"""The uploads of the fault run: small images and junk, plain and awkward keys, some versions."""

import colorsys
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image

from tests.e2e import pictures
from tests.e2e.pictures import Colour
from tests.e2e.test_outcomes import JUNK

PREFIX = "uploads/"
SIZE = (360, 240)
HUES = 24  # colours that differ enough after any encoder

JUNK_SHARE = 0.08
SEVERAL_VERSIONS_SHARE = 0.15
BURST_SHARE = 0.5  # of those: at once, as a script does; the others are spread over the run
MOST_VERSIONS = 6
DELETION_SHARE = 0.2
"""Of the keys with several versions: those whose last version is a deletion.

Nothing is uploaded there again: a deletion that finds an object stores its thumbnails too, at an
earlier place in the order, and the emulator gives the same bytes the same entity tag even under
SSE-KMS, where S3's is not a digest of the bytes. A condition on the tag would then hold for an
object that was replaced.
"""
AWKWARD_SHARE = 0.15
POISON_IMAGES = 3  # images that kill every worker that reads them


@dataclass(frozen=True)
class Content:
    """What to upload, and what has to become of it.

    Attributes:
        body: The bytes; None to delete.
        colour: The colour of its thumbnails.
        reason: The reason of its rejection.
    """

    body: bytes | None
    colour: Colour | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Upload:
    """One key with its contents.

    Attributes:
        key: The key.
        contents: Oldest first.
        burst: Upload them one right after the other.
        poison: It kills every worker that reads it.
    """

    key: str
    contents: tuple[Content, ...]
    burst: bool = False
    poison: bool = False


def colour(number: int) -> Colour:
    """Return one of HUES colours that differ clearly."""
    red, green, blue = colorsys.hsv_to_rgb(number % HUES / HUES, 0.8, 0.85)
    return round(red * 255), round(green * 255), round(blue * 255)


@cache
def picture(kind: str, number: int) -> Content:
    """Return an image of one colour, in one of KINDS."""
    image = Image.new("RGBA" if kind == "transparent PNG" else "RGB", SIZE, colour(number))
    if kind == "transparent PNG":
        image.putpixel((0, 0), (0, 0, 0, 0))
    options = {"progressive": True} if kind == "progressive JPEG" else {}
    return Content(pictures.encoded(image, kind.rpartition(" ")[2], **options), colour(number))


KINDS = ("JPEG", "JPEG", "JPEG", "progressive JPEG", "PNG", "transparent PNG", "WEBP", "TIFF")


def make_uploads(count: int, seed: int) -> list[Upload]:
    """Return `count` uploads and POISON_IMAGES more; the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 -- chooses test data
    made = [_upload(number, rng) for number in range(count)]
    for number in range(POISON_IMAGES):
        poison = Upload(
            f"{PREFIX}kills its worker/{number}.jpg", (picture("JPEG", number),), poison=True
        )
        made.insert(rng.randrange(len(made) + 1), poison)
    return made


def _upload(number: int, rng: random.Random) -> Upload:
    versions = rng.randint(2, MOST_VERSIONS) if rng.random() < SEVERAL_VERSIONS_SHARE else 1
    first = rng.randrange(HUES)  # neighbouring versions are far apart: 7 of 24 hues
    contents = [_content(first + 7 * version, rng) for version in range(versions)]
    if versions > 1 and rng.random() < DELETION_SHARE:
        contents[-1] = Content(None, reason="deleted")
    return Upload(_key(number, rng), tuple(contents), burst=rng.random() < BURST_SHARE)


def _content(number: int, rng: random.Random) -> Content:
    if rng.random() < JUNK_SHARE:
        body, reason = rng.choice(list(JUNK.values()))
        return Content(body, reason=reason)
    return picture(rng.choice(KINDS), number)


def _key(number: int, rng: random.Random) -> str:
    if rng.random() >= AWKWARD_SHARE:
        return f"{PREFIX}{number:05}.jpg"
    awkward = rng.choice(pictures.CASES).key.removeprefix(PREFIX)
    folder = f"{PREFIX}{number:05}/"
    return folder + awkward[-(1024 - len(folder)) :] if awkward.isascii() else folder + awkward


def schedule(uploads: Sequence[Upload], seed: int) -> list[tuple[Upload, int]]:
    """Return (upload, index of its version) in the order of the run: each key's own is kept.

    Later versions come anywhere after the earlier ones, except in a burst.
    """
    rng = random.Random(seed)  # noqa: S311 -- chooses test data
    tickets = [
        upload for upload in uploads for _ in range(1 if upload.burst else len(upload.contents))
    ]
    rng.shuffle(tickets)
    done: dict[str, int] = {}
    order: list[tuple[Upload, int]] = []
    for upload in tickets:
        for _ in range(len(upload.contents) if upload.burst else 1):
            index = done.get(upload.key, 0)
            order.append((upload, index))
            done[upload.key] = index + 1
    return order
