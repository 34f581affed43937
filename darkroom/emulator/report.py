"""Reports a local run: a table and a sentence for people, data for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkroom.console.tables import table
from darkroom.console.text import plural, printable
from darkroom.emulator.gallery import readable_size
from darkroom.emulator.pictures import Selection, not_uploaded
from darkroom.emulator.processing import Result

MAX_KEYS = 3
"""Keys of records that are shown of each way."""

UNMATCHED = "no source of the specification matches its suffix"


def results_table(results: Sequence[Result], selection: Selection) -> str:
    """Return a line for each upload: name, bytes in, files out, processing time, outcome."""
    several = len({result.upload.source for result in results}) > 1
    rows = [["picture", *(["source"] if several else []), "in", "out", "processing", "outcome"]]
    for result in results:
        size = readable_size(sum(output.size for output in result.outputs))
        rows.append(
            [
                result.upload.file.label,
                *([result.upload.source] if several else []),
                readable_size(result.upload.file.size),
                f"{plural(len(result.outputs), 'file')}, {size}" if result.outputs else "–",
                "–" if result.seconds is None else f"{result.seconds:.2f} s",
                result.outcome + (f": {result.detail}" if result.detail else ""),
            ]
        )
    for file in selection.unmatched:
        blank = ["–"] if several else []
        size = readable_size(file.size)
        rows.append([file.label, *blank, size, "–", "–", f"unmatched: {UNMATCHED}"])
    first = 2 if several else 1
    lines = [table(rows, right=(first, first + 1, first + 2))]
    for directory, counts in selection.ignored.items():
        what = not_uploaded(counts, selection.suffixes)
        lines.append(f"Not uploaded from {printable(str(directory))}: {what}.")
    return "\n".join(lines)


def summary(results: Sequence[Result], selection: Selection, elapsed: float) -> list[str]:
    """Return sentences: how many uploads had which outcome, and where the time went."""
    counts = Counter[str](result.outcome for result in results)
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common() if count)
    times = [result.seconds for result in results if result.seconds is not None]
    files = {result.upload.file.path for result in results}
    uploads = plural(len(results), "upload")
    if len(results) > len(files):  # several sources match a suffix
        uploads += f" of {plural(len(files), 'file')}"
    unmatched = plural(len(selection.unmatched), "file")
    return [
        f"{uploads}: {outcomes}."
        + (f" Not uploaded: {unmatched} that no source matches." if selection.unmatched else ""),
        f"Processing took {sum(times):.1f} s. From the first upload to the last outcome it was"
        f" {elapsed:.1f} s, with the start of the function and the emulator's polling.",
    ]


def events(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each way that records were announced, with the first keys."""
    return [
        f"Events by {way}: {plural(len(keys), 'record')}"
        + (f", {', '.join(map(printable, keys[:MAX_KEYS]))}" if keys else "")
        + (", …" if len(keys) > MAX_KEYS else "")
        for way, keys in found.items()
    ]


def data(
    results: Sequence[Result], selection: Selection, elapsed: float, page: Path
) -> dict[str, Any]:
    """Return the results for programs; sizes in bytes, times in seconds."""
    return {
        "gallery": str(page.resolve()),
        "elapsed_seconds": round(elapsed, 3),
        "outcomes": dict(Counter(result.outcome for result in results)),
        "pictures": [
            {
                "file": str(result.upload.file.path),
                "source": result.upload.source,
                "key": result.upload.key,
                "size": result.upload.file.size,
                "outcome": result.outcome,
                "detail": result.detail,
                "processing_seconds": result.seconds,
                "outputs": [{"key": one.key, "size": one.size} for one in result.outputs],
            }
            for result in results
        ],
        "unmatched": [str(file.path) for file in selection.unmatched],
        "ignored": {
            str(directory): dict(counts) for directory, counts in selection.ignored.items()
        },
    }
