import ast
import importlib.util
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import botocore
import botocore.session
import PIL
import pytest
import urllib3
from botocore import xform_name

from darkroom.bundle.slimming import KEPT_OPERATIONS, REPLACED, _is_kept, _with_operations
from worker.session import SERVICES

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
    if module.startswith("_"):
        assert _is_kept(PurePosixPath(f"PIL/{module}.cpython-313-x86_64-linux-gnu.so"))
        return
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


def test_the_package_keeps_the_operations_that_the_worker_calls() -> None:
    """D1: each method of a client that the worker names, and each service it has a client of."""
    assert set(KEPT_OPERATIONS) == SERVICES
    methods = {}
    for service in SERVICES:
        for name in botocore.session.Session().get_service_model(service).operation_names:
            methods[xform_name(name)] = name
    used = {
        methods[name]
        for path in (ROOT / "worker").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in [getattr(node, "attr", getattr(node, "value", None))]
        if isinstance(node, ast.Attribute | ast.Constant) and name in methods
    }
    kept = set().union(*KEPT_OPERATIONS.values())
    assert kept - used == {"HeadBucket"}
    assert used <= kept


@pytest.mark.parametrize("service", sorted(KEPT_OPERATIONS))
def test_an_operation_keeps_all_shapes(service: str) -> None:
    """D1: what it takes, what it returns and its errors are as in botocore."""
    model: Any = botocore.session.Session().get_service_model(service)
    whole = model._service_description
    kept = _with_operations(whole, KEPT_OPERATIONS[service])
    assert set(kept["operations"]) == KEPT_OPERATIONS[service]
    assert len(kept["shapes"]) < len(whole["shapes"]) / 2
    smaller = type(model)(kept, service)

    def described(shape: Any) -> Any:
        members = getattr(shape, "members", {})
        return (
            shape.name,
            shape.type_name,
            shape.serialization,
            shape.metadata,
            {name: described(member) for name, member in members.items()},
            [described(getattr(shape, one)) for one in ("member", "value") if hasattr(shape, one)],
        )

    for name in KEPT_OPERATIONS[service]:
        ours, theirs = smaller.operation_model(name), model.operation_model(name)
        for part in ("input_shape", "output_shape"):
            if getattr(theirs, part):
                assert described(getattr(ours, part)) == described(getattr(theirs, part))
        assert list(map(described, ours.error_shapes)) == list(map(described, theirs.error_shapes))


def imported_from(package: ModuleType, module: str) -> set[str]:
    """Names that a package's modules import from one of its own, whose full name this is."""
    folder = Path(str(package.__file__)).parent
    found = set()
    for path in folder.rglob("*.py"):
        inside = PurePosixPath(path.relative_to(folder.parent))
        name = ".".join(inside.with_suffix("").parts)
        if not _is_kept(inside) or name.startswith(module):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                parents = name.split(".")[: -node.level] if node.level else []
                if ".".join([*parents, *filter(None, [node.module])]) == module:
                    found |= {alias.name for alias in node.names}
    return found


def test_what_is_replaced_defines_what_is_imported_from_it() -> None:
    """D1: a later botocore or urllib3 may import more from these modules."""
    expected = {
        "botocore.docs": set(),
        "botocore.docs.docstring": {
            "ClientMethodDocstring",
            "PaginatorDocstring",
            "WaiterDocstring",
        },
        "urllib3.http2": {"probe"},  # a module beside it, which is kept
    }
    names = [name.removesuffix(".py").removesuffix("/__init__") for name in REPLACED]
    assert {name.replace("/", ".") for name in names} == set(expected)
    for name, found in expected.items():
        package = urllib3 if name.startswith("urllib3") else botocore
        assert imported_from(package, name) == found
    assert _is_kept(PurePosixPath("urllib3/http2/probe.py"))
    assert _is_kept(PurePosixPath("botocore/docs/utils.py"))
    defined = ast.walk(ast.parse(REPLACED["botocore/docs/docstring.py"]))
    assert expected["botocore.docs.docstring"] == {
        node.id
        for node in defined
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
