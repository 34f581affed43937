from pathlib import Path
from typing import Any

from darkroom.emulator import report
from darkroom.emulator.pictures import File, Selection, Upload
from darkroom.emulator.processing import Outcome, Output, Result

NOTHING_ELSE = Selection((), (), {})


def result(label: str, outcome: Outcome, *, source: str = "default", **more: Any) -> Result:
    file = File(Path(label), label, label, 1_500_000)
    return Result(Upload(file, source, f"uploads/{label}"), outcome, **more)


def test_events_are_counted_and_the_first_ones_shown() -> None:
    """D5, P7: by each way that the specification asks for."""
    found = {"topic": ["a/index.json", "b/index.json"], "eventbridge": []}
    assert report.events(found) == [
        "Events by topic: 2 records, a/index.json, b/index.json",
        "Events by eventbridge: 0 records",
    ]
    (many,) = report.events({"topic": [f"{number}/index.json" for number in range(9)]})
    assert many.endswith("2/index.json, …")


def test_the_table_lines_up_whatever_the_script() -> None:
    """D5: wide letters take two columns of a terminal, accents none."""
    output = Output("k", 2_000)
    lines = report.results_table(
        [
            result("plain.jpg", "succeeded", seconds=1.5, outputs=(output, output)),
            result("日本.jpg", "rejected", seconds=0.25, detail="corrupt: Broken."),
            result("e\u0301.jpg", "succeeded", seconds=0.1, outputs=(output,)),
            result("f.jpg", "unfinished"),
        ],
        NOTHING_ELSE,
    ).splitlines()
    assert lines[1] == "plain.jpg  1.5 MB  2 files, 4 kB      1.50 s  succeeded"
    assert lines[2] == "日本.jpg   1.5 MB              –      0.25 s  rejected: corrupt: Broken."
    assert lines[3] == "e\u0301.jpg      1.5 MB   1 file, 2 kB      0.10 s  succeeded"
    assert lines[4] == "f.jpg      1.5 MB              –           –  unfinished"


def test_several_sources_are_told_apart() -> None:
    """T5: one picture goes to each of them."""
    results = [result("a.jpg", "succeeded"), result("a.jpg", "failed", source="scans")]
    lines = report.results_table(results, NOTHING_ELSE).splitlines()
    assert "source" in lines[0]
    assert "scans" in lines[2]
    counts, _ = report.summary(results, NOTHING_ELSE, 1.0)
    assert counts == "2 uploads of 1 file: 1 succeeded, 1 failed."


def test_files_that_are_not_uploaded_have_a_line_for_their_directory() -> None:
    """D5: a named file has a line of its own; the others of a directory share one."""
    named = File(Path("a.txt"), "a.txt", "a.txt", 12)
    selection = Selection(
        (),
        (named,),
        {Path("album"): {"suffix": 382, "hidden": 1}, Path("one"): {"broken_link": 1}},
        (".jpg", ".png"),
    )
    lines = report.results_table([result("b.jpg", "succeeded")], selection).splitlines()
    assert lines[2].startswith("a.txt")
    assert "unmatched: no source" in lines[2]
    assert lines[3:] == [
        "Not uploaded from album: 1 hidden file, 382 files without one of the suffixes .jpg, .png.",
        "Not uploaded from one: 1 broken link.",
    ]


def test_the_summary_counts_uploads_and_separates_work_from_waiting() -> None:
    """D5: a newcomer does not read the emulator's polling as the worker's speed."""
    results = [
        result("a", "succeeded", seconds=0.5),
        result("b", "succeeded", seconds=0.75),
        result("c", "rejected", seconds=0.25),
    ]
    named = File(Path("a.txt"), "a.txt", "a.txt", 12)
    counts, times = report.summary(results, Selection((), (named,), {}), 9.0)
    assert (
        counts == "3 uploads: 2 succeeded, 1 rejected. Not uploaded: 1 file that no source matches."
    )
    assert times.startswith("Processing took 1.5 s. From the first upload to the last outcome")
    assert " 9.0 s, with the start of the function and the emulator's polling." in times


def test_programs_get_the_same_as_data() -> None:
    found = report.data(
        [result("a", "succeeded", seconds=0.5, outputs=(Output("thumbnails/a/w1", 7),))],
        Selection((), (), {Path("album"): {"suffix": 3}}),
        9.0,
        Path("/page/index.html"),
    )
    assert found["outcomes"] == {"succeeded": 1}
    assert found["pictures"][0]["outputs"] == [{"key": "thumbnails/a/w1", "size": 7}]
    assert found["pictures"][0]["processing_seconds"] == 0.5
    assert found["ignored"] == {"album": {"suffix": 3}}
    assert found["gallery"] == "/page/index.html"
