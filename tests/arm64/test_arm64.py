"""tests/arm64: what it reports, and where it does not run."""

from pathlib import Path

import pytest

from tests.arm64 import __main__ as program
from tests.arm64 import debian

SAME = {("a.png", "cover"): [["w96", "00"], [{}, {}]], ("b.png", "cover"): ["corrupt: it ends"]}


def test_outputs_that_differ_in_one_byte_are_named() -> None:
    """D1: the zip that is deployed by default does what the one that is tested does."""
    other = {**SAME, ("a.png", "cover"): [["w96", "01"], [{}, {}]]}
    lines = program.differences(SAME, other)
    assert len(lines) == 1
    assert lines[0].startswith("a.png, cover: arm64 [['w96', '00']")


def test_a_file_that_only_one_of_them_processed_is_named() -> None:
    """D1: neither stops early without being noticed."""
    shorter = {key: found for key, found in SAME.items() if key[0] == "a.png"}
    assert [line.partition(":")[0] for line in program.differences(SAME, shorter)] == [
        "b.png, cover"
    ]
    assert program.differences(SAME, SAME) == []


def test_the_summary_counts_outputs_and_rejections() -> None:
    """D1: what was compared, for whoever reads that nothing differs."""
    assert program.summary(SAME, 0) == "2 runs, 1 outputs, 1 rejections: 0 different"


def test_it_is_skipped_with_its_reason_where_debian_is_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """D1: a skipped run says so, and where it is required it fails."""
    monkeypatch.setattr(program, "FOLDER", tmp_path)
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "none")
    assert program.main([]) == 0
    assert capsys.readouterr().out.startswith("skipped: it needs apt")
    assert program.main(["--required"]) == 1
    assert capsys.readouterr().out.startswith("failed: ")
