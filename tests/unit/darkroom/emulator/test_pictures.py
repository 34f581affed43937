import os
import stat
from pathlib import Path

import pytest

from darkroom.emulator import pictures
from darkroom.errors import UsageError
from templates.specification import Specification
from templates.specification_sources import Source

SOURCES = {"default": Source(suffixes=(".jpg", ".png"))}


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a picture in it and one below, where the command is run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "album" / "sub").mkdir(parents=True)
    for name in ("album/a.jpg", "album/sub/a.jpg", "album/.hidden.jpg"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path / "album"


def keys(*paths: Path) -> list[str]:
    return [upload.key for upload in pictures.select(paths, SOURCES).uploads]


def test_a_directory_means_every_file_in_it(album: Path) -> None:
    assert keys(album) == ["uploads/a.jpg", "uploads/sub/a.jpg"]


def test_two_files_of_one_name_both_arrive(album: Path) -> None:
    """P2: with one key, the second would replace the first."""
    (album / "2").mkdir()
    (album / "2" / "a.jpg").write_bytes(b"x")
    assert keys(album, album / "sub" / ".." / "a.jpg", album / "sub", album / "2") == [
        "uploads/2/a.jpg",
        "uploads/a.jpg",
        "uploads/sub/a.jpg",
    ]
    assert keys(album / "a.jpg", album / "sub" / "a.jpg", album) == [
        "uploads/a.jpg",
        "uploads/2/a.jpg",
        "uploads/2/2/a.jpg",
    ]


def test_a_link_is_a_picture_of_its_own(album: Path) -> None:
    """D5: the table shows the link and its target, each by its own name."""
    (album / "link.jpg").symlink_to(album / "a.jpg")
    assert keys(album / "a.jpg", album) == [
        "uploads/a.jpg",
        "uploads/link.jpg",
        "uploads/sub/a.jpg",
    ]


def test_labels_are_short_paths(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D5: from here; of what is elsewhere, from the folder above the argument."""
    found = pictures.collect([album, album / "a.jpg"])
    assert [file.label for file in found] == ["album/a.jpg", "album/sub/a.jpg"]
    monkeypatch.chdir("/")
    monkeypatch.chdir(album / "sub")
    labels = [file.label for file in pictures.collect([album, album / "a.jpg"])]
    assert labels == ["album/a.jpg", "a.jpg"]


def test_names_of_any_bytes_become_keys(album: Path) -> None:
    """D5: neither UTF-8 nor printable is a must; IAM's wildcards do not match a line break here."""
    (album / "sub" / os.fsdecode(b"\xff\n.jpg")).write_bytes(b"x")
    upload = pictures.select([album / "sub"], SOURCES).uploads[1]
    assert upload.key == "uploads/\N{REPLACEMENT CHARACTER}\N{SYMBOL FOR NEWLINE}.jpg"
    assert upload.file.label.isprintable()


def test_everything_that_cannot_be_read_is_reported_at_once(album: Path) -> None:
    """D5: each with its reason, before anything is started."""
    (album / "empty").mkdir()
    os.mkfifo(album / "pipe.jpg")
    (album / "broken.jpg").symlink_to("nowhere")
    with pytest.raises(UsageError) as caught:
        pictures.collect(
            [
                Path("album/missing.jpg"),
                Path("album/empty"),
                Path("album/pipe.jpg"),
                Path("album/broken.jpg"),
                album,
            ]
        )
    assert str(caught.value).splitlines() == [
        "album/missing.jpg: no such file or directory",
        "album/empty: no files in this directory",
        "album/pipe.jpg: neither a file nor a directory",
        "album/broken.jpg: a link to a file that does not exist",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_file_is_named(album: Path) -> None:
    (album / "a.jpg").chmod(stat.S_IWUSR)
    with pytest.raises(UsageError, match=r"album/a\.jpg: Permission denied"):
        keys(album)


def test_each_picture_goes_to_every_source_with_its_suffix(album: Path) -> None:
    """T5: under the source's prefixes in turn; S3's filters match a suffix in two spellings."""
    (album / "b.PNG").write_bytes(b"x")
    (album / "c.Png").write_bytes(b"x")
    sources = {
        "photos": Source(prefixes=("in/", "more/"), suffixes=(".jpg", ".png")),
        "scans": Source(type="eventbridge", suffixes=(".png",)),
    }
    found = pictures.select([album], sources)
    assert [(upload.source, upload.key) for upload in found.uploads] == [
        ("photos", "in/a.jpg"),
        ("photos", "more/b.PNG"),
        ("scans", "uploads/b.PNG"),
        ("photos", "in/sub/a.jpg"),
    ]
    assert found.ignored == {album: {"suffix": 1, "hidden": 1}}


def test_other_files_of_a_directory_are_counted_and_named_ones_listed(album: Path) -> None:
    """D5: a folder with hundreds of other files is no flood of lines."""
    for number in range(5):
        (album / f"{number}.txt").write_text("notes")
    found = pictures.select([album, album / "3.txt"], SOURCES)
    assert found.ignored == {album: {"suffix": 4, "hidden": 1}}
    assert [file.label for file in found.unmatched] == ["album/3.txt"]


def test_what_a_directory_holds_beside_pictures_is_counted(album: Path) -> None:
    """D5: once, in one line for the directory, also where it is named twice."""
    (album / "notes.txt").write_text("notes")
    (album / ".git").mkdir()
    (album / ".git" / "config").write_text("")
    (album / "broken.jpg").symlink_to("nowhere")
    (album / "again").symlink_to(album)
    os.mkfifo(album / "pipe.jpg")
    found = pictures.select([album, album], SOURCES)
    assert len(found.uploads) == 2
    assert pictures.not_uploaded(found.ignored[album], found.suffixes) == (
        "2 hidden files, 1 broken link, 1 linked directory, 1 special file,"
        " 1 file without one of the suffixes .jpg, .png"
    )


def test_nothing_to_upload_is_reported_before_anything_starts(album: Path) -> None:
    """T2: the filters are explicit: other files would never be picked up."""
    (album / "notes.txt").write_text("notes")
    with pytest.raises(UsageError, match=r"None of these.*\.jpg, \.png, in lower or upper"):
        keys(album / "notes.txt")


def test_the_sample_photographs_come_with_their_rights() -> None:
    """D5: each is named in LICENSES.md, with what one may do with it."""
    rights = (pictures.SAMPLES / "LICENSES.md").read_text()
    samples = pictures.sample_photographs()
    assert len(samples) == 5
    assert all(f"| {sample.name} |" in rights for sample in samples)
    uploads = pictures.select(samples, Specification().sources).uploads
    assert uploads[0].file.label == "samples/astronaut.png"
