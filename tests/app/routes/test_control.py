"""Cancel, retry, delete, and what the sweep takes up: nothing is lost and nothing left behind."""

from collections.abc import Callable

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import Client, eventually, serving, working
from tests.support.pictures import jpeg
from tests.worker.runner.test_worker import SLOW, is_in
from worker.runner.cleanup import sweep
from worker.storage import Storage
from worker.tasks.queue import LEASES
from worker.tasks.status import Status
from worker.tasks.store import Tasks

BROKEN = jpeg((800, 600))[:3000]


async def test_a_waiting_task_is_revoked_at_once(api: Client, settings: Settings) -> None:
    task_id = await api.upload()
    answer = await api.post(f"/tasks/{task_id}/cancel")
    assert (answer.status_code, answer.json()) == (200, {"task_id": task_id, "status": "REVOKED"})
    async with working(settings):
        assert (await api.ended(await api.upload()))["status"] == "SUCCESS"
    assert (await api.get(f"/task-status/{task_id}")).json()["status"] == "REVOKED"


async def test_a_running_task_stops_at_its_next_step(service: Client, stored: Callable[[], list[str]]) -> None:
    """It is in the resize of 16 megapixels or before; the encoding, which takes seconds, is not begun."""
    task_id = await service.upload(jpeg((6000, 4000)), **SLOW)
    await eventually(lambda: is_in(service, task_id, "STARTED"))
    answer = await service.post(f"/tasks/{task_id}/cancel")
    assert (answer.status_code, answer.json()) == (202, {"task_id": task_id, "status": "STARTED"})
    assert (await service.ended(task_id))["status"] == "REVOKED"
    assert stored() == [f"uploads/{task_id}"]


async def test_an_ended_task_cannot_be_cancelled(service: Client) -> None:
    task_id = await service.upload()
    await service.ended(task_id)
    answer = await service.post(f"/tasks/{task_id}/cancel")
    assert answer.status_code == 409
    assert answer.json()["detail"] == f"task {task_id} is SUCCESS and cannot become REVOKED"


@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_an_unknown_task_cannot_be_controlled(api: Client, action: str) -> None:
    assert (await api.post(f"/tasks/nonsense/{action}")).status_code == 404
    assert (await api.delete("/tasks/nonsense")).status_code == 404


async def test_a_failed_and_a_revoked_task_can_be_tried_again(service: Client, storage: Storage, tasks: Tasks) -> None:
    task_id = await service.upload(BROKEN)
    assert (await service.ended(task_id))["status"] == "FAILURE"
    await storage.put_bytes(f"uploads/{task_id}", jpeg())
    answer = await service.post(f"/tasks/{task_id}/retry")
    assert (answer.status_code, answer.json()) == (202, {"task_id": task_id, "status": "PENDING"})
    assert answer.headers["location"] == f"/task-status/{task_id}"
    assert await service.ended(task_id) == {
        "task_id": task_id, "status": "SUCCESS", "result": f"processed/{task_id}/photo.jpg",
    }  # fmt: skip
    again = await service.post(f"/tasks/{task_id}/retry")
    assert (again.status_code, again.json()["detail"]) == (409, f"task {task_id} is SUCCESS and cannot become PENDING")
    task = await tasks.get(task_id)
    assert (task.attempt, task.handed_back, task.error) == (2, 1, "")


async def test_a_revoked_task_is_tried_again_with_all_its_attempts(api: Client, settings: Settings) -> None:
    task_id = await api.upload()
    await api.post(f"/tasks/{task_id}/cancel")
    await api.post(f"/tasks/{task_id}/retry")
    async with working(settings):
        assert (await api.ended(task_id))["status"] == "SUCCESS"


async def test_a_task_without_its_upload_is_410(redis: ArqRedis, settings: Settings) -> None:
    frugal = msgspec.structs.replace(settings, keep_uploads=False)
    async with serving(frugal) as url, working(frugal), Client(base_url=url) as client:
        task_id = await client.upload(BROKEN)
        await client.ended(task_id)

        async def gone() -> bool:
            return (await client.post(f"/tasks/{task_id}/retry")).status_code == 410

        await eventually(gone)
        assert await client.ended(task_id)


