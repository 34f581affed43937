"""Processed objects, found by two listings: never a wrong yes, and a no only in doubt."""

from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from darkroom.aws.objects import ExistingObject
from darkroom.aws.outputs import ProcessedObjects
from worker import keys
from worker.events import SourceObject
from worker.settings import Source, Variants

PUT = datetime(2026, 11, 1, tzinfo=UTC)
SOURCE = Source(
    "scans",
    Variants(widths=(400, 1200), formats={"jpeg": 85, "webp": 80}, max_pixels=1),
    cache_control="no-cache",
    output_prefix="scans/",
)
NAMES = ("w400", "w1200", "w400.webp", "w1200.webp")


class Listing:
    """A bucket that can only be listed, three keys per page."""

    def __init__(self, objects: dict[str, datetime]) -> None:
        self.objects = objects
        self.pages = 0

    def list_objects_v2(self, *, Bucket: str, Prefix: str, StartAfter: str) -> dict[str, Any]:  # noqa: N803 -- botocore's names
        assert Bucket == "thumbnails"
        self.pages += 1
        found = sorted(key for key in self.objects if key.startswith(Prefix) and key > StartAfter)
        page = [{"Key": key, "LastModified": self.objects[key]} for key in found[:3]]
        return {"Contents": page, "IsTruncated": len(found) > 3}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 -- as in AWS
        assert Bucket == "thumbnails"
        return {"ETag": "e", "Metadata": {"outputs": "2"} if Key in self.objects else {}}


def existing(key: str) -> ExistingObject:
    return ExistingObject(SourceObject(bucket="b", key=key), PUT, key)


def contained(listing: Listing, uploads: list[str]) -> dict[str, bool]:
    processed = ProcessedObjects(cast(Any, listing), "thumbnails", SOURCE)
    return {
        key: processed.contains(existing(key), after)
        for key, after in zip_longest(uploads, uploads[1:])
    }


def done(key: str, when: datetime = PUT + timedelta(seconds=1)) -> dict[str, datetime]:
    return {keys.output_key(key, name, "scans/"): when for name in NAMES}


KEYS = st.lists(st.text("a./ ~é", min_size=1, max_size=5), unique=True).map(sorted)


@given(uploads=KEYS, data=st.data())
def test_an_unprocessed_object_is_never_skipped(uploads: list[str], data: st.DataObject) -> None:
    """D6: whatever the keys, nested or shortened, a yes is true."""
    finished = data.draw(st.sets(st.sampled_from(uploads))) if uploads else set()
    objects: dict[str, datetime] = {}
    for key in uploads:
        state = data.draw(st.sampled_from(["whole", "half", "old", "record"]))
        if key not in finished:
            state = {"whole": "half", "record": "old"}.get(state, state)
        elif state in ("half", "old"):
            state = "whole"
        if state == "record":
            objects[keys.rejection_key(key, "scans/")] = PUT + timedelta(seconds=1)
        elif state == "whole":
            objects |= done(key)
        elif state == "half":
            objects |= dict(list(done(key).items())[:-1])
        else:
            objects |= done(key, PUT)
    answers = contained(Listing(objects), uploads)
    assert {key for key, yes in answers.items() if yes} <= finished


@given(st.lists(st.text("ab.", min_size=3, max_size=3), unique=True).map(sorted))
def test_processed_objects_are_skipped(uploads: list[str]) -> None:
    """D6: of names that are not prefixes of each other, all processed ones are found."""
    objects: dict[str, datetime] = {}
    for key in uploads[::2]:
        objects |= done(key)
    answers = contained(Listing(objects), uploads)
    assert [key for key, yes in answers.items() if yes] == uploads[::2]


def test_keys_in_between_are_not_read() -> None:
    """D6: two objects among many take a few pages, not a listing of everything."""
    objects: dict[str, datetime] = {}
    for number in range(1000):
        objects |= done(f"{number:04}")
    listing = Listing(objects)
    assert all(contained(listing, ["0000", "0999"]).values())
    assert listing.pages < 10


def test_a_doubtful_object_does_not_affect_others() -> None:
    """D6: outputs of `a` sort after those of many keys like `a 1`: only `a` is sent again."""
    uploads = ["a", *(f"a {number:03}" for number in range(50)), "b"]
    objects: dict[str, datetime] = {}
    for key in uploads:
        objects |= done(key)
    assert [key for key, yes in contained(Listing(objects), uploads).items() if not yes] == ["a"]


def test_another_workload_says_itself_how_many_outputs_belong_together() -> None:
    """D6, T1: by the outputs' metadata, whatever their names; half of them are not processed."""
    later = PUT + timedelta(seconds=1)
    objects = {
        keys.output_key(key, name, "scans/"): written
        for key, name, written in (
            ("a.txt", "stats.json", later),
            ("a.txt", "words.csv", later),
            ("b.txt", "stats.json", later),
            ("c.txt", "stats.json", later),
            ("c.txt", "words.csv", PUT),
            ("d.txt", "stats.json", later),
            ("d.txt", "words.csv", later),
            ("d.txt/e", "stats.json", later),
        )
    }
    found = contained(Listing(objects), ["a.txt", "b.txt", "c.txt", "d.txt"])
    assert [key for key, yes in found.items() if yes] == ["a.txt", "d.txt"]


def test_thumbnails_of_former_variants_are_not_those_of_todays() -> None:
    """D6: after a width was added, backfill makes it: the old outputs' own number is no proof."""
    written = dict(list(done("a.jpg").items())[:2])
    assert contained(Listing(written), ["a.jpg"]) == {"a.jpg": False}
