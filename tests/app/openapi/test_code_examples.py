"""The code on `/docs`: its addresses, its syntax, and that it runs against a real server."""

import asyncio
import os
import re
import shutil
import sys
from html import unescape
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from app.api_settings import Settings
from app.openapi.code_examples import KEY
from app.openapi.examples import BATCH_ID, TASK_ID
from app.openapi.rendering import Documents
from app.routes import make_routes
from app.tasks.presets import read_presets
from tests.app.tasks.test_presets import EXAMPLE
from tests.conftest import PHOTO, Client
from tests.support.callers import NOBODY, callers
from tests.support.pictures import decoded

COMMANDS = {
    "curl": ["bash", "-euo", "pipefail", "-c"],
    "Python": [sys.executable, "-W", "ignore", "-c"],
    "JavaScript": ["node", "--input-type=module", "-e"],
}

Examples = dict[str, dict[str, str]]
"""Anchor -> language -> code."""


async def examples_of(api: Client) -> Examples:
    text = (await api.get("/docs")).text
    found: Examples = {}
    anchor = ""
    for match in re.finditer(
        r'<(?:section|details) id="(\w+)"|<pre [^>]*data-language="(\w+)"[^>]*>(.*?)</pre>', text, re.DOTALL
    ):
        if match[1]:
            anchor = match[1]
        else:
            found.setdefault(anchor, {})[match[2]] = unescape(match[3])
    return found


