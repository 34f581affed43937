"""tests/soak/uploads.py: what the fault run uploads."""

from collections import Counter

from tests.soak.ledger import TOLERANCE
from tests.soak.uploads import HUES, POISON_IMAGES, PREFIX, colour, make_uploads, schedule


def test_the_uploads_have_everything() -> None:
    """R2, P5, P6: junk, several versions, both after each other, awkward keys; once each."""
    uploads = make_uploads(2000, seed=1)
    assert len({upload.key for upload in uploads}) == len(uploads) == 2000 + POISON_IMAGES
    assert all(len(upload.key.encode()) <= 1024 for upload in uploads)
    assert max(len(upload.key.encode()) for upload in uploads) > 1000
    assert any(not upload.key.isascii() for upload in uploads)
    assert all(upload.key.startswith(PREFIX) for upload in uploads)
    several = [upload for upload in uploads if len(upload.contents) > 1]
    assert {upload.burst for upload in several} == {True, False}
    ends = {
        tuple(
            "deletion" if content.body is None else "junk" if content.reason else "picture"
            for content in pair
        )
        for upload in several
        for pair in zip(upload.contents, upload.contents[1:], strict=False)
    }
    things = ("picture", "junk")
    assert ends == {(one, other) for one in things for other in (*things, "deletion")}


def test_the_seed_decides() -> None:
    """R2: a run can be repeated."""
    assert make_uploads(50, seed=3) == make_uploads(50, seed=3) != make_uploads(50, seed=4)


def test_versions_have_different_colours() -> None:
    """P6: two versions of one key never have colours within the tolerance."""
    for upload in make_uploads(400, seed=1):
        for one in upload.contents:
            for other in upload.contents:
                if one is not other and one.colour and other.colour and one.colour != other.colour:
                    distance = max(
                        abs(a - b) for a, b in zip(one.colour, other.colour, strict=True)
                    )
                    assert distance > TOLERANCE
        colours = Counter(content.colour for content in upload.contents if content.colour)
        assert max(colours.values(), default=1) == 1
    assert len({colour(number) for number in range(HUES)}) == HUES


def test_each_key_is_uploaded_in_order() -> None:
    """P6: the newest version is the last one; the others' places differ from key to key."""
    uploads = make_uploads(400, seed=1)
    order = schedule(uploads, seed=1)
    places: dict[str, list[int]] = {}
    for place, (upload, index) in enumerate(order):
        places.setdefault(upload.key, []).append(place)
        assert index == len(places[upload.key]) - 1
    for upload in uploads:
        found = places[upload.key]
        assert len(found) == len(upload.contents)
        if upload.burst:
            assert found == list(range(found[0], found[0] + len(found)))
    assert any(found[-1] - found[0] > 100 for found in places.values() if len(found) > 1)
