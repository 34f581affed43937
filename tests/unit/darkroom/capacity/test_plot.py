"""`darkroom capacity --plot`, with and without matplotlib."""

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from darkroom import cli


def test_the_plot_is_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.png"
    assert cli.main(["capacity", "--rate", "30/s", "--plot", str(path)]) == 0
    with Image.open(path) as image:
        assert image.width > 600
        assert len(image.convert("RGB").getcolors(10**6) or []) > 10
    before = path.read_bytes()
    cli.main(["capacity", "--rate", "30/s", "--plot", str(path)])
    assert path.read_bytes() == before
    assert capsys.readouterr().err == ""


def test_without_matplotlib_the_plot_alone_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name=name)
        return real(name, *arguments, **options)

    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    assert cli.main(["capacity"]) == 0
    capsys.readouterr()
    assert cli.main(["capacity", "--plot", str(tmp_path / "plan.png")]) == 1
    assert "-m pip install -e '.[capacity]'" in capsys.readouterr().err
