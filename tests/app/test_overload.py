"""More than can be done: refusals are early, cheap and say when to come back."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import DEADLINE_S, PHOTO, Client, eventually, working
from worker.tasks.status import Status
from worker.tasks.store import Tasks

FILE = {"file": ("photo.jpg", PHOTO)}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, queue_limit=3, max_concurrent_uploads=2, upload_timeout_s=0.5)


async def test_past_the_limit_an_upload_is_429_with_a_time_to_come_back(
    api: Client, settings: Settings, stored: Callable[[], list[str]]
) -> None:
    waiting = [await api.upload() for _ in range(3)]
    for _ in range(2):
        refused = await api.post("/process-image/", files=FILE, data={"operation": "grayscale"})
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["detail"].startswith("the queue is full with 3 waiting tasks; try again in ")
    assert stored() == sorted(f"uploads/{task_id}" for task_id in waiting)

    async with working(settings):
        for task_id in waiting:
            assert (await api.ended(task_id))["status"] == "SUCCESS"

        async def has_room() -> bool:
            return (await api.post("/process-image/", files=FILE, data={"operation": "resize"})).status_code == 202

        await eventually(has_room)


async def begin_upload(api: Client) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Announce an upload of a megabyte, send its first bytes and stop there."""
    reader, writer = await asyncio.open_connection(str(api.base_url.host), api.base_url.port)
    writer.write(
        b"POST /process-image/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        b"Content-Length: 1000000\r\n\r\n--x\r\n"
    )
    return reader, writer


async def answer_of(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    reader, writer = connection
    answer = await asyncio.wait_for(reader.readuntil(b"}"), DEADLINE_S)
    writer.transport.abort()
    return answer


async def test_a_full_queue_refuses_before_the_body_is_read(api: Client) -> None:
    for _ in range(3):
        await api.upload()
    await api.post("/process-image/", files=FILE, data={"operation": "grayscale"})
    assert (await answer_of(await begin_upload(api))).startswith(b"HTTP/1.1 429 ")


async def test_the_time_to_come_back_follows_the_measured_rate(
    redis: ArqRedis, tasks: Tasks, api: Client, settings: Settings
) -> None:
    """3 wait, a tenth of them at 2 ended in 10 s are 1.5 s of work."""
    for _ in range(2):
        await tasks.move(await api.upload(), Status.REVOKED)
    for _ in range(3):
        await api.upload()
    refused = await api.post("/process-image/", files=FILE, data={"operation": "grayscale"})
    assert refused.headers["retry-after"] == "2"


async def test_a_task_that_waited_too_long_fails_with_that_reason(api: Client, settings: Settings) -> None:
    task_id = await api.upload()
    async with working(msgspec.structs.replace(settings, queue_timeout_s=0.001)):
        assert (await api.ended(task_id))["error"] == "it waited longer than 0.001 s for a worker"


async def test_slow_uploads_are_bounded_end_with_408_and_do_not_hold_up_livez(
    api: Client, stored: Callable[[], list[str]]
) -> None:
    """Twice as many as may be received at once: one more waits for its turn and gets it."""
    slow = [await begin_upload(api) for _ in range(4)]
    assert (await api.get("/livez")).json() == {"status": "alive"}
    assert await api.upload()
    for connection in slow:
        answer = await answer_of(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"the upload did not arrive within 0.5 s" in answer
    assert len(stored()) == 1