async def run(language: str, code: str, folder: Path) -> str:
    """Run code and return what it prints."""
    child = await asyncio.create_subprocess_exec(
        *COMMANDS[language], code, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, errors = await child.communicate()
    assert child.returncode == 0, code + errors.decode()
    return printed.decode()


@pytest.fixture(params=COMMANDS)
def language(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(COMMANDS[name][0]) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {COMMANDS[name][0]} here")
    return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the examples send."""
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(PHOTO)
    (folder / "second.jpg").write_bytes(PHOTO)
    # The API of httpx2 is that of httpx, and we depend on it already.
    (folder / "httpx.py").write_text("from httpx2 import *\n")
    return folder


async def test_a_task_is_created_watched_fetched_and_deleted(service: Client, language: str, folder: Path) -> None:
    examples = {anchor: codes[language] for anchor, codes in (await examples_of(service)).items()}
    assert "Image processing started" in await run(language, examples["process_image"], folder)
    task_id = await service.upload(format="webp")
    await service.ended(task_id)
    answers = {
        anchor: await run(language, examples[anchor].replace(TASK_ID, task_id), folder)
        for anchor in ("task_status", "task_result", "output", "task_events", "list_tasks", "metrics")
    }
    assert "SUCCESS" in answers["task_status"]
    assert f"processed/{task_id}/photo.webp" in answers["task_result"]
    assert decoded((folder / "photo.webp").read_bytes()).format == "WEBP"
    assert "SUCCESS" in answers["task_events"]
    assert task_id in answers["list_tasks"]
    assert "darkroom_" in answers["metrics"]
    await run(language, examples["delete"].replace(TASK_ID, task_id), folder)
    assert (await service.get(f"/tasks/{task_id}")).status_code == 404


async def test_a_batch_is_created_and_fetched(service: Client, language: str, folder: Path) -> None:
    examples = {anchor: codes[language] for anchor, codes in (await examples_of(service)).items()}
    printed = await run(language, examples["create_batch"], folder)
    found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", printed)
    assert found, printed
    await run(language, examples["batch_events"].replace(BATCH_ID, found[0]), folder)  # until all have ended
    await run(language, examples["batch_archive"].replace(BATCH_ID, found[0]), folder)
    assert "manifest.json" in ZipFile(BytesIO((folder / "result.zip").read_bytes())).namelist()


async def test_operations_pipelines_and_variants_are_applied(service: Client, language: str, folder: Path) -> None:
    examples = {anchor: codes[language] for anchor, codes in (await examples_of(service)).items()}
    await run(language, examples["CropForm"], folder)
    assert decoded((folder / "photo-crop.jpg").read_bytes()).size == (200, 112)
    await run(language, examples["RedactForm"].replace("230", "20").replace("240", "20"), folder)
    assert decoded((folder / "photo-redact.jpg").read_bytes()).size == (200, 150)
    for anchor, part in (
        ("InspectForm", "photo.json"),
        ("PipelineForm", "photo.jpg"),
        ("VariantsForm", "photo-thumb.webp"),
    ):
        assert part in await run(language, examples[anchor], folder)


async def test_an_upload_is_completed(service: Client, language: str, folder: Path) -> None:
    code = (await examples_of(service))["continue_upload"][language]
    beginning, rest = PHOTO[:1000], PHOTO[1000:]
    begun = await service.post(
        "/process-image/?operation=grayscale",
        content=beginning,
        headers={"Upload-Complete": "?0", "Content-Type": "image/jpeg"},
    )
    assert begun.status_code == 201, begun.text
    (folder / "rest.bin").write_bytes(rest)
    upload_id = begun.headers["location"].rpartition("/")[2]
    printed = await run(language, code.replace(TASK_ID, upload_id).replace("100000", "1000"), folder)
    assert "Image processing started" in printed


async def test_all_code_is_well_formed(api: Client, folder: Path) -> None:
    examples = await examples_of(api)
    assert len(examples) > 60
    for anchor, codes in examples.items():
        assert set(codes) == set(COMMANDS), anchor
        compile(codes["Python"], anchor, "exec")
    commands = "\n".join(codes["curl"] for codes in examples.values())
    addresses = await run("curl", f'curl() {{ printf "%s\\n" "${{@: -1}}"; }}\n{commands}', folder)
    assert all(line.startswith(str(api.base_url)) for line in addresses.splitlines())
    if shutil.which("node") is None:
        pytest.skip("no node here")
    for number, codes in enumerate(examples.values()):
        imports = r"(?m)^import .*$"
        (folder / f"{number}.js").write_text(f"(async () => {{{re.sub(imports, '', codes['JavaScript'])}}});")
    check = """import { readFileSync, readdirSync } from "node:fs"; import { Script } from "node:vm";
        for (const name of readdirSync(".")) if (name.endsWith(".js")) new Script(readFileSync(name, "utf8"));"""
    await run("JavaScript", check, folder)


async def test_commands_have_the_address_at_which_the_page_was_fetched(api: Client) -> None:
    port = api.base_url.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        text = (await api.get("/docs", headers={"Host": host})).text
        assert f"curl http://{host}/tasks</pre>" in text
        assert f"httpx.get(&quot;http://{host}/tasks&quot;)" in text
        assert set(re.findall(r"https?://[\w.:]+/process-image/", text)) == {f"http://{host}/process-image/"}


async def test_a_host_that_is_code_is_in_no_command(settings: Settings) -> None:
    async with callers(settings) as clients:  # with API keys, any host is allowed
        answer = await clients[NOBODY].get("/docs", headers={"Host": "a$(id)'"})
        assert (answer.status_code, "$(id)" in answer.text) == (400, False)


@pytest.mark.parametrize("only", [False, True])
def test_a_server_with_presets_shows_one(tmp_path: Path, only: bool) -> None:
    file = tmp_path / "presets.toml"
    file.write_text(EXAMPLE)
    settings = Settings(presets_file=str(file), only_presets=only)
    presets = read_presets(settings.presets_file, settings, is_required=only)
    text = Documents(make_routes(), settings, presets).page("http://a").body.decode()
    assert "-F preset=thumbnail" in text
    upload = text.partition('id="process_image"')[2].partition("</pre>")[0]
    assert ("-F preset=thumbnail" in upload) is only
    assert ('id="CropForm"' in text) is not only


async def test_commands_for_a_server_with_keys_send_one(settings: Settings) -> None:
    async with callers(settings) as clients:
        codes = (await examples_of(clients[NOBODY]))["list_tasks"]
        llms = (await clients[NOBODY].get("/llms.txt")).text
    assert f"Bearer ${KEY}" in llms
    assert f'-H "Authorization: Bearer ${KEY}"' in codes["curl"]
    assert f"f\"Bearer {{os.environ['{KEY}']}}\"" in codes["Python"]
    assert f"`Bearer ${{process.env.{KEY}}}`" in codes["JavaScript"]


async def test_the_page_says_how_requests_are_authenticated(settings: Settings, api: Client) -> None:
    async with callers(settings) as clients:
        with_keys = authentication((await clients[NOBODY].get("/docs")).text)
    without_keys = authentication((await api.get("/docs")).text)
    for text in (with_keys, without_keys):
        assert "Authorization: Bearer" in text
        assert {"401", "403"} <= set(re.findall(r"\d+", text))
    assert f"export {KEY}=" in with_keys
    assert "/livez" in with_keys.partition("No key is needed for")[2]
    assert "/tasks," not in with_keys
    assert "ALLOWED_HOSTS" in without_keys
    assert f"export {KEY}=" not in without_keys


def authentication(text: str) -> str:
    return re.sub(
        r"<[^>]+>", "", unescape(text.partition('<section id="authentication"')[2].partition("</section>")[0])
    )
