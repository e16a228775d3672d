"""`/llms.txt`: the description for language models, its form and its commands."""

import asyncio
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from app.http.problems import PROBLEM_JSON
from app.openapi.document import document
from app.openapi.llms import llms_text
from app.openapi.schemas import FILE
from app.routes import make_routes
from app.tasks.presets import read_presets
from tests.app.openapi.test_openapi import DOCUMENT, described
from tests.app.openapi.test_reference import Page
from tests.app.tasks.test_presets import EXAMPLE
from tests.conftest import PHOTO, Client, serving, working
from tests.support.callers import MADE, callers, with_keys
from tests.support.pictures import decoded, jpeg
from worker.operations import OPERATIONS
from worker.pixels.colors import Color
from worker.tasks.schedule import Schedule

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
    assert len(TEXT) < 28_000


def test_every_route_is_in_it() -> None:
    found = links(TEXT)
    for name, operation in described():
        method, path = name.split(" ")
        _, notes = found[f"{method.upper()} {path}"]
        assert notes.startswith(operation["summary"] + ".")
    for path in ("/docs", "/openapi.json", "/postman.json", "/llms.txt"):
        assert found[f"GET {path}"][0] == ADDRESS + path


def test_every_parameter_is_named_with_its_values() -> None:
    found = links(TEXT)
    for name, operation in described():
        method, path = name.split(" ")
        _, notes = found[f"{method.upper()} {path}"]
        for parameter in operation["parameters"]:
            own, place, schema = parameter["name"], parameter["in"], parameter["schema"]
            assert place == "path" or f"`{own}`" in notes, (name, own)
            if place != "path" and parameter.get("required"):
                assert re.search(rf"`{own}` \([^)]*required\)", notes), (name, own)
            values = schema.get("items", schema).get("enum", ())
            assert "|".join(values) in notes + found["query"][1], (name, own)
    assert "`status` (FAILURE|REVOKED, one or more, required)" in found["POST /tasks/retry"][1]
    assert "`expires_in` (integer 1..604800, default 3600)" in found["POST /tasks/{task_id}/link"][1]
    assert {"`file`", "`url`", "`each`"} <= set(re.findall(r"`\w+`", found["POST /batches"][1]))


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
    assert "`cutoff` (number 0..<50, default 0)" in found["autocontrast"][1]
    assert "`boxes` (JSON list of 1..100, required)" in found["redact"][1]
    assert "`aspect_ratio` (string such as 16:9 or 1.5)" in found["crop"][1]
    assert "`url` (string of up to 2048 characters)" in found["file and task"][1]
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


def test_the_forms_of_values_are_those_that_errors_name() -> None:
    [tags] = [field.type for field in msgspec.structs.fields(Schedule) if field.name == "tags"]
    for beginning, kind in (("A `color` is", Color), ("`tags` are", tags)):
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.Metadata)
        assert f"{beginning} {(info.extra or {})['allowed']}." in TEXT


def section(heading: str) -> dict[str, tuple[str, str]]:
    return links(TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0])


def example(name: str, notes: str) -> dict[str, str]:
    """Return the fields of the example, or only the operation if the text has no other fields in an example."""
    shown = re.findall(r"`(\w+)=(.+?)`(?:, |\.$)", notes.partition(" Example: ")[2])
    return dict(shown) or {"operation": name}


EXAMPLES = {
    name: example(name, notes)
    for heading in ("Operations", "Instead of an operation")
    for name, (_, notes) in section(heading).items()
}


def test_what_is_no_operation_is_listed_apart() -> None:
    assert set(section("Operations")) == set(OPERATIONS)
    assert set(section("Instead of an operation")) == {"operations", "variants", "format"}
    assert all(("operation" in fields) == (name in OPERATIONS) for name, fields in EXAMPLES.items())


class Answered(NamedTuple):
    """What a client gets that does what the text says."""

    status: dict[str, Any]
    results: list[bytes]


async def send(client: Client, fields: dict[str, str]) -> Answered:
    """Upload a photo, wait for the end of the task, and fetch the one or several results."""
    upload = await client.post("/process-image/", files={"file": ("größe.jpg", PHOTO)}, data=fields)
    assert upload.status_code == 202, upload.text
    wait = {"Prefer": "wait=60"}
    status = (await client.get(f"/task-status/{upload.json()['task_id']}", headers=wait)).json()
    paths = status["result"] if isinstance(status["result"], dict) else {"": status["result"]}
    return Answered(status, [(await client.get("/" + quote(path))).content for path in paths.values()])


