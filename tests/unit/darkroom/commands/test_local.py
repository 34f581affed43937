"""`darkroom local`: what it refuses before anything starts."""

import sys
from pathlib import Path

import pytest

from darkroom import cli
from darkroom.commands import local
from darkroom.emulator.run import watermark_files
from darkroom.errors import UsageError


def test_an_empty_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """D5: `"$PICTURES"` without a value would stand for the whole current directory."""
    assert cli.main(["local", ""]) == 2
    assert "the name is empty: is a variable not set?" in capsys.readouterr().err


def test_a_wrong_specification_is_reported_with_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C1: as generate.py does, and before the emulator is started."""
    path = tmp_path / "mine.toml"
    path.write_text('[sources.default]\ntype = "ftp"\n')
    assert cli.main(["local", "--pipeline", str(path)]) == 2
    assert "sources.default.type" in capsys.readouterr().err


def test_files_and_output_are_checked_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """D5: a run takes half a minute; what cannot work is known before it."""
    assert cli.main(["local", str(tmp_path / "missing.jpg")]) == 2
    assert "no such file or directory" in capsys.readouterr().err
    (tmp_path / "index.html").write_text("mine")
    assert cli.main(["local", "--output", str(tmp_path)]) == 2
    assert "would be replaced" in capsys.readouterr().err


def test_the_printed_commands_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D5: the program that runs, also where a virtual environment is not activated."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "my venv" / "python"))
    assert local.running_program() == f"'{tmp_path}/my venv/python' -m darkroom"
    for folder in ("bin", "my venv"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "darkroom").touch(0o755)
    assert local.running_program() == f"'{tmp_path}/my venv/darkroom'"
    monkeypatch.setenv("PATH", str(tmp_path / "my venv"))
    assert local.running_program() == "darkroom"


def test_a_watermark_has_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 15: asked for before the emulator is started; nothing runs without it."""
    path = tmp_path / "mine.toml"
    path.write_text('[variants.default.watermark]\nkey = "watermarks/logo.png"\n')
    assert cli.main(["local", "--pipeline", str(path)]) == 2
    assert "--watermark logo.png is needed" in capsys.readouterr().err
    assert cli.main(["local", "--watermark", str(path)]) == 2
    assert "watermarks are none" in capsys.readouterr().err


def test_the_file_of_a_watermark_is_found_by_its_name(tmp_path: Path) -> None:
    """Issue 15: a single one may have any name."""
    a, b, other = (tmp_path / name for name in ("a.png", "b.png", "logo.png"))
    with pytest.raises(UsageError, match="no such file"):
        watermark_files([], [a])
    for file in (a, b, other):
        file.touch()
    keys = ["watermarks/a.png", "watermarks/brand/b.png"]
    assert watermark_files(keys[:1], [other]) == {keys[0]: other}
    assert watermark_files(keys, [b, a]) == {keys[0]: a, keys[1]: b}
    assert watermark_files([], []) == {}
    for files in ([a], [a, other], [a, b, other]):
        with pytest.raises(UsageError, match="--watermark"):
            watermark_files(keys, files)
