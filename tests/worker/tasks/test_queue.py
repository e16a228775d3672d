"""The queue paused and resumed, many tasks tried again at once, and what the log tells of one."""

from datetime import datetime

import msgspec
import pytest
from arq.connections import ArqRedis
from PIL import Image

from app.api_settings import Settings
from tests.app.routes.test_control import BROKEN
from tests.conftest import Client, eventually, problem_fields, serving, working
from tests.support.pictures import encoded
from tests.worker.runner.test_worker import SLOW, is_in
from worker.storage import Storage
from worker.tasks.queue import LEASES
from worker.tasks.status import Status
from worker.tasks.store import Tasks


async def test_a_paused_queue_takes_uploads_and_begins_nothing_until_it_is_resumed(
    service: Client, redis: ArqRedis
) -> None:
    running = await service.upload(**SLOW)
    await eventually(lambda: is_in(service, running, "STARTED"))
    paused = (await service.post("/queue/pause")).json()
    assert paused["paused_at"] is not None
    waiting = [await service.upload() for _ in range(3)]
    assert (await service.ended(running))["status"] == "SUCCESS"  # and its slot was free for another from then on
    asked = await looks(redis)
    await eventually(lambda: has_looked(redis, asked + 3))
    now = (await service.get("/queue")).json()
    assert (now["waiting"], now["running"], now["paused_at"]) == (3, 0, paused["paused_at"])
    assert 0 < now["oldest_waiting_s"] < 60
    assert (await service.post("/queue/pause")).json()["paused_at"] == paused["paused_at"]
    assert (await service.post("/queue/resume")).json()["paused_at"] is None
    for task_id in waiting:
        assert (await service.ended(task_id))["status"] == "SUCCESS"


async def looks(redis: ArqRedis) -> int:
    """Return how many scripts were run; an idle worker runs one each time that it looks for tasks."""
    return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])


async def has_looked(redis: ArqRedis, count: int) -> bool:
    return await looks(redis) >= count


async def test_workers_are_woken_when_the_queue_is_resumed(api: Client, redis: ArqRedis) -> None:
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe("darkroom:wake")
        await api.post("/queue/pause")
        await api.post("/queue/resume")
        assert await eventually(subscription.get_message)


async def test_a_worker_that_starts_while_the_queue_is_paused_begins_nothing(
    api: Client, tasks: Tasks, redis: ArqRedis
) -> None:
    await api.post("/queue/pause")
    task_id = await api.upload()
    assert await tasks.begin(5) == []
    await redis.zadd(LEASES, {task_id: 1})  # nor what a dead worker has left
    assert await tasks.begin(5) == []
    await api.post("/queue/resume")
    assert [task.id for task in await tasks.begin(5)] == [task_id]


async def test_a_pause_leaves_running_tasks_with_their_workers(api: Client, tasks: Tasks, redis: ArqRedis) -> None:
    task_id = await api.upload()
    await tasks.begin(1)
    await api.post("/queue/pause")
    await redis.zadd(LEASES, {task_id: 1})  # as if its worker had been frozen
    assert await tasks.begin(5, [task_id]) == []
    assert await redis.zscore(LEASES, task_id) > 1


async def test_a_pause_outlives_every_process_and_shows_in_the_metrics(api: Client, settings: Settings) -> None:
    await api.post("/queue/pause")
    async with serving(settings) as url, Client(base_url=url) as other:
        assert (await other.get("/queue")).json()["paused_at"] is not None
        assert (await other.get("/stats")).json()["now"]["paused_at"] is not None
        assert "darkroom_queue_paused 1.0" in (await other.get("/metrics")).text


async def failed(client: Client, count: int) -> list[str]:
    ids = [await client.upload(BROKEN) for _ in range(count)]
    for task_id in ids:
        assert (await client.ended(task_id))["status"] == "FAILURE"
    return ids


