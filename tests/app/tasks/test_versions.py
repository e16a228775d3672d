"""Two versions of Darkroom on one Redis, as during a rolling upgrade: each skips what it does not know."""

import asyncio
import logging
from typing import Any

import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.app.tasks.test_events import FORM, all_messages
from tests.conftest import DEADLINE_S, Client, working
from worker.tasks.events import STREAM, _log_unknown

UNKNOWN_EVENTS: list[dict[Any, Any]] = [
    {"task_id": "3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e", "attempt": "1", "status": "PAUSED"},
    {"task_id": "3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e", "kind": "moved"},
    {"batch_id": "7", "attempt": "x"},
    {"task_id": b"\xff", "attempt": "1"},
    {"task_id": "3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e", "attempt": "1", "steps": '[{"share": "half"}]'},
    {"task_id": "3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e", "attempt": "1", "steps": "{"},
]


async def test_unknown_events_stop_no_reader(
    api: Client, settings: Settings, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """One ended the reader for everybody: `Prefer: wait` took its full time, and the timeline was 500."""
    _log_unknown.cache_clear()  # another test of this process may have seen them

    async def another_version() -> None:
        while True:
            for event in UNKNOWN_EVENTS:
                await redis.xadd(STREAM, event)
            await asyncio.sleep(0.01)

    writing = asyncio.create_task(another_version())
    try:
        async with working(settings), asyncio.timeout(DEADLINE_S / 2):  # less than the wait
            for _ in range(3):
                answer = await api.post("/process-image/", **FORM, headers={"Prefer": "wait=60"})
                task_id = answer.json()["task_id"]
                assert answer.json()["status"] == "SUCCESS"
                events = (await api.get(f"/tasks/{task_id}/timeline")).json()["events"]
                assert [event["event"] for event in events if "status" in event] == ["queued", "started", "ended"]
                replayed = await all_messages(api, f"/tasks/{task_id}/events", **{"Last-Event-ID": "0"})
                assert replayed[-1][0] == "ended"
    finally:
        writing.cancel()
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    skipped = [message for message in messages if "does not know are skipped" in message]
    assert 0 < len(skipped) <= len(UNKNOWN_EVENTS)
    assert len(set(skipped)) == len(skipped)


async def test_unknown_fields_of_a_record_are_ignored(api: Client, settings: Settings, redis: ArqRedis) -> None:
    task_id = await api.upload()
    await redis.execute_command("HSET", f"task:{task_id}", "shape", "9", "cluster", "7")  # type: ignore[no-untyped-call]
    await redis.set(f"arq:job:{task_id}", b"of another version")
    async with working(settings):
        assert (await api.ended(task_id))["status"] == "SUCCESS"
    assert (await api.get(f"/tasks/{task_id}")).status_code == 200


@pytest.mark.parametrize(
    "field", [("status", "PAUSED"), ("attempt", "first"), ("spec", '{"plan": {"variants": {}}, "shape": 2}')]
)
async def test_a_record_that_cannot_be_read_is_503_and_spoils_no_list(
    api: Client, redis: ArqRedis, field: tuple[str, str]
) -> None:
    known, unknown = await api.upload(), await api.upload()
    await redis.execute_command("HSET", f"task:{unknown}", *field)  # type: ignore[no-untyped-call]
    for path in (f"/task-status/{unknown}", f"/tasks/{unknown}", f"/task-result/{unknown}"):
        answer = await api.get(path)
        if field[0] == "spec" and answer.status_code in (200, 409):
            continue  # the status alone does not need it
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "/docs#unreadable-task"
    assert [task["task_id"] for task in (await api.get("/tasks")).json()["tasks"]] == [known]


async def test_timelines_and_replays_cost_by_their_own_events(api: Client, redis: ArqRedis, settings: Settings) -> None:
    """Both read up to 100,000 events of everybody, half a second of the event loop each."""
    async with working(settings):
        task_id = await api.upload()
        await api.ended(task_id)
    async with redis.pipeline(transaction=False) as pipe:
        for number in range(20_000):
            pipe.xadd(STREAM, {"task_id": f"other-{number}", "attempt": "1", "status": "STARTED", "owner": "bob"})
        await pipe.execute()

    async def sent() -> int:
        return int((await redis.info("stats"))["total_net_output_bytes"])

    before = await sent()
    assert len((await api.get(f"/tasks/{task_id}/timeline")).json()["events"]) >= 3
    assert (await all_messages(api, f"/tasks/{task_id}/events", **{"Last-Event-ID": "0"}))[-1][0] == "ended"
    assert await sent() - before < 30_000
