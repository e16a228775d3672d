"""The log and the ids in it, from the request to the worker."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.app.standalone.test_local import running
from tests.conftest import DEADLINE_S, PHOTO, Client, environment, eventually, serving
from tests.support.pictures import drawing, encoded
from worker.telemetry.logs import JsonFormatter

Line = dict[str, Any]

API = ("-m", "app.server", "--port", "0")
WORKER = ("-m", "worker")


@contextmanager
def writing(log: Path, settings: Settings, *command: str, **environ: str) -> Iterator[psutil.Popen]:
    """Run a process of ours with its stderr in a file; stop it in peace at the end."""
    with log.open("w") as file:
        given = {**os.environ, **environment(settings), **environ}
        child = psutil.Popen([sys.executable, *command], env=given, stderr=file, stdout=file)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(DEADLINE_S)


async def address(log: Path) -> str:
    async def found() -> str | None:
        match = re.search(r"http://127.0.0.1:\d+", log.read_text())
        return match and match[0]

    return str(await eventually(found))


def lines(log: Path) -> list[Line]:
    return [json.loads(line) for line in log.read_text().splitlines()]


async def test_json_lines_carry_both_ids_from_the_request_to_the_worker(
    redis: ArqRedis, settings: Settings, tmp_path: Path
) -> None:
    """Every line of both processes parses; uvicorn's lines are of the same kind, its access log too."""
    api_log, worker_log = tmp_path / "api", tmp_path / "worker"
    with ExitStack() as stack:
        stack.enter_context(writing(api_log, settings, *API, LOG_FORMAT="json"))
        stack.enter_context(writing(worker_log, settings, *WORKER, LOG_FORMAT="json"))
        async with Client(base_url=await address(api_log)) as client:
            client.headers["X-Request-ID"] = "order-17.a"
            task_id = await client.upload()
            await client.ended(task_id)
            del client.headers["X-Request-ID"]
            broken = await client.upload(PHOTO[:-200], operation="resize")
            made = (await client.get(f"/tasks/{broken}")).json()["request_id"]
            await client.ended(broken)
    [access] = [line for line in lines(api_log) if "POST /process-image/" in line["message"]][:1]
    assert (access["logger"], access["request_id"], access["task_id"]) == ("uvicorn.access", "order-17.a", task_id)
    done, failed = [line for line in lines(worker_log) if line["logger"] == "worker.runner.processor"]
    assert (done["request_id"], done["task_id"], done["level"]) == ("order-17.a", task_id, "INFO")
    assert done["message"].startswith(f"{task_id} done in ")
    assert (failed["request_id"], failed["task_id"]) == (made, broken)
    for line in [*lines(api_log), *lines(worker_log)]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert {"time", "level", "logger", "message"} <= set(line)
    assert {line["logger"] for line in lines(api_log)} == {"uvicorn.error", "uvicorn.access"}


