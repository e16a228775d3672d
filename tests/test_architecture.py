"""The rules that keep the shape: the worker never imports the app, and no import is a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("app", "worker")
    for path in (ROOT / package).rglob("*.py")
}


def imports(module: str) -> set[str]:
    """Return the modules of ours that `module` imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            base = node.module or ""
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in FILES else base for a in node.names}
    return found & set(FILES)


def test_there_is_something_to_look_at() -> None:
    assert {"app.main", "worker.tasks", "worker.operations"} <= set(FILES)
    assert "worker.states" in imports("app.errors")


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("worker")])
def test_the_worker_never_imports_the_app(module: str) -> None:
    assert not {name for name in imports(module) if name.split(".")[0] == "app"}


def test_no_import_is_a_circle() -> None:
    TopologicalSorter({module: imports(module) for module in FILES}).prepare()  # raises CycleError


def test_the_engine_is_built_in_layers() -> None:
    """Pixels know no operation, operations no file, imaging no task."""
    layers = ("worker.pixels", "worker.operations", "worker.imaging")
    for module in FILES:
        for level, layer in enumerate(layers):
            if module.startswith(layer):
                above = {name for name in imports(module) if name.startswith(layers[level + 1 :])}
                assert not above, module
                outside = {name for name in imports(module) if not name.startswith(layers)}
                assert outside <= {"worker.errors", "worker.fields", "worker.words"}, module


def test_arq_is_known_in_three_places_only() -> None:
    users = {
        module
        for module, path in FILES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "arq"
    }
    assert users == {"worker.queue", "worker.main", "worker.delivery"}


def test_the_http_face_knows_nothing_of_pixels_and_the_engine_nothing_of_http() -> None:
    for module, path in FILES.items():
        text = path.read_text()
        if module.startswith("app"):
            assert "from PIL" not in text, module
        else:
            assert "starlette" not in text, module