@pytest.mark.parametrize("name", EXAMPLES)
async def test_every_example_is_accepted_and_has_results(service: Client, name: str) -> None:
    status, results = await send(service, EXAMPLES[name])
    assert status["status"] == "SUCCESS"
    assert len(results) == (len(msgspec.json.decode(EXAMPLES[name]["variants"])) if name == "variants" else 1)
    for result in results:
        assert "palette" in msgspec.json.decode(result) if name == "inspect" else decoded(result).size


async def test_with_accept_one_image_is_returned_itself(service: Client) -> None:
    """As the text says; several results are 406, and a report is still JSON with its path."""
    expected = {"blur": (200, "image/jpeg"), "variants": (406, PROBLEM_JSON), "inspect": (200, "application/json")}
    for name, (code, media_type) in expected.items():
        status, results = await send(service, EXAMPLES[name])
        answer = await service.get(f"/task-result/{status['task_id']}", headers={"Accept": "image/*"})
        assert (answer.status_code, answer.headers["content-type"]) == (code, media_type), name
        assert name != "inspect" or answer.json()["processed_image"] == status["result"]
        assert name != "blur" or [answer.content] == results


async def test_the_example_of_a_batch_is_accepted(service: Client) -> None:
    [each] = re.findall(r"`each=(.+?)`", TEXT)
    files = [("file", (FILE, PHOTO)), ("file", (FILE, PHOTO))]
    answer = await service.post("/batches", files=files, data={"operation": "resize", "each": each})
    assert answer.status_code == 202, answer.text
    ended = [await service.ended(task) for task in answer.json()["task_ids"]]
    widths = [decoded((await service.get("/" + status["result"])).content).width for status in ended]
    assert widths == [value["width"] for value in msgspec.json.decode(each)]


async def commands(client: Client, folder: Path, fields: dict[str, str], **environ: str) -> tuple[int, list[bytes]]:
    """Run the commands of the text, with other fields if there are any; return the exit code and the results."""
    steps = re.findall(r"^```sh\n(.+?)^```", (await client.get("/llms.txt")).text, re.MULTILINE | re.DOTALL)
    assert len(steps) == 3
    if fields:
        options = " ".join(f"-F {shlex.quote(f'{name}={value}')}" for name, value in fields.items())
        steps[0] = re.sub(r"-F (?!file=).+(?= http)", lambda _: options, steps[0])
    command = ["bash", "-c", "".join(steps)]
    done = await asyncio.to_thread(subprocess.run, command, cwd=folder, env=environ, capture_output=True, check=False)
    return done.returncode, [path.read_bytes() for path in sorted(folder.glob("*-*/*"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the commands, with the photo that they upload."""
    (tmp_path / FILE).write_bytes(jpeg((800, 600)))
    return tmp_path


async def test_its_commands_work(service: Client, folder: Path) -> None:
    code, [result] = await commands(service, folder, {})
    assert (code, decoded(result).size) == (0, (400, 300))


async def test_its_commands_save_all_results_of_variants_and_reports(service: Client, folder: Path) -> None:
    code, results = await commands(service, folder, EXAMPLES["variants"])
    assert (code, {decoded(result).size for result in results}) == (0, {(800, 600), (200, 200)})
    (folder / "report").mkdir()
    (folder / FILE).rename(folder / "report" / FILE)
    code, [report] = await commands(service, folder / "report", EXAMPLES["inspect"])
    assert (code, msgspec.json.decode(report)["width"]) == (0, 800)


async def test_its_commands_fail_if_the_task_does(service: Client, folder: Path) -> None:
    (folder / FILE).write_bytes(jpeg((800, 600))[:2000])
    code, results = await commands(service, folder, {})
    assert (code != 0, results) == (True, [])


async def test_its_commands_work_with_a_key(redis: ArqRedis, settings: Settings, folder: Path) -> None:
    own = with_keys(settings)
    async with serving(own) as url, working(own), Client(base_url=url) as client:
        assert "requires an API key" in (await client.get("/llms.txt")).text
        code, [result] = await commands(client, folder, {}, KEY=MADE["ann"][0])
    assert (code, decoded(result).size) == (0, (400, 300))


async def test_its_commands_work_where_only_presets_do(redis: ArqRedis, settings: Settings, folder: Path) -> None:
    file = folder / "presets.toml"
    file.write_text(EXAMPLE)
    own = msgspec.structs.replace(settings, presets_file=str(file), only_presets=True)
    presets = read_presets(own.presets_file, own, is_required=True)
    described: dict[str, Any] = msgspec.to_builtins(document(make_routes(), own, presets))
    found = links(llms_text(described, ADDRESS))
    assert "thumbnail" in found["preset"][1]
    assert "resize" not in found
    async with serving(own) as url, working(own), Client(base_url=url) as client:
        code, [result] = await commands(client, folder, {})
    assert (code, decoded(result).size) == (0, (200, 200))
