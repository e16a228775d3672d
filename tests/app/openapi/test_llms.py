"""`/llms.txt`: the description for language models, its form and its commands."""

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from app.openapi.document import document
from app.openapi.llms import llms_text
from app.routes import make_routes
from app.tasks.presets import read_presets
from tests.app.openapi.test_openapi import DOCUMENT, Page, described
from tests.app.tasks.test_presets import EXAMPLE
from tests.conftest import Client, serving, working
from tests.support.callers import MADE, callers, with_keys
from tests.support.pictures import decoded, jpeg
from worker.operations import OPERATIONS

ADDRESS = "https://images.example"

TEXT = llms_text(DOCUMENT, ADDRESS)

LINK = re.compile(r"- \[([^\]]+)\]\((\S+)\): (.+)")


def links(text: str) -> dict[str, tuple[str, str]]:
    """Return name -> URL and notes of the links."""
    found = [match.groups() for line in text.splitlines() if (match := LINK.fullmatch(line))]
    assert len({name for name, _, _ in found}) == len(found)
    return {name: (url, notes) for name, url, notes in found}


def test_the_form_is_that_of_llmstxt() -> None:
    """A heading, a quotation, text without headings, then sections of links alone."""
    beginning, *sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    assert re.match(r"# Darkroom\n\n> [^\n]+\n\n", beginning)
    assert len(re.findall(r"^#+ ", TEXT, re.MULTILINE)) == 1 + len(sections)
    for section in sections:
        heading, empty, *lines = section.rstrip("\n").split("\n")
        assert heading
        assert empty == ""
        assert lines
        assert all(LINK.fullmatch(line) for line in lines), heading
    assert TEXT.index("## Documentation") < TEXT.index("## Operations") < TEXT.index("## Routes: ")
    assert len(TEXT) < 20_000


def test_every_route_is_in_it() -> None:
    found = links(TEXT)
    for name, operation in described():
        method, path = name.split(" ")
        _, notes = found[f"{method.upper()} {path}"]
        assert notes == operation["summary"] + "."
    for path in ("/docs", "/openapi.json", "/postman.json", "/llms.txt"):
        assert found[f"GET {path}"][0] == ADDRESS + path


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_in_it_with_its_fields(name: str) -> None:
    url, notes = links(TEXT)[name]
    assert url == f"{ADDRESS}/docs#{OPERATIONS[name].__name__}Form"
    fields = {field.encode_name for field in msgspec.structs.fields(OPERATIONS[name])}
    assert set(re.findall(r"`(\w+)` \(", notes)) - {"overlay"} == fields


def test_fields_have_their_bounds_and_defaults() -> None:
    found = links(TEXT)
    assert "`sigma` (number 0.1..1000, default 2)" in found["blur"][1]
    assert "`fit` (contain|cover|fill|inside|outside, default fill)" in found["resize"][1]
    assert "`scale` (number >0..16)" in found["resize"][1]
    assert "`dither` (boolean, default true)" in found["quantize"][1]
    assert "`boxes` (JSON, required)" in found["redact"][1]
    assert "`url` (string)" in found["file and task"][1]
    assert "`quality` (integer 1..100)" in found["output"][1]


async def test_its_links_lead_somewhere(api: Client) -> None:
    text = (await api.get("/llms.txt")).text
    anchors = Page((await api.get("/docs")).text).anchors
    for name, (url, _) in links(text).items():
        path, _, anchor = url.removeprefix(str(api.base_url).rstrip("/")).partition("#")
        assert (await api.get(path)).status_code == 200, name
        assert not anchor or anchor in anchors, name


async def test_it_is_plain_text_for_everyone(redis: ArqRedis, settings: Settings) -> None:
    async with callers(settings) as clients:
        for client in clients.values():
            answer = await client.get("/llms.txt")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")


async def run_commands(client: Client, folder: Path, **environ: str) -> tuple[int, int]:
    """Run the commands of the text, and return the size of the result."""
    (folder / "photo.jpg").write_bytes(jpeg((800, 600)))
    commands = re.findall(r"^```sh\n(.+?)^```", (await client.get("/llms.txt")).text, re.MULTILINE | re.DOTALL)
    assert len(commands) == 3
    command = ["bash", "-c", "set -e\n" + "".join(commands)]
    done = await asyncio.to_thread(subprocess.run, command, cwd=folder, env=environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b'"status":"SUCCESS"' in done.stdout
    return decoded((folder / "result").read_bytes()).size


async def test_its_commands_work(service: Client, tmp_path: Path) -> None:
    assert await run_commands(service, tmp_path) == (400, 300)


async def test_its_commands_work_with_a_key(redis: ArqRedis, settings: Settings, tmp_path: Path) -> None:
    own = with_keys(settings)
    async with serving(own) as url, working(own), Client(base_url=url) as client:
        assert "requires an API key" in (await client.get("/llms.txt")).text
        assert await run_commands(client, tmp_path, KEY=MADE["ann"][0]) == (400, 300)


async def test_its_commands_work_where_only_presets_do(redis: ArqRedis, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "presets.toml"
    file.write_text(EXAMPLE)
    own = msgspec.structs.replace(settings, presets_file=str(file), only_presets=True)
    presets = read_presets(own.presets_file, own, is_required=True)
    described: dict[str, Any] = msgspec.to_builtins(document(make_routes(), own, presets))
    found = links(llms_text(described, ADDRESS))
    assert "thumbnail" in found["preset"][1]
    assert "resize" not in found
    async with serving(own) as url, working(own), Client(base_url=url) as client:
        assert await run_commands(client, tmp_path) == (200, 200)
