"""Priorities, queue groups, start times and deadlines as form fields."""

from collections import Counter
from datetime import datetime, timedelta

import msgspec
import pytest

from app.api_settings import Settings
from tests.conftest import PHOTO, Client, problem_fields, working
from tests.support.callers import callers
from worker.telemetry.clock import now_ms, rfc3339

FILE = {"file": ("photo.jpg", PHOTO)}


async def test_the_record_has_the_schedule(api: Client) -> None:
    start = rfc3339(now_ms() + 3_600_000)
    task_id = await api.upload(priority="high", queue_group="tenant-7", start_at=start, expires_in="60")
    record = (await api.get(f"/tasks/{task_id}")).json()
    assert (record["priority"], record["queue_group"]) == ("high", "tenant-7")
    expiry = datetime.fromisoformat(start) + timedelta(seconds=60)
    assert (record["queued_at"], datetime.fromisoformat(record["expires_at"])) == (start, expiry)
    assert (record["position"], record["waited_s"]) == (None, 0)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"priority": "urgent"}, "must be one of low, normal, high; got 'urgent'"),
        ({"queue_group": "my group"}, "must be 1 to 32 letters, digits, _ and -, beginning with a letter or digit"),
        ({"start_at": "tomorrow"}, "must be a time with its offset, such as 2026-12-01T08:00:00Z; got 'tomorrow'"),
        ({"start_at": "2999-01-01T00:00:00Z"}, "must be within 7 days"),
        ({"expires_in": "0"}, "must be a whole number from 1 to 604800; got '0'"),
    ],
)
async def test_a_schedule_that_is_not_possible_is_refused_by_field(
    api: Client, fields: dict[str, str], problem: str
) -> None:
    answer = await api.post("/process-image/", files=FILE, data={"operation": "grayscale", **fields})
    [[field, message]] = [(each["field"], each["message"]) for each in answer.json()["errors"]]
    assert (answer.status_code, field) == (422, next(iter(fields)))
    assert message.startswith(problem)


@pytest.mark.usefixtures("redis")
async def test_with_api_keys_the_keys_take_turns_and_not_groups(settings: Settings) -> None:
    async with callers(settings) as by_name:
        form = {"operation": "grayscale", "queue_group": "one"}
        answer = await by_name["ann"].post("/process-image/", files=FILE, data=form)
    assert answer.status_code == 422
    assert list(problem_fields(answer)) == ["queue_group"]


async def test_a_task_that_is_not_started_in_time_fails_with_a_code_of_its_own(api: Client, settings: Settings) -> None:
    await api.post("/queue/pause")
    task_id = await api.upload(expires_in="1")
    async with working(settings):
        view = await api.ended(task_id)
        assert view["error"] == "it was not started within the time of its expires_in"
        assert (await api.get(f"/tasks/{task_id}")).json()["error_code"] == "expired"
        await api.post("/queue/resume")
        retried = await api.post(f"/tasks/{task_id}/retry")
        assert retried.status_code == 202
        assert (await api.ended(task_id))["status"] == "SUCCESS"


async def test_a_task_waits_for_its_start(api: Client, settings: Settings) -> None:
    start_ms = now_ms() + 1500
    task_id = await api.upload(start_at=rfc3339(start_ms))
    async with working(settings):
        assert (await api.ended(await api.upload()))["status"] == "SUCCESS"
        assert (await api.get(f"/task-status/{task_id}")).json()["status"] == "PENDING"
        assert (await api.ended(task_id))["status"] == "SUCCESS"
    record = (await api.get(f"/tasks/{task_id}")).json()
    assert record["started_at"] >= rfc3339(start_ms)
    assert record["waited_s"] < 60


async def test_a_flood_of_one_group_delays_another_by_two_tasks_at_most(api: Client, settings: Settings) -> None:
    """Through HTTP and a real worker with one slot: how many tasks of the flood start between."""
    alone = msgspec.structs.replace(settings, worker_threads=1)
    await api.post("/queue/pause")
    for _ in range(60):
        await api.upload(queue_group="flood")
    own = [await api.upload(queue_group="own") for _ in range(5)]
    assert [(await api.get(f"/tasks/{task_id}")).json()["position"] for task_id in own] == [2, 4, 6, 8, 10]
    async with working(alone):
        await api.post("/queue/resume")
        for task_id in own:
            await api.ended(task_id)
        page = (await api.get("/tasks?limit=200")).json()["tasks"]
    started = sorted((task["started_at"], task["queue_group"]) for task in page if task["started_at"])
    last = max(number for number, (_, group) in enumerate(started) if group == "own")
    assert Counter(group for _, group in started[: last + 1])["flood"] <= len(own) + 2
