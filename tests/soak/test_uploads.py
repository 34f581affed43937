"""tests/soak/uploads.py: the crowd that the fault run uploads."""

from collections import Counter

from tests.soak.ledger import TOLERANCE
from tests.soak.uploads import DOOMED, HUES, PREFIX, colour, plan, schedule


def test_the_crowd_has_everything() -> None:
    """R2, P5, P6: junk, several versions, both after each other, awkward keys; once each."""
    crowd = plan(2000, seed=1)
    assert len({upload.key for upload in crowd}) == len(crowd) == 2000 + DOOMED
    assert all(len(upload.key.encode()) <= 1024 for upload in crowd)
    assert max(len(upload.key.encode()) for upload in crowd) > 1000
    assert any(not upload.key.isascii() for upload in crowd)
    assert all(upload.key.startswith(PREFIX) for upload in crowd)
    several = [upload for upload in crowd if len(upload.contents) > 1]
    assert {upload.burst for upload in several} == {True, False}
    ends = {
        tuple(
            "removal" if content.body is None else "junk" if content.reason else "picture"
            for content in pair
        )
        for upload in several
        for pair in zip(upload.contents, upload.contents[1:], strict=False)
    }
    things = ("picture", "junk")
    assert ends == {(one, other) for one in things for other in (*things, "removal")}


def test_the_seed_decides() -> None:
    """R2: a run can be repeated."""
    assert plan(50, seed=3) == plan(50, seed=3) != plan(50, seed=4)


def test_versions_can_be_told_apart() -> None:
    """P6: two versions of one key never have colours that accounting takes for the same."""
    for upload in plan(400, seed=1):
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
    crowd = plan(400, seed=1)
    order = schedule(crowd, seed=1)
    places: dict[str, list[int]] = {}
    for place, (upload, index) in enumerate(order):
        places.setdefault(upload.key, []).append(place)
        assert index == len(places[upload.key]) - 1
    for upload in crowd:
        found = places[upload.key]
        assert len(found) == len(upload.contents)
        if upload.burst:
            assert found == list(range(found[0], found[0] + len(found)))
    assert any(found[-1] - found[0] > 100 for found in places.values() if len(found) > 1)
