"""The Postman collection: what it holds, and that newman, Postman's runner, can send it from top to bottom."""

import asyncio
import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from app.openapi.postman.folders import FOLDERS, LEFT_OUT
from app.openapi.postman.pictures import picture_for
from app.openapi.schemas import FILE
from tests.app.openapi.test_openapi import described
from tests.app.standalone.test_local import running
from tests.app.tasks.test_presets import EXAMPLE
from tests.conftest import DEADLINE_S, PHOTO, Client, serving, working
from tests.support.callers import MADE, callers, with_keys
from worker.imaging.formats import READABLE, InputFormat, sniff

JAVASCRIPT = Path(__file__).parents[2] / "javascript"
NEWMAN = JAVASCRIPT / "node_modules" / ".bin" / "newman"

Collection = dict[str, Any]


def test_every_route_is_in_a_folder_or_left_out_for_a_reason() -> None:
    """Give a new route a place in `app.openapi.postman.folders`, after what it needs and before what deletes that."""
    routes = {operation["operationId"] for _, operation in described()}
    placed = {step.route for folder in FOLDERS for step in folder.steps}
    assert routes - placed - set(LEFT_OUT) == set(), "neither in FOLDERS nor in LEFT_OUT"
    assert placed | set(LEFT_OUT) == routes, "no such route"
    assert placed & set(LEFT_OUT) == set()
    assert all(reason.endswith(".") for reason in LEFT_OUT.values())


def test_the_names_of_folders_and_requests_are_short_and_different() -> None:
    assert len({folder.name for folder in FOLDERS}) == len(FOLDERS)
    for folder in FOLDERS:
        names = [step.name for step in folder.steps]
        assert len(set(names)) == len(names), folder.name
        assert all(len(name.split()) <= 3 for name in (*names, folder.name))
        assert folder.description


def collection_problems(item: dict[str, Any]) -> Iterator[str]:
    """Yield what Postman's schema v2.1.0 does not allow in an item; its parts that we write."""
    if "item" in item:
        assert set(item) == {"name", "description", "item"}
        for each in item["item"]:
            yield from collection_problems(each)
        return
    request = item["request"]
    if set(request) - {"method", "description", "header", "url", "body", "auth"}:
        yield f"{item['name']}: {set(request)}"
    if set(request["url"]) - {"raw", "host", "path", "query", "variable"}:
        yield f"{item['name']}: {request['url']}"
    if request.get("body", {}).get("mode") not in (None, "raw", "formdata", "file"):
        yield f"{item['name']}: {request['body']}"
    for entry in (*request["header"], *request["url"]["query"], *request["url"]["variable"]):
        if not isinstance(entry["key"], str) or not isinstance(entry["value"], str):
            yield f"{item['name']}: {entry}"
    for response in item["response"]:
        if not isinstance(response["code"], int) or not isinstance(response["body"], str):
            yield f"{item['name']}: {response['name']}"


