import ast
import importlib.util
from pathlib import Path, PurePosixPath

import PIL
import pytest

from darkroom.bundle.slimming import _is_kept

ROOT = Path(__file__).parents[4]


def imported_modules() -> set[str]:
    """Modules of Pillow that the worker imports by name."""
    return {
        alias.name
        for path in (ROOT / "worker").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "PIL"
        for alias in node.names
        if importlib.util.find_spec(f"PIL.{alias.name}")
    }


@pytest.mark.parametrize("module", sorted(imported_modules()))
def test_the_package_keeps_what_the_worker_imports(module: str) -> None:
    """D1: each module of Pillow, and the compiled one that it imports first."""
    assert _is_kept(PurePosixPath(f"PIL/{module}.py"))
    tree = ast.parse((Path(PIL.__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    compiled = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level == 1 and not node.module
        for alias in node.names
        if alias.name.startswith("_imaging")
    }
    for name in compiled:
        assert _is_kept(PurePosixPath(f"PIL/{name}.cpython-313-x86_64-linux-gnu.so"))
