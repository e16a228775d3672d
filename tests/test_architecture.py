"""The rules that keep the shape: which room may import which, how deep and how wide the packages are."""

import ast
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "worker")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}
FOLDERS = sorted({path.parent for path in FILES.values()})

MAY_IMPORT = {
    "app.http": {
        "worker.imaging", "worker.runner", "worker.settings", "worker.storage", "worker.tasks", "worker.telemetry",
        "worker.validation",
    },
    "app.auth": {"app.http", "app.keys", "worker.settings", "worker.tasks", "worker.telemetry"},
    "app.tasks": {
        "app.http", "app.keys", "worker.errors", "worker.imaging", "worker.operations", "worker.runner",
        "worker.settings", "worker.storage", "worker.tasks", "worker.telemetry", "worker.validation", "worker.webhooks",
    },
    "app.openapi": {
        "app.api_settings", "app.auth", "app.http", "app.tasks", "worker.errors", "worker.imaging", "worker.operations",
        "worker.outbound", "worker.storage", "worker.tasks", "worker.webhooks",
    },
    "app.state": {
        "app.api_settings", "app.auth", "app.http", "app.keys", "app.tasks", "worker.outbound", "worker.runner",
        "worker.storage", "worker.tasks", "worker.webhooks",
    },
    "app.uploads": {
        "app.api_settings", "app.http", "app.state", "app.tasks", "worker.errors", "worker.imaging", "worker.outbound",
        "worker.pixels", "worker.runner", "worker.storage", "worker.tasks", "worker.telemetry", "worker.validation",
    },
    "app.routes": {
        "app.http", "app.keys", "app.openapi", "app.state", "app.tasks", "app.uploads", "worker.errors",
        "worker.imaging", "worker.operations", "worker.outbound", "worker.runner", "worker.storage", "worker.tasks",
        "worker.telemetry", "worker.validation", "worker.webhooks",
    },
    "app.standalone": {"app.api_settings", "app.server", "worker.__main__", "worker.runner"},
    "worker.validation": set(),
    "worker.telemetry": set(),
    "worker.outbound": set(),
    "worker.pixels": {"worker.errors", "worker.validation"},
    "worker.operations": {"worker.errors", "worker.pixels", "worker.validation"},
    "worker.imaging": {
        "worker.errors", "worker.operations", "worker.pixels", "worker.telemetry", "worker.validation",
    },
    "worker.tasks": {
        "worker.errors", "worker.imaging", "worker.operations", "worker.pixels", "worker.settings", "worker.storage",
        "worker.telemetry",
    },
    "worker.webhooks": {"worker.outbound", "worker.settings", "worker.tasks", "worker.telemetry"},
    "worker.runner": {
        "worker.errors", "worker.imaging", "worker.outbound", "worker.pixels", "worker.settings", "worker.storage",
        "worker.tasks", "worker.telemetry",
    },
}  # fmt: skip
"""Room -> the rooms and top-level modules that it may import. Top-level modules that are not listed are free."""

MOST_ENTRIES = 16
"""Files and folders in one folder, `operations` aside: enough to read their names at a glance."""

DEEPEST = 10
"""Modules in the longest chain of imports inside a package."""


def imports(module: str) -> dict[str, int]:
    """Return the modules of ours that `module` imports, wherever in the file, and the line of each."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name: node.lineno for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            base = node.module or ""
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in FILES else base: node.lineno for a in node.names}
    return {name: line for name, line in found.items() if name in FILES}


def room(module: str) -> str:
    """Return the room of a module: its folder just below a package, or a top-level module itself."""
    return ".".join(module.split(".")[:2])


def test_there_is_something_to_look_at() -> None:
    assert {"app.main", "worker.tasks.store", "worker.operations"} <= set(FILES)
    assert "worker.tasks.status" in imports("app.http.problem_types")
    assert set(MAY_IMPORT) <= set(map(room, FILES))


@pytest.mark.parametrize("module", FILES)
def test_a_room_imports_only_what_the_table_allows(module: str) -> None:
    allowed = MAY_IMPORT.get(room(module))
    for name, line in imports(module).items():
        if module.startswith("worker"):
            assert not name.startswith("app"), f"{FILES[module]}:{line} the engine imports {name}"
        if allowed is not None and room(name) not in {room(module), *PACKAGES}:
            assert room(name) in allowed, f"{FILES[module]}:{line} {room(module)} may not import {name}"


def test_every_folder_is_in_the_table() -> None:
    folders = {room(module) for module, path in FILES.items() if path.parent.parent.name in PACKAGES}
    assert folders <= set(MAY_IMPORT)


def test_no_import_is_a_circle_among_modules_or_rooms() -> None:
    TopologicalSorter({module: imports(module) for module in FILES}).prepare()  # raises CycleError
    rooms: dict[str, set[str]] = {}
    for module in FILES:
        others = {room(name) for name in imports(module)} - {room(module), *PACKAGES}
        rooms.setdefault(room(module), set()).update(others)
    TopologicalSorter(rooms).prepare()


@cache
def depth(module: str) -> int:
    """Return the length of the longest chain of imports that begins with a module and stays in its package."""
    package = module.split(".", maxsplit=1)[0]
    return 1 + max((depth(name) for name in imports(module) if name.split(".")[0] == package), default=0)


def test_chains_of_imports_are_short() -> None:
    assert max(map(depth, FILES)) <= DEEPEST


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_is_read_at_a_glance(folder: Path) -> None:
    entries = [entry for entry in folder.iterdir() if entry.name not in ("__pycache__", "README.md")]
    assert len(entries) <= MOST_ENTRIES or folder.name == "operations"
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    assert docstring, f"{folder} does not say what it holds"
    assert folder.name == "operations" or len(docstring.splitlines()) <= 2


def test_no_two_modules_share_a_name() -> None:
    names = Counter(path.stem for path in FILES.values() if path.stem not in ("__init__", "__main__", "main"))
    assert [name for name, count in names.items() if count > 1] == []


def test_files_are_neither_fragments_nor_too_long() -> None:
    lengths = sorted(
        len(path.read_text().splitlines())
        for path in FILES.values()
        if path.name != "__init__.py" and path.parent.name != "operations"
    )
    assert lengths[-1] <= 300
    assert lengths[len(lengths) // 2] >= 100


def test_arq_is_known_in_few_places() -> None:
    users = {
        module
        for module, path in FILES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "arq"
    }
    assert users == {
        "worker.tasks.connection",
        "worker.tasks.queue",
        "worker.main",
        "worker.runner.loop",
        "worker.webhooks.delivery",
    }


def test_the_http_face_knows_nothing_of_pixels_and_the_engine_nothing_of_http() -> None:
    for module, path in FILES.items():
        text = path.read_text()
        if module.startswith("app"):
            assert "from PIL" not in text, module
        else:
            assert "starlette" not in text, module