async def test_all_failed_tasks_of_a_filter_are_tried_again_page_by_page(
    api: Client, settings: Settings, storage: Storage
) -> None:
    async with working(settings):
        broken = await failed(api, 5)
        sound = await api.upload()
        await api.ended(sound)
    other = await api.upload(operation="sepia")
    await api.post(f"/tasks/{other}/cancel")
    await storage.delete(f"uploads/{broken[0]}")
    path, pages = "/tasks/retry?status=FAILURE,REVOKED&operation=grayscale&limit=2", []
    while path:
        answer = await api.post(path)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        path = pages[-1].pop("next")
    assert all(page["retried"] <= 2 for page in pages)
    total = {name: sum(page[name] for page in pages) for name in pages[0]}
    assert total == {"retried": 4, "upload_gone": 1, "moved_on": 0, "queue_full": 0}
    states = {each["task_id"]: each["status"] for each in (await api.get("/tasks")).json()["tasks"]}
    assert states == {
        sound: "SUCCESS",
        other: "REVOKED",
        broken[0]: "FAILURE",
        **dict.fromkeys(broken[1:], "PENDING"),
    }


@pytest.mark.parametrize("status", ["", "?status=SUCCESS", "?status=FAILURE,PENDING"])
async def test_only_failed_and_revoked_tasks_are_tried_again(api: Client, status: str) -> None:
    fields = problem_fields(await api.post(f"/tasks/retry{status}"))
    assert fields["status"].partition("; got ")[0].endswith("must be one or both of FAILURE, REVOKED, comma-separated")
    assert set(problem_fields(await api.post("/tasks/retry?status=FAILURE&limit=201&color=red"))) == {
        "limit",
        "color",
    }


async def test_nothing_is_tried_again_into_a_full_queue(redis: ArqRedis, settings: Settings) -> None:
    small = msgspec.structs.replace(settings, queue_limit=2)
    async with serving(small) as url, Client(base_url=url) as client:
        async with working(small):
            broken = await failed(client, 3)
        for _ in range(2):
            await client.upload()
        refused = await client.post("/tasks/retry?status=FAILURE")
        assert (refused.status_code, refused.json()["detail"][:36]) == (429, "the queue is full with 2 waiting tas")
        assert (await client.get(f"/task-status/{broken[0]}")).json()["status"] == "FAILURE"


async def test_the_timeline_tells_all_attempts_of_a_task_and_of_no_other(service: Client, tasks: Tasks) -> None:
    task_id, other = await service.upload(operation="resize"), await service.upload()
    await service.ended(task_id)
    await service.ended(other)
    lost = await service.upload(BROKEN)
    await service.ended(lost)
    await service.post(f"/tasks/{lost}/retry")
    await eventually(lambda: is_ended_twice(service, lost))
    view = (await service.get(f"/tasks/{task_id}/timeline")).json()
    told = [(entry["event"], entry.get("operation", entry.get("status"))) for entry in view["events"]]
    assert told == [
        ("queued", "PENDING"),
        ("started", "STARTED"),
        ("operation", "resize"),
        ("output", None),
        ("ended", "SUCCESS"),
    ]
    assert view["task_id"] == task_id
    assert [entry["at"] for entry in view["events"]] == sorted(entry["at"] for entry in view["events"])
    again = (await service.get(f"/tasks/{lost}/timeline")).json()["events"]
    assert [entry["event"] for entry in again] == ["queued", "started", "ended"] * 2
    assert [entry["attempt"] for entry in again] == [0, 1, 1, 1, 2, 2]
    assert (await service.get("/tasks/nonsense/timeline")).status_code == 404


async def test_steps_have_the_time_of_their_end_although_they_are_reported_together(service: Client) -> None:
    data = encoded(Image.effect_noise((700, 600), 90).convert("RGB"), "JPEG")
    task_id = await service.upload(data, operation="invert", format="avif", effort="9")
    await service.ended(task_id)
    events = (await service.get(f"/tasks/{task_id}/timeline")).json()["events"]
    _, started, inverted, stored, ended = (datetime.fromisoformat(event["at"]) for event in events)
    assert started <= inverted <= stored <= ended
    assert inverted - started < (stored - inverted) / 2  # encoding takes most of the time


async def is_ended_twice(client: Client, task_id: str) -> bool:
    record = (await client.get(f"/tasks/{task_id}")).json()
    return bool(record["attempts"] == 2 and record["status"] == Status.FAILURE)
