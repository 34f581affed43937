"""`python -m benchmarks.coverage`: the last run's branch coverage, one line per folder."""

import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from coverage import Coverage


def main() -> int:
    """Print a Markdown table; return 0."""
    coverage = Coverage()
    coverage.load()
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "coverage.json"
        coverage.json_report(outfile=str(report))
        files = json.loads(report.read_text("utf-8"))["files"]
    folders: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for name, entry in files.items():
        found = entry["summary"]
        keys = ("covered_lines", "num_statements", "covered_branches", "num_branches")
        for folder in (str(Path(name).parent), "together"):
            for index, key in enumerate(keys):
                folders[folder][index] += found[key]
    print("| folder | statements | lines covered | branches covered |")
    print("|---|--:|--:|--:|")
    for folder, (lines, statements, taken, branches) in sorted(
        folders.items(), key=lambda entry: (entry[0] == "together", entry[0])
    ):
        share = f"{taken / branches:.0%}" if branches else ""
        print(f"| {folder} | {statements:,} | {lines / (statements or 1):.0%} | {share} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
