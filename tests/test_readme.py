"""The commands, tables and paths of README and the documents that it links, checked against the code."""

import asyncio
import re
import shutil
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import msgspec
import yaml

from app.api_settings import Settings
from app.standalone.valkey import CONFIG
from tests.app.standalone.test_local import running
from tests.benchmarks.report import figures_table, goals_table
from tests.conftest import as_text
from tests.pictures_of_pages import MAX_BYTES, PICTURES, SCHEMES, SHOTS
from tests.support.pictures import decoded, jpeg
from worker.imaging.guards import BLOCK_CACHE_MB
from worker.operations import OPERATIONS
from worker.settings import LEAST_MEGAPIXELS, MOST_MEGAPIXELS, read_settings

ROOT = Path(__file__).parent.parent
FILES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / folder / "README.md" for folder in ("app", "worker", "worker/imaging", "tests", "tests/benchmarks")),
]
README = "\n".join(path.read_text() for path in FILES)
"""All of the documentation."""
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def blocks(heading: str, language: str = "") -> list[str]:
    """Return the code blocks under a heading, or those in a language."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    parts = [part.partition("\n") for part in section.split("```")[1::2]]
    return [code for name, _, code in parts if language in ("", name)]


CURL = (
    "First commands",
    "Batches",
    "Operations, pipelines and variants",
    "Results and records",
    "Waiting and events",
    "Controlling tasks",
    "Health, metrics and logs",
)
"""The headings whose commands are one session with a server."""


async def test_the_curl_session_works_as_printed(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg((800, 600)))
    with running("--data-dir", str(tmp_path / "data")) as run:
        commands = "".join(block for heading in CURL for block in blocks(heading, "sh"))
        script = "set -ex\n" + commands.replace("http://127.0.0.1:8000", run.url)
        done = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert '"operation":"grayscale"' in done.stdout
    assert done.stdout.count('"message":"Image processing started"') == 6
    names = zipfile.ZipFile(tmp_path / "batch.zip").namelist()
    assert names == ["photo.jpg", "gray.jpg", "manifest.json"]
    assert '"status":"completed"' in done.stdout
    assert '"average_color"' in done.stdout
    assert '"format":"json"' in done.stdout
    assert "/photo.json?expires=" in done.stdout
    result = decoded((tmp_path / "result.webp").read_bytes())
    assert (result.format, result.size) == ("WEBP", (400, 300))
    assert decoded((tmp_path / "gray.jpg").read_bytes()).mode == "L"
    assert "event: ended" in done.stdout


def test_the_settings_table_names_every_variable_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", README, re.MULTILINE))
    settings = read_settings(Settings, {})
    assert set(rows) == {name.upper() for name in Settings.__struct_fields__}
    computed = {"STORAGE_URL": "`./data/storage`", "WORKER_THREADS": "number of cores"} | dict.fromkeys(
        ("API_KEYS", "CORS_ORIGINS"), "none"
    )
    computed["INPUT_FORMATS"] = "all that can be read"
    computed["WORKER_MAX_RSS_MB"] = f"4000 + {BLOCK_CACHE_MB} for each core"
    bounds = f"{LEAST_MEGAPIXELS} to {MOST_MEGAPIXELS} million, by memory and cores"
    computed["MAX_PIXELS"] = computed["MAX_OUTPUT_PIXELS"] = bounds
    for name, shown in rows.items():
        default = getattr(settings, name.lower())
        assert shown == computed.get(name, "none" if default in (None, ()) else f"`{as_text(default)}`"), name


def test_the_settings_table_says_what_the_settings_say() -> None:
    for field in msgspec.structs.fields(Settings):
        kind = field.type if hasattr(field.type, "__metadata__") else get_args(field.type)[0]
        description = kind.__metadata__[0].description
        [row] = re.findall(rf"^\| `{field.name.upper()}` \|.*\| (.+) \|$", README, re.MULTILINE)
        assert row == description


def test_compose_passes_settings_that_exist_and_builds_one_image() -> None:
    app, worker = COMPOSE["services"]["app"], COMPOSE["services"]["worker"]
    ours = {name.lower() for name in app["environment"] if not name.startswith(("AWS_", "FORWARDED_"))}
    assert ours == set(Settings.__struct_fields__)
    assert app["image"] == worker["image"]
    assert app["environment"] == worker["environment"]
    *_, command = COMPOSE["services"]["redis"]["command"]
    assert {(f"--{name}", value) for name, value in CONFIG.items()} <= set(pairwise(command.split()))
    grace_s = float(worker["stop_grace_period"].removesuffix("s"))
    assert grace_s > float(worker["environment"]["SHUTDOWN_GRACE_S"])


def test_compose_has_one_address_for_any_number_of_apis() -> None:
    services = COMPOSE["services"]
    assert services["app"]["environment"]["ALLOW_ANYONE"] == "true", "because of this:"
    assert services["balancer"]["ports"] == ["127.0.0.1:${PORT:-8000}:8000"]
    assert "ports" not in services["app"], "a second one could not have it too"
    config = services["balancer"]["environment"]["CONFIG"]
    assert services["app"]["environment"]["FORWARDED_ALLOW_IPS"] == "*", (
        "because the balancer overwrites what clients send:"
    )
    assert {"set-header X-Forwarded-For %[src]", "set-header X-Forwarded-Proto http"} <= set(
        re.findall(r"http-request (set-header .+)", config)
    )
    assert [name for name, service in services.items() if "profiles" in service] == ["s3"]
    limit_s = read_settings(Settings, {}).upload_timeout_s
    for side in ("client", "server"):
        [timeout_s] = re.findall(rf"timeout {side} (\d+)s", services["balancer"]["environment"]["CONFIG"])
        assert float(timeout_s) > limit_s


def test_the_storage_in_readmes_compose_command_is_composes_s3_server() -> None:
    [bucket] = re.findall(r"^STORAGE_URL=s3://(\w+) docker compose --profile scale up ", README, re.MULTILINE)
    s3, given = COMPOSE["services"]["s3"], COMPOSE["services"]["app"]["environment"]
    assert s3["volumes"] == [f"s3:{s3['command'][1]}/{bucket}"]
    endpoint = urlsplit(given["AWS_ENDPOINT_URL"])
    assert s3["networks"]["default"]["aliases"] == [endpoint.hostname]
    assert s3["ports"] == [f"127.0.0.1:{endpoint.port}:{endpoint.port}"]
    keys = (s3["environment"]["ROOT_ACCESS_KEY"], s3["environment"]["ROOT_SECRET_KEY"])
    assert keys == (given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])


def test_every_path_in_the_documents_exists() -> None:
    """Those in backticks and those of links."""
    for path in FILES:
        text = path.read_text()
        for name in re.findall(r"`((?:app|worker|tests)/[a-zA-Z_/.]+)`", text):
            assert (ROOT / name).exists(), f"{path.name}: {name}"
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_links_to_headings_lead_to_one() -> None:
    for path in FILES:
        for link, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text()):
            headings = re.findall(r"^#+ (.+)$", (path.parent / link).read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, (
                anchor
            )


def test_every_room_is_in_the_table_of_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for package in ("app", "worker"):
        for folder in (ROOT / package).iterdir():
            if folder.is_dir() and folder.name != "__pycache__":
                assert f"`{package}/{folder.name}`" in text


def test_readme_is_read_in_ten_minutes() -> None:
    assert len(FILES[0].read_text().splitlines()) <= 200


def test_the_operation_in_readme_needs_nothing_but_its_file(tmp_path: Path) -> None:
    """Put it into a copy of the tree: the catalog and the parser know it."""
    for package in ("app", "worker", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package)
    [code] = blocks("Adding an operation", "python")
    (tmp_path / "worker" / "operations" / "tint.py").write_text(code)
    code = """