async def test_what_breaks_a_request_is_logged_with_its_id(redis: ArqRedis, settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "api"
    with writing(log, settings, *API, LOG_FORMAT="json"):
        async with Client(base_url=await address(log)) as client:
            task_id = await client.upload()
            message = {"callback_url": "https://example.com/", "message_id": "damaged"}
            await redis.hset(f"task:{task_id}", mapping=message)  # type: ignore[misc]
            await redis.hset("webhook:damaged", mapping={"status": "NONSENSE", "outputs": "{}"})  # type: ignore[misc]
            answer = await client.get(f"/tasks/{task_id}", headers={"X-Request-ID": "bad-luck"})
            assert (answer.status_code, answer.headers["x-request-id"]) == (500, "bad-luck")
    [line] = [line for line in lines(log) if line["level"] == "ERROR"]
    assert line["request_id"] == "bad-luck"
    assert "msgspec.ValidationError: " in line["exception"]


async def test_one_command_writes_json_too(tmp_path: Path) -> None:
    """`python -m app` and the worker that it starts; the banner stays for people."""
    with running("--data-dir", str(tmp_path / "data"), LOG_FORMAT="json") as run:
        async with run.client() as client:
            task_id = await client.upload()
            await client.ended(task_id)

        async def done() -> bool:
            return any(
                line.get("task_id") == task_id for line in lines(run.log) if line["logger"] == "worker.runner.processor"
            )

        await eventually(done)


async def test_text_is_as_it_was(redis: ArqRedis, settings: Settings, tmp_path: Path) -> None:
    api_log, worker_log = tmp_path / "api", tmp_path / "worker"
    with writing(api_log, settings, *API), writing(worker_log, settings, *WORKER):
        async with Client(base_url=await address(api_log)) as client:
            task_id = await client.upload()
            await client.ended(task_id)
    assert '"POST /process-image/ HTTP/1.1" 202 Accepted' in api_log.read_text()
    wanted = rf"^\d{{4}}-\d\d-\d\d [\d:,]+ INFO worker.runner.processor: {task_id} done in [\d.]+ s, \d+ bytes$"
    assert re.search(wanted, worker_log.read_text(), re.MULTILINE)


def test_a_wrong_format_is_one_line_that_names_it() -> None:
    for module in ("worker", "app"):
        done = subprocess.run(
            [sys.executable, "-m", module],
            env={**os.environ, "LOG_FORMAT": "xml"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (
            1,
            "darkroom: LOG_FORMAT: must be one of text, json; got 'xml'\n",
        )


async def test_every_answer_has_the_id_of_its_request(api: Client) -> None:
    """The client's own if it is sane; errors, unknown paths and wrong methods too."""
    for path in (
        "/livez",
        "/operations",
        "/tasks",
        "/no/such/page",
        "/task-status/nobody",
        "/tasks?limit=0",
        "/metrics",
    ):
        assert (await api.get(path, headers={"X-Request-ID": "a-1_2.3"})).headers["x-request-id"] == "a-1_2.3"
    assert (await api.put("/process-image/", headers={"X-Request-ID": "put"})).headers["x-request-id"] == "put"
    made = [(await api.get("/livez")).headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    assert all(UUID(each).hex == each for each in made)


@pytest.mark.parametrize(
    "given", [b"", b"x" * 65, b"two words", b'"quoted"', b"\xff", b"a\tb", b"<b>", b"a\\b", b"a,b"]
)
async def test_an_id_that_is_not_sane_is_replaced(api: Client, given: bytes) -> None:
    answer = await api.get("/livez", headers={b"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize("given", ["x" * 64, "0f8fad5b-d9cb-469f-a165-70867728950e", "YWJj+/=", "1:2@host~a"])
async def test_a_sane_id_is_kept_in_the_record(api: Client, given: str) -> None:
    api.headers["X-Request-ID"] = given
    task_id = await api.upload()
    del api.headers["X-Request-ID"]
    record = await api.get(f"/tasks/{task_id}")
    assert record.json()["request_id"] == given
    assert record.headers["x-request-id"] != given


async def test_a_task_from_before_there_were_ids_shows_none(api: Client, redis: ArqRedis) -> None:
    task_id = await api.upload()
    spec = json.loads(await redis.hget(f"task:{task_id}", "spec"))  # type: ignore[misc]
    del spec["rid"]
    await redis.hset(f"task:{task_id}", "spec", json.dumps(spec))  # type: ignore[misc]
    assert (await api.get(f"/tasks/{task_id}")).json()["request_id"] is None


async def test_requests_at_once_keep_their_ids_apart(api: Client) -> None:
    async def one(number: int) -> None:
        files = {"file": ("a.jpg", PHOTO, "image/jpeg")}
        answer = await api.post(
            "/process-image/", files=files, data={"operation": "invert"}, headers={"X-Request-ID": f"id-{number}"}
        )
        record = (await api.get(f"/tasks/{answer.json()['task_id']}")).json()
        assert record["request_id"] == answer.headers["x-request-id"] == f"id-{number}"

    await asyncio.gather(*(one(number) for number in range(20)))


def test_a_line_that_begins_with_a_tasks_id_is_about_it() -> None:
    """Wherever it is written: the sweep's lines, for one."""
    task_id = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert formatted("%s was lost from the queue; queued again", task_id)["task_id"] == task_id
    assert "task_id" not in formatted("%s does not answer", "Redis")
    assert "task_id" not in formatted("it is %s", task_id)


def test_what_is_no_unicode_and_what_has_many_lines_is_still_one_line() -> None:
    line = formatted("a\nb \udcff %s", "é")
    assert line["message"] == "a\nb \udcff é"


def formatted(message: str, *args: object) -> Line:
    text = JsonFormatter().format(logging.LogRecord("x", logging.INFO, "", 0, message, args, None))
    assert "\n" not in text
    found: Line = json.loads(text)
    return found


async def test_what_libraries_write_to_stderr_is_json_too(redis: ArqRedis, settings: Settings, tmp_path: Path) -> None:
    """Libtiff wrote its errors between the lines."""
    log = tmp_path / "worker"
    whole = encoded(drawing((300, 200)), "TIFF", compression="tiff_lzw")
    damaged = whole[:2000] + b"\xff" * 500 + whole[2500:]
    async with serving(settings) as url, Client(base_url=url) as client:
        with writing(log, settings, *WORKER, LOG_FORMAT="json"):
            assert (await client.ended(await client.upload(damaged, "a.tif")))["status"] == "FAILURE"

            async def is_logged() -> bool:
                return any(line["logger"] == "stderr" for line in lines(log))

            await eventually(is_logged)