def requests(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        yield from requests(item["item"]) if "item" in item else iter([item])


async def test_the_collection_has_each_route_and_the_form_that_postman_reads(api: Client) -> None:
    collection = (await api.get("/postman.json")).json()
    assert collection["info"]["schema"] == "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    assert [problem for item in collection["item"] for problem in collection_problems(item)] == []
    sent = {
        f"{item['request']['method'].lower()} {item['request']['url']['raw'].partition('?')[0]}"
        for item in requests(collection["item"])
    }
    assert sent == {
        re.sub(r"\{(\w+)\}", r":\1", name).replace(" ", " {{baseUrl}}")
        for name, operation in described()
        if operation["operationId"] not in LEFT_OUT
    }


async def test_scripts_or_the_user_set_every_variable(api: Client) -> None:
    text = (await api.get("/postman.json")).text
    variables = {each["key"]: each["value"] for each in msgspec.json.decode(text)["variable"]}
    assert variables.pop("baseUrl") == str(api.base_url).rstrip("/")
    assert variables.pop("picture")
    assert set(variables.values()) == {""}
    set_by_scripts = set(re.findall(r"(?:collectionVariables|variables)\.set\('(\w+)'", text))
    assert set(variables) == set_by_scripts - {"tomorrow"} | {"apiKey"}
    assert set(re.findall(r"\{\{(\$?\w+)\}\}", text)) == {*variables, "baseUrl", "tomorrow", "$guid"}


async def test_the_first_request_is_a_form_with_a_file_that_can_be_sent_as_it_is(service: Client) -> None:
    collection = (await service.get("/postman.json")).json()
    upload = next(requests(collection["item"]))
    assert upload["request"]["url"]["raw"] == "{{baseUrl}}/process-image/"
    fields = [field for field in upload["request"]["body"]["formdata"] if not field.get("disabled")]
    assert [field["key"] for field in fields if field["type"] == "file"] == ["file"]
    texts = {field["key"]: field["value"] for field in fields if field["type"] == "text"}
    answer = await service.post("/process-image/", files={"file": (FILE, PHOTO)}, data=texts)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("known", InputFormat)
async def test_there_is_a_small_picture_in_each_format(service: Client, known: InputFormat) -> None:
    """It is sent where no file is chosen, also by a server that accepts no other format."""
    assert picture_for(READABLE)[0] is InputFormat.PNG
    chosen, text = picture_for({known})
    picture = base64.b64decode(text, validate=True)
    assert (chosen, sniff(picture)) == (known, known)
    assert len(picture) < 1000
    headers = {"Content-Type": "application/octet-stream", "Prefer": "wait=20"}
    answer = await service.post("/process-image/?operation=inspect", content=picture, headers=headers)
    assert answer.json()["status"] == "SUCCESS", answer.text


class Run(msgspec.Struct):
    """What newman's JSON reporter says of a run."""

    executions: list[dict[str, Any]]
    failures: list[dict[str, Any]]

    def names(self) -> list[str]:
        return [execution["item"]["name"] for execution in self.executions]

    def statuses(self, name: str) -> list[int]:
        """Return the statuses of the requests of this name."""
        return [each["response"]["code"] for each in self.executions if each["item"]["name"] == name]


async def newman(collection: Collection, folder: Path, *options: str) -> tuple[int, Run]:
    """Send the collection; return newman's exit code and its report. `folder` has the files, and gets the report."""
    if not NEWMAN.exists():
        missing = f"newman is not installed; run npm install in {JAVASCRIPT}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    source, report = folder / "collection.json", folder / "report.json"
    source.write_bytes(msgspec.json.encode(collection))
    options = ("--timeout-request", f"{DEADLINE_S * 1000:g}", "--reporters", "json", *options)
    command: list[str | Path] = [
        NEWMAN,
        "run",
        source,
        "--working-dir",
        folder,
        "--reporter-json-export",
        report,
        *options,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert report.exists(), printed.decode()
    return process.returncode or 0, msgspec.convert(msgspec.json.decode(report.read_bytes())["run"], Run)


def check(code: int, run: Run, collection: Collection) -> None:
    """Fail unless each request was sent, in order, and all of its tests passed, of which there is at least one."""
    assert run.failures == []
    assert run.names() == [item["name"] for item in requests(collection["item"])]
    for execution in run.executions:
        assert execution["assertions"], execution["item"]["name"]
        assert not any("error" in each for each in execution["assertions"]), execution["item"]["name"]
    assert code == 0


async def test_newman_sends_all_requests_to_a_fresh_server(tmp_path: Path) -> None:
    with running("--data-dir", str(tmp_path / "data")) as server:
        async with server.client() as client:
            collection = (await client.get("/postman.json")).json()
        code, run = await newman(collection, tmp_path)
        check(code, run, collection)
        assert run.statuses("Metrics") == [200]
        assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(("name", "status"), [("ops", 200), ("ann", 403)])
async def test_newman_sends_all_requests_with_a_key(
    redis: ArqRedis, settings: Settings, tmp_path: Path, name: str, status: int
) -> None:
    """With an admin key, and with one that may not see the monitor."""
    own = with_keys(settings)
    async with serving(own) as url, working(own), Client(base_url=url) as client:
        collection = (await client.get("/postman.json")).json()
        code, run = await newman(collection, tmp_path, "--env-var", f"apiKey={MADE[name][0]}")
    check(code, run, collection)
    for request in ("Metrics", "Workers", "Queue", "Statistics", "Sign in"):
        assert run.statuses(request) == [status], request
    assert run.statuses("Sign out") == [204]


@pytest.mark.parametrize(
    "changes",
    [{"reuse_results": True}, {"input_formats": (InputFormat.JPEG, InputFormat.PNG)}],
    ids=["reuse_results", "input_formats"],
)
async def test_newman_sends_all_requests_to_servers_with_other_settings(
    redis: ArqRedis, settings: Settings, tmp_path: Path, changes: dict[str, Any]
) -> None:
    own = msgspec.structs.replace(settings, **changes)
    async with serving(own) as url, working(own), Client(base_url=url) as client:
        collection = (await client.get("/postman.json")).json()
        code, run = await newman(collection, tmp_path)
    check(code, run, collection)


async def test_newman_fails_without_the_key_that_the_server_requires(
    redis: ArqRedis, settings: Settings, tmp_path: Path
) -> None:
    async with callers(settings) as clients:
        collection = (await clients["ann"].get("/postman.json")).json()
        code, run = await newman(collection, tmp_path, "--folder", "Process an image")
    assert code == 1
    assert set(run.statuses("Upload") + run.statuses("Status")) == {401}


async def test_newman_sends_the_presets_of_a_server_that_has_nothing_else(
    redis: ArqRedis, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "presets.toml").write_text(EXAMPLE)
    own = msgspec.structs.replace(settings, presets_file=str(tmp_path / "presets.toml"), only_presets=True)
    async with serving(own) as url, working(own), Client(base_url=url) as client:
        collection = (await client.get("/postman.json")).json()
        names = [folder["name"] for folder in collection["item"]]
        assert "Preset" in names
        assert "Variants" not in names
        code, run = await newman(collection, tmp_path)
    check(code, run, collection)


async def test_the_file_that_a_user_chooses_is_sent(service: Client, tmp_path: Path) -> None:
    collection = (await service.get("/postman.json")).json()
    (tmp_path / FILE).write_bytes(PHOTO)
    for item in requests(collection["item"]):
        body = item["request"].get("body", {})
        for field in body.get("formdata", []):
            if field["key"] == "file" and not field.get("disabled"):
                field["src"] = FILE
        if "file" in body:
            body["file"]["src"] = FILE
    folders = ("Process an image", "Plain body", "Resumable upload", "Batch")
    code, run = await newman(collection, tmp_path, *(option for folder in folders for option in ("--folder", folder)))
    assert (code, run.failures) == (0, [])
    tasks = (await service.get("/tasks")).json()["tasks"]
    assert sorted(task["file"]["name"] for task in tasks) == ["image", "image", FILE]  # those of the batch are deleted
    for task in tasks:
        assert (await service.get(f"/tasks/{task['task_id']}/upload")).content == PHOTO