from app.routes.catalog import CATALOG
from tests.support.pictures import drawing
from tests.support.rendering import transform
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters, parse_plan
print([entry.parameters["amount"]["maximum"] for entry in CATALOG.operations if entry.operation == "tint"])
plan = parse_plan({"operations": '[{"operation": "tint", "color": "red", "amount": 1}]'}, InputFormat.PNG, 1)
print(transform(drawing(mode="LA"), plan.variants[""].operations).getpixel((150, 100)))
try:
    parse_plan({"operation": "tint", "amount": "-3", "color": "reddish"}, InputFormat.PNG, 1)
except InvalidParameters as exc:
    print(exc)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "[1]",
        "(255, 0, 0, 255)",
        "color: must be a CSS color name, transparent, #rgb, #rgba, #rrggbb or #rrggbbaa; got 'reddish'; "
        "amount: must be a number from 0 to 1; got '-3'",
    ], done.stderr


def test_the_benchmark_tables_are_those_of_the_results() -> None:
    record = msgspec.json.decode((ROOT / "tests" / "benchmarks" / "results.json").read_bytes())
    assert figures_table(record) in README
    assert goals_table(record) in README


def test_the_operations_that_keep_16_bits_are_those_that_readme_names() -> None:
    [named] = re.findall(r"keeps its depth in\s(.*?), and becomes 8 bits in other", README, re.DOTALL)
    assert set(re.split(r",\s+|\s+and\s+", named)) == {
        name for name, kind in OPERATIONS.items() if "I;16" in kind.modes and not kind.is_report
    }


def test_its_pictures_are_those_that_the_script_takes_and_open_at_once() -> None:
    shown = {
        (path.parent / source).resolve()
        for path in FILES
        for source in re.findall(r'(?:src|srcset)="([^"]+)"', path.read_text())
    }
    assert shown == {PICTURES / f"{name}-{scheme}.webp" for name in SHOTS for scheme in SCHEMES}
    assert all(0 < path.stat().st_size < MAX_BYTES for path in shown)


def test_the_kinds_of_images_are_held_by_tests_that_exist() -> None:
    rows = re.findall(r"\| ([a-z_, ]+) \|$", (ROOT / "worker/imaging/README.md").read_text(), re.MULTILINE)
    names = {name for row in rows for name in row.split(", ") if name.startswith("test_")}
    assert len(names) > 10
    assert names <= {path.stem for path in (ROOT / "tests" / "worker").rglob("test_*.py")}
