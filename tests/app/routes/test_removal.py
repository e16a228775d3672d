"""Removing tasks while others remove them too, and a clean-up that one failing task does not end."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.app.routes.test_control import age
from tests.conftest import PHOTO, Client, working
from tests.worker.tasks.test_tasks import SPEC
from worker.runner.cleanup import BATCH, remove_partial_files, sweep
from worker.storage import Storage, upload_path
from worker.tasks.model import new_task_id
from worker.tasks.status import Status, TaskNotFound
from worker.tasks.store import Tasks

VARIANTS = '{"a": {}, "b": {"format": "png"}, "c": {"format": "webp"}}'


async def three_results(api: Client) -> str:
    """Upload a picture of which three results are made, and return the id of its task."""
    form = {"file": ("photo.jpg", PHOTO), "variants": (None, VARIANTS.encode())}
    answer = await api.post("/process-image/", files=form)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


@pytest.mark.parametrize("is_waiting", [True, False], ids=["waiting", "ended"])
async def test_deletes_beside_each_other_all_succeed(
    api: Client, settings: Settings, stored: Callable[[], list[str]], *, is_waiting: bool
) -> None:
    ids = [await three_results(api) for _ in range(25)]
    if not is_waiting:
        async with working(settings):
            for task_id in ids:
                await api.ended(task_id)
    statuses: Counter[int] = Counter()
    for task_id in ids:
        answers = await asyncio.gather(*(api.delete(f"/tasks/{task_id}") for _ in range(4)))
        statuses.update(answer.status_code for answer in answers)
        assert 204 in {answer.status_code for answer in answers}
    assert set(statuses) <= {204, 404}
    assert stored() == []


async def test_deletes_beside_the_sweep_all_succeed(
    service: Client, redis: ArqRedis, tasks: Tasks, storage: Storage, stored: Callable[[], list[str]]
) -> None:
    ids = [await three_results(service) for _ in range(25)]
    for task_id in ids:
        await service.ended(task_id)
    await age(redis, f"tasks:{Status.SUCCESS}")
    answers, *_ = await asyncio.gather(
        asyncio.gather(*(service.delete(f"/tasks/{task_id}") for task_id in ids)),
        sweep(tasks, storage),
        sweep(tasks, storage),
    )
    assert {answer.status_code for answer in answers} <= {204, 404}
    assert stored() == []


async def test_a_delete_stops_no_task_that_begins_just_then(api: Client, tasks: Tasks) -> None:
    for _ in range(40):
        task_id = await api.upload()
        await asyncio.gather(api.delete(f"/tasks/{task_id}"), tasks.begin(1))
        try:
            task = await tasks.get(task_id)
        except TaskNotFound:
            continue
        assert not task.cancel


async def test_half_written_files_are_deleted_when_nobody_writes_them_any_more(
    storage: Storage, tmp_path: Path, stored: Callable[[], list[str]]
) -> None:
    """Obstore writes to such a name and renames it; a process that is killed leaves it."""
    for path in ("uploads/x", "processed/y/photo.jpg"):
        await storage.put_bytes(path, b"x")
        for number in (1, 22):
            (tmp_path / "storage" / f"{path}#{number}").write_bytes(b"x")
    (tmp_path / "storage" / "processed" / "y" / "a#b").write_bytes(b"x")
    for name in ("uploads/x#1", "processed/y/photo.jpg#22", "uploads/x"):
        os.utime(tmp_path / "storage" / name, (1, 1))
    await remove_partial_files(storage)
    assert stored() == [
        "processed/y/a#b", "processed/y/photo.jpg", "processed/y/photo.jpg#1", "uploads/x", "uploads/x#22",
    ]  # fmt: skip


def obstruct(storage_dir: Path, task_id: str) -> None:
    """Make the task's upload one that cannot be removed: a directory that is not empty."""
    (storage_dir / upload_path(task_id) / "stone").mkdir(parents=True)


async def test_files_that_cannot_be_removed_end_no_sweep(
    redis: ArqRedis, tasks: Tasks, storage: Storage, tmp_path: Path, stored: Callable[[], list[str]]
) -> None:
    """More of them than one batch, and they come first each time."""
    stuck, good = [new_task_id() for _ in range(BATCH + 5)], [new_task_id() for _ in range(5)]
    for task_id in (*stuck, *good):
        await tasks.create(task_id, SPEC)
        await tasks.move(task_id, Status.REVOKED)
    for task_id in stuck:
        obstruct(tmp_path / "storage", task_id)
    for task_id in good:
        await storage.put_bytes(upload_path(task_id), b"x")
    for index in (f"tasks:{Status.REVOKED}", "uploads"):
        await age(redis, index)
    await sweep(tasks, storage)
    assert stored() == []  # directories are no files
    assert await redis.zcard(f"tasks:{Status.REVOKED}") == 0
    left = {member.decode() for member in await redis.zrange("uploads", 0, -1)}
    assert left == set(stuck)
    for task_id in stuck:
        (tmp_path / "storage" / upload_path(task_id) / "stone").rmdir()
        (tmp_path / "storage" / upload_path(task_id)).rmdir()
    await sweep(tasks, storage)
    assert await redis.zcard("uploads") == 0


async def test_records_that_cannot_be_read_end_no_sweep(
    redis: ArqRedis, tasks: Tasks, storage: Storage, settings: Settings
) -> None:
    overdue, good = [new_task_id() for _ in range(3)], new_task_id()
    for task_id in (*overdue, good):
        await tasks.create(task_id, SPEC)
    for task_id in overdue:
        async with redis.pipeline() as pipe:
            pipe.hset(f"task:{task_id}", "attempt", "many")
            await pipe.execute()
    await age(redis, f"tasks:{Status.PENDING}")
    for member in await redis.zrange("arq:queue", 0, -1):
        await redis.zrem("arq:queue", member)  # lost by the queue as well
    await sweep(tasks, storage)
    assert (await tasks.get(good)).status is Status.FAILURE
    patient = Tasks(redis, msgspec.structs.replace(settings, queue_timeout_s=1e11))
    for task_id in overdue:
        await redis.zadd(f"tasks:{Status.PENDING}", {task_id: 1})
    await sweep(patient, storage)
