"""worker/keys.py: one key for each output, whatever the source's key is."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.keys import (
    LONGEST_KEY,
    LONGEST_NAME,
    output_key,
    output_key_prefix,
    record_key,
    rejection_key,
)

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=1024).filter(
    lambda key: len(key.encode()) <= LONGEST_KEY
)
NAMES = st.sampled_from(["w1200", "w400", "w1200.webp", "w400.avif"])


def test_keys_name_source_and_output() -> None:
    """P2: prefix, source key, variant."""
    assert output_key("uploads/a b.jpg", "w400.webp") == "thumbnails/uploads/a b.jpg/w400.webp"
    assert rejection_key("uploads/a b.jpg") == "rejected/uploads/a b.jpg.json"


def test_a_hash_spreads_the_outputs_over_256_prefixes() -> None:
    """Pitfall 84: keys that only end differently begin differently, for S3 to split."""
    uploads = [f"in/2026/11/27/{number:06}.jpg" for number in range(10_000)]
    folders: dict[str, int] = {}
    for upload in uploads:
        made = output_key(upload, "w400", "imports/", hash_prefix=True)
        folder = made.removeprefix("thumbnails/imports/").removesuffix(f"/{upload}/w400")
        assert folder == sha256(upload.encode()).hexdigest()[:2]
        folders[folder] = folders.get(folder, 0) + 1
        assert record_key(upload, "imports/", hash_prefix=True).startswith(made[:-4])
    assert len(folders) == 256
    assert max(folders.values()) < 2 * len(uploads) / len(folders)


@given(KEYS, NAMES, st.booleans())
def test_every_key_fits(key: str, name: str, hash_prefix: bool) -> None:
    """P2: S3 allows sources of 1,024 bytes, and outputs no more."""
    output = output_key(key, name, hash_prefix=hash_prefix)
    for made, end in [(output, f"/{name}"), (rejection_key(key), ".json")]:
        assert len(made.encode()) <= LONGEST_KEY
        assert made.endswith(end)


@given(KEYS, KEYS, NAMES, NAMES, st.booleans())
def test_two_sources_or_variants_never_share_a_key(
    key: str, other: str, name: str, other_name: str, hash_prefix: bool
) -> None:
    """P2: basenames that collide across prefixes overwrite each other."""
    one = output_key(key, name, hash_prefix=hash_prefix)
    assert (one == output_key(other, other_name, hash_prefix=hash_prefix)) == (
        (key, name) == (other, other_name)
    )
    assert (rejection_key(key) == rejection_key(other)) == (key == other)


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀"])
def test_a_key_that_is_too_long_is_cut_and_marked(letter: str) -> None:
    """P2: cut between characters, and kept apart by the source's hash."""
    key = letter * (LONGEST_KEY // len(letter.encode()))
    made = output_key(key, "w400")
    longest = LONGEST_KEY - LONGEST_NAME + len("w400")
    assert longest - len("😀".encode()) < len(made.encode()) <= longest
    assert made.endswith(f"{letter}~{sha256(key.encode()).hexdigest()}/w400")
    assert output_key(key[:-1] + "b", "w400") != made


def test_an_upload_cannot_collide_with_a_shortened_key() -> None:
    """P2: a source named like the cut form of a long one does not overwrite its outputs."""
    long_key = "a" * LONGEST_KEY
    cut = output_key(long_key, "w400").removeprefix("thumbnails/").removesuffix("/w400")
    assert output_key(cut, "w400") != output_key(long_key, "w400")


@given(KEYS, st.text("abc.漢", min_size=1, max_size=LONGEST_NAME // 3), st.booleans())
def test_all_outputs_of_a_source_share_a_prefix(key: str, name: str, hash_prefix: bool) -> None:
    """P6: where its key is cut does not depend on the output, or some would not be found."""
    prefix = output_key_prefix(key, hash_prefix=hash_prefix)
    assert output_key(key, name, hash_prefix=hash_prefix) == prefix + name


@pytest.mark.parametrize("name", ["", "a/b", "a" * (LONGEST_NAME + 1), "漢" * 22])
def test_a_name_that_would_not_be_found_is_refused(name: str) -> None:
    """P2: one level, and short enough for the longest source."""
    with pytest.raises(ValueError, match="name"):
        output_key("uploads/a.jpg", name)
