"""Rooms, sizes and the direction of imports, as CONTRIBUTING.md states them."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = {
    path.relative_to(ROOT): ast.parse(path.read_text("utf-8"))
    for folder in ("templates", "worker", "darkroom", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
ROOMS = {path.name for path in (ROOT / "darkroom").iterdir() if (path / "__init__.py").exists()}
MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 100

# What `darkroom COMMAND --help` may import: it is quick, and there with or without extras.
LIGHT = {*sys.stdlib_module_names, "click", "darkroom", "templates", "worker"}


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that a tree imports, with what is imported from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "no relative imports, so that a search finds each"
            yield from (f"{node.module}.{one.name}" for one in node.names)


def room(module: str) -> str:
    """Return a module's room: a folder of darkroom/, or the package."""
    package, *rest = module.split(".")
    return rest[0] if package == "darkroom" and rest and rest[0] in ROOMS else package


def module_level(tree: ast.Module) -> ast.Module:
    """Return what runs when a module is imported: no function, nothing for type checkers."""
    body = [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return ast.Module(body, [])


def floors() -> list[set[str]]:
    """Return the rooms of each floor that CONTRIBUTING.md gives, from the top."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    found = re.search(r"^Imports go one way: (.+?)\.(?: |$)", text, re.MULTILINE)
    assert found
    return [set(re.findall(r"`(\w+)`", floor)) for floor in found[1].split("→")]


def test_no_module_is_long() -> None:
    """C1: a module is one subject, which a reader takes in at one sitting."""
    lines = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in MODULES}
    assert {path: count for path, count in lines.items() if count > MAX_MODULE_LINES} == {}


def test_no_function_is_long() -> None:
    """C1: with its decorators and its docstring."""
    long = {
        f"{path}: {node.name}": count
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (count := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_every_room_has_a_floor() -> None:
    """C1: each room once, in the order of CONTRIBUTING.md, and a row in its table."""
    listed = [name for floor in floors() for name in floor]
    assert sorted(listed) == sorted([*ROOMS, "templates", "worker"])
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert [name for name in ROOMS if f"| `darkroom/{name}/` |" not in text] == []


def test_imports_go_one_way() -> None:
    """C1: only to rooms of lower floors, so that there is no cycle."""
    floor_of = {name: number for number, floor in enumerate(floors()) for name in floor}
    upward = {
        f"{path} imports {module}"
        for path, tree in MODULES.items()
        for module in imports(tree)
        if (start := room(".".join(path.with_suffix("").parts))) in floor_of
        and (end := room(module)) != start
        and floor_of.get(end, len(floor_of)) <= floor_of[start]
    }
    assert upward == set()


def test_the_product_imports_no_program_for_developers() -> None:
    """C1: benchmarks and tests are not installed."""
    found = {
        f"{path} imports {module}"
        for path, tree in MODULES.items()
        if path.parts[0] != "benchmarks"
        for module in imports(tree)
        if room(module) in {"benchmarks", "tests"}
    }
    assert found == set()


COMMANDS = [path for path in MODULES if path.parent == Path("darkroom", "commands")]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_command_imports_no_other_command(path: Path) -> None:
    """C1: what two commands share is in another room."""
    assert [one for one in imports(MODULES[path]) if one.startswith("darkroom.commands.")] == []


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_command_has_help_whatever_is_installed(path: Path) -> None:
    """D9: at module level a command imports neither botocore nor what an extra installs."""
    waiting, seen = [path], {path}
    for importing in waiting:
        for module in imports(module_level(MODULES[importing])):
            assert module.partition(".")[0] in LIGHT, f"{importing} imports {module}"
            for name in (Path(*module.split(".")), Path(*module.split(".")[:-1])):
                file = Path(f"{name}.py")
                if file in MODULES and file not in seen:
                    seen.add(file)
                    waiting.append(file)