async def test_delete_removes_record_upload_and_result(
    service: Client, redis: ArqRedis, stored: Callable[[], list[str]]
) -> None:
    task_id = await service.upload()
    await service.ended(task_id)
    assert (await service.delete(f"/tasks/{task_id}")).status_code == 204
    assert stored() == []
    assert not [key for key in await redis.keys("*") if task_id.encode() in key]
    for index in ("tasks:created", "tasks:SUCCESS", "uploads"):
        assert await redis.zcard(index) == 0
    assert (await service.get(f"/task-status/{task_id}")).status_code == 404
    assert (await service.delete(f"/tasks/{task_id}")).status_code == 404


async def test_a_waiting_task_can_be_deleted_and_a_running_one_not(api: Client, settings: Settings) -> None:
    waiting = await api.upload()
    assert (await api.delete(f"/tasks/{waiting}")).status_code == 204
    async with working(settings):
        running = await api.upload(**SLOW)
        await eventually(lambda: is_in(api, running, "STARTED"))
        refused = await api.delete(f"/tasks/{running}")
        assert (refused.status_code, refused.json()["detail"]) == (409, f"task {running} is running; cancel it first")
        await api.post(f"/tasks/{running}/cancel")
        await api.ended(running)


async def age(redis: ArqRedis, index: str) -> None:
    """Make all of an index's entries old."""
    for member in await redis.zrange(index, 0, -1):
        await redis.zadd(index, {member: 1})


async def test_the_sweep_removes_uploads_that_no_task_names(
    api: Client, redis: ArqRedis, tasks: Tasks, storage: Storage, stored: Callable[[], list[str]]
) -> None:
    """What an API process leaves that dies between storing an upload and creating its task."""
    named = await api.upload()
    await tasks.note_upload("orphan")
    await storage.put_bytes("uploads/orphan", b"x")
    await sweep(tasks, storage)
    assert stored() == sorted([f"uploads/{named}", "uploads/orphan"])
    await age(redis, "uploads")
    await sweep(tasks, storage)
    assert stored() == [f"uploads/{named}"]
    assert await redis.zcard("uploads") == 0


async def test_the_sweep_fails_what_waited_too_long_without_any_worker(
    api: Client, redis: ArqRedis, tasks: Tasks, storage: Storage
) -> None:
    task_id = await api.upload()
    await age(redis, "tasks:PENDING")
    await sweep(tasks, storage)
    view = (await api.get(f"/task-status/{task_id}")).json()
    assert view == {"task_id": task_id, "status": "FAILURE", "error": "it waited longer than 3600 s for a worker"}


@pytest.mark.parametrize("status", [Status.PENDING, Status.STARTED])
async def test_the_sweep_takes_up_a_task_that_the_queue_has_lost(
    api: Client, redis: ArqRedis, tasks: Tasks, storage: Storage, settings: Settings, status: Status
) -> None:
    lost, held = await api.upload(), await api.upload()
    if status is Status.STARTED:
        for task_id in (lost, held):
            await tasks.move(task_id, Status.STARTED)
        await tasks.renew_lease(held, 1)
    await redis.zrem("arq:queue", lost)
    await redis.delete(f"arq:job:{lost}")
    for member in (lost, held):
        await redis.zadd(f"tasks:{status}", {member: 1}, xx=True)
    patient = Tasks(redis, msgspec.structs.replace(settings, queue_timeout_s=1e11))
    await sweep(patient, storage)
    assert (await tasks.get(lost)).status is Status.PENDING
    assert (await tasks.get(held)).status is status
    async with working(settings):
        assert (await api.ended(lost))["status"] == "SUCCESS"
        await age(redis, LEASES)
        assert (await api.ended(held))["status"] == "SUCCESS"


async def test_the_sweep_leaves_a_task_alone_until_its_worker_lets_its_lease_lapse(
    api: Client, redis: ArqRedis, tasks: Tasks, storage: Storage
) -> None:
    """Then arq's own loop, which knows no leases, may be all that is left to run it."""
    task_id = await api.upload()
    await tasks.begin(1)
    await age(redis, "tasks:STARTED")
    await sweep(tasks, storage)
    assert (await tasks.get(task_id)).status is Status.STARTED
    await age(redis, LEASES)
    await sweep(tasks, storage)
    assert (await tasks.get(task_id)).status is Status.PENDING
    assert await redis.zscore("arq:queue", task_id) is not None
