import argparse
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from darkroom.commands import local
from darkroom.commands.local import Output, Picture, Result
from darkroom.errors import UsageError


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a picture in it and one below, where the command is run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "album" / "sub").mkdir(parents=True)
    for name in ("album/a.jpg", "album/sub/a.jpg", "album/.hidden.jpg"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path / "album"


def keys(*paths: Path) -> list[str]:
    return [picture.key for picture in local.collect(paths, prefix="uploads/")]


def test_a_directory_means_every_file_in_it(album: Path) -> None:
    assert keys(album) == ["uploads/a.jpg", "uploads/sub/a.jpg"]


def test_two_files_of_one_name_both_arrive(album: Path) -> None:
    """P2: one key would make the second replace the first."""
    assert keys(album / "a.jpg", album / "sub" / "a.jpg") == ["uploads/a.jpg", "uploads/2/a.jpg"]


def test_the_same_file_named_twice_is_one_picture(album: Path) -> None:
    (album / "link.jpg").symlink_to(album / "a.jpg")
    assert keys(album / "a.jpg", album, album / "sub" / ".." / "a.jpg") == [
        "uploads/a.jpg",
        "uploads/sub/a.jpg",
    ]


def test_labels_are_paths_from_here(album: Path) -> None:
    found = local.collect([album, album / "a.jpg"], prefix="uploads/")
    assert [picture.label for picture in found] == ["album/a.jpg", "album/sub/a.jpg"]


def test_names_of_any_bytes_become_keys(album: Path) -> None:
    """A file's name need be neither UTF-8 nor printable; a key and a terminal's line must."""
    (album / "sub" / os.fsdecode(b"\xff\n.jpg")).write_bytes(b"x")
    picture = local.collect([album / "sub"], prefix="uploads/")[1]
    assert picture.key == "uploads/\N{REPLACEMENT CHARACTER}\n.jpg"
    assert picture.label.isprintable()


def test_all_that_cannot_be_read_is_named_at_once(album: Path) -> None:
    """Errors are for people: each with its reason, before anything is started."""
    (album / "empty").mkdir()
    os.mkfifo(album / "pipe.jpg")
    with pytest.raises(UsageError) as caught:
        keys(album / "missing.jpg", album / "empty", album / "pipe.jpg", album / "a.jpg")
    assert str(caught.value).splitlines() == [
        "album/missing.jpg: no such file or directory",
        "album/empty: no files in this directory",
        "album/pipe.jpg: neither a file nor a directory",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_file_is_named(album: Path) -> None:
    (album / "a.jpg").chmod(stat.S_IWUSR)
    with pytest.raises(UsageError, match=r"album/a\.jpg: Permission denied"):
        keys(album)


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    local.add_arguments(parser)
    return parser.parse_args(given)


def test_nothing_to_pick_up_is_said_before_anything_starts(album: Path) -> None:
    """T2: the filters are explicit: what they do not name would wait for ever."""
    (album / "notes.txt").write_text("notes")
    with pytest.raises(UsageError, match=r"None of these.*\.jpg, \.jpeg, .* lower or in upper"):
        local.run(arguments(str(album / "notes.txt")))


def test_an_unusable_output_directory_is_said_before_anything_starts(album: Path) -> None:
    with pytest.raises(UsageError, match=r"--output album/a\.jpg: File exists"):
        local.run(arguments(str(album), "--output", str(album / "a.jpg")))


def test_the_sample_photographs_come_with_their_rights() -> None:
    """Each is named in LICENSES.md: nobody has to guess whether he may publish it."""
    rights = (local.SAMPLES / "LICENSES.md").read_text()
    samples = local.sample_photographs()
    assert len(samples) == 5
    assert all(f"| {sample.name} |" in rights for sample in samples)


def result(label: str, end: local.End, **more: object) -> Result:
    picture = Picture(Path(label), label, f"uploads/{label}", 1_500_000)
    return Result(picture, end, **more)  # type: ignore[arg-type]  # fields by name


def test_the_table_lines_up_whatever_the_script() -> None:
    """Wide letters take two columns of a terminal, accents none."""
    output = Output("k", 2_000, datetime.now(UTC))
    lines = local.table(
        [
            result("plain.jpg", "thumbnails", seconds=1.5, outputs=(output, output)),
            result("日本.jpg", "rejected", seconds=0.25, detail="corrupt: Broken."),
            result("e\u0301.jpg", "unfinished"),
        ]
    ).splitlines()
    assert lines[1] == "plain.jpg  1.5 MB  2, 4 kB  1.50 s  thumbnails"
    assert lines[2] == "日本.jpg   1.5 MB        –  0.25 s  rejected: corrupt: Broken."
    assert lines[3] == "e\u0301.jpg      1.5 MB        –       –  unfinished"


def test_the_summary_counts_each_end() -> None:
    results = [result("a", "thumbnails"), result("b", "thumbnails"), result("c", "rejected")]
    results.append(result("d", "not watched"))
    assert local.summary(results, 1.5) == (
        "2 thumbnails, 1 rejected, 1 not watched;"
        " 1.5 s from the first upload, 2.0 pictures a second."
    )
