"""The states, the one table of moves, the guard and the indices, in a real Valkey."""

import asyncio
from itertools import product
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import DEADLINE_S
from tests.support.rendering import one
from worker.imaging.formats import InputFormat
from worker.operations.resize import Resize
from worker.runner.cleanup import remove_expired
from worker.storage import Storage
from worker.tasks import queue
from worker.tasks.model import Spec, Task, new_task_id
from worker.tasks.status import FINAL_STATES, TRANSITIONS, Status, TaskNotFound, WrongState
from worker.tasks.store import UNFINISHED_TTL_MS, Tasks

SPEC = Spec(one([Resize(width=5)], format="webp", quality=7), InputFormat.JPEG, "photo")


async def created(tasks: Tasks) -> str:
    task_id = new_task_id()
    await tasks.create(task_id, SPEC)
    return task_id


async def in_state(tasks: Tasks, status: Status) -> str:
    task_id = await created(tasks)
    if status is Status.PENDING:
        return task_id
    await tasks.move(task_id, Status.STARTED)
    if status is not Status.STARTED:
        await tasks.move(task_id, status)
    return task_id


async def index(redis: ArqRedis, name: str) -> list[str]:
    return [member.decode() for member in await redis.zrange(f"tasks:{name}", 0, -1)]


async def test_a_new_task_is_pending_recorded_queued_and_indexed(redis: ArqRedis, tasks: Tasks) -> None:
    task_id = await created(tasks)
    task = await tasks.get(task_id)
    assert (task.status, task.spec, task.attempt, task.started_ms) == (Status.PENDING, SPEC, 0, None)
    assert await index(redis, "created") == await index(redis, "PENDING") == [task_id]
    [job] = await redis.queued_jobs()
    assert (job.job_id, job.function, list(job.args)) == (task_id, "process_task", [task_id])
    assert 0 < await redis.pttl(f"task:{task_id}") <= UNFINISHED_TTL_MS
    assert 0 < await redis.pttl(f"arq:job:{task_id}") <= UNFINISHED_TTL_MS


@pytest.mark.parametrize(("source", "target"), list(product(Status, Status)))
async def test_only_the_moves_of_the_table_are_possible(
    redis: ArqRedis, tasks: Tasks, source: Status, target: Status
) -> None:
    task_id = await in_state(tasks, source)
    before = await tasks.get(task_id)
    if target in TRANSITIONS[source]:
        assert (await tasks.move(task_id, target)).status is target
        now = target
    else:
        with pytest.raises(WrongState, match=f"is {source} and cannot become {target}"):
            await tasks.move(task_id, target)
        assert await tasks.get(task_id) == before
        now = source
    assert (await tasks.get(task_id)).status is now
    for status in Status:
        assert await index(redis, status) == ([task_id] if status is now else [])
    assert await index(redis, "created") == [task_id]


async def test_a_late_attempt_cannot_change_what_a_newer_one_holds(tasks: Tasks) -> None:
    task_id = await created(tasks)
    first = await tasks.move(task_id, Status.STARTED)
    second = await tasks.move(task_id, Status.STARTED)
    assert (first.attempt, second.attempt) == (1, 2)
    for target in (Status.SUCCESS, Status.FAILURE, Status.PENDING):
        with pytest.raises(WrongState):
            await tasks.move(task_id, target, attempt=first.attempt)
    done = await tasks.move(task_id, Status.SUCCESS, attempt=second.attempt)
    assert done.is_finished


async def test_of_many_that_end_a_task_at_once_one_does(tasks: Tasks) -> None:
    task_id = await in_state(tasks, Status.STARTED)
    moves = [tasks.move(task_id, end) for end in sorted(FINAL_STATES) * 10]
    outcomes = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(not isinstance(outcome, WrongState) for outcome in outcomes) == 1


async def test_times_are_recorded_and_a_finished_task_expires(
    redis: ArqRedis, tasks: Tasks, settings: Settings
) -> None:
    task_id = await in_state(tasks, Status.SUCCESS)
    task = await tasks.get(task_id)
    assert task.started_ms is not None
    assert task.ended_ms is not None
    assert task.created_ms <= task.started_ms <= task.ended_ms
    assert 0 < await redis.ttl(f"task:{task_id}") <= settings.task_ttl_s


async def test_an_expired_task_is_not_found(redis: ArqRedis, tasks: Tasks) -> None:
    task_id = await in_state(tasks, Status.SUCCESS)
    await redis.pexpire(f"task:{task_id}", 1)
    await asyncio.sleep(0.005)
    with pytest.raises(TaskNotFound, match=r"no task has the id .*, or it has expired"):
        await tasks.get(task_id)
    with pytest.raises(TaskNotFound):
        await tasks.move(task_id, Status.STARTED)


async def test_an_id_is_found_however_its_letters_are_written(tasks: Tasks) -> None:
    task_id = await created(tasks)
    assert (await tasks.get(task_id.upper())).id == task_id


async def test_the_sweep_removes_what_expired_and_nothing_else(
    redis: ArqRedis, tasks: Tasks, storage: Storage, settings: Settings
) -> None:
    ids = {status: await in_state(tasks, status) for status in Status}
    for task_id in ids.values():
        await storage.put_bytes(f"uploads/{task_id}", b"upload")
        await storage.put_bytes(f"processed/{task_id}/photo.webp", b"result")
    assert await remove_expired(tasks, storage) == 0
    for status in (Status.SUCCESS, Status.STARTED):
        await redis.zadd(f"tasks:{status}", {ids[status]: 1}, xx=True)
    assert await remove_expired(tasks, storage) == 1
    assert await remove_expired(tasks, storage) == 0

    gone = ids.pop(Status.SUCCESS)
    assert await redis.exists(f"task:{gone}") == 0
    assert gone not in await index(redis, "created") + await index(redis, "SUCCESS")
    for path in (f"uploads/{gone}", f"processed/{gone}/photo.webp"):
        with pytest.raises(FileNotFoundError):
            await storage.read(path)
    for task_id in ids.values():
        assert (await tasks.get(task_id)).id == task_id
        assert await storage.read(f"uploads/{task_id}") == b"upload"
        assert await storage.read(f"processed/{task_id}/photo.webp") == b"result"


async def test_a_cancelled_sweep_leaves_nothing_running(redis: ArqRedis, tasks: Tasks, storage: Storage) -> None:
    """Deletions that outlive the sweep would open connections that nobody closes."""
    for _ in range(20):
        await redis.zadd(f"tasks:{Status.SUCCESS}", {await in_state(tasks, Status.SUCCESS): 1}, xx=True)
    others = asyncio.all_tasks()
    sweep = asyncio.create_task(remove_expired(tasks, storage))
    async with asyncio.timeout(DEADLINE_S):
        while len(asyncio.all_tasks() - others) < 20:  # noqa: ASYNC110 - no event says it
            await asyncio.sleep(0)
    sweep.cancel()
    await asyncio.gather(sweep, return_exceptions=True)
    assert asyncio.all_tasks() == others


async def test_a_task_costs_one_round_trip_to_create_and_one_to_move(redis: ArqRedis, tasks: Tasks) -> None:
    """Counted by the server: commands that arrive together in one transaction are one round trip."""
    await in_state(tasks, Status.SUCCESS)  # loads the script

    async def reads() -> int:
        return int((await redis.info("stats"))["total_reads_processed"])

    before = await reads()
    overhead = await reads() - before
    before = await reads()
    task_id = await created(tasks)
    await tasks.move(task_id, Status.STARTED)
    assert await reads() - before == 2 + overhead


async def test_what_redis_is_told_twice_happens_once(tasks: Tasks) -> None:
    """The client repeats a command whose reply was lost with the connection."""
    task_id = await created(tasks)
    for _ in range(2):
        assert (await tasks.move(task_id, Status.STARTED, fields={"token": "same"})).attempt == 1
    done = await tasks.move(task_id, Status.SUCCESS)
    await tasks.create(task_id, SPEC)
    assert await tasks.get(task_id) == done


async def test_an_unfinished_task_is_not_retired(tasks: Tasks) -> None:
    for status in Status:
        task_id = await in_state(tasks, status)
        assert await tasks.delete(task_id) is (status in FINAL_STATES)
        if status not in FINAL_STATES:
            assert (await tasks.get(task_id)).status is status


async def test_workers_that_begin_at_once_never_get_the_same_task(redis: ArqRedis, tasks: Tasks) -> None:
    ids = [await created(tasks) for _ in range(250)]
    begun = [task for batch in await asyncio.gather(*(tasks.begin(30) for _ in range(10))) for task in batch]
    assert sorted(task.id for task in begun) == sorted(ids)
    assert {(task.status, task.attempt) for task in begun} == {(Status.STARTED, 1)}
    assert await redis.zcard("arq:queue") == 0
    assert sorted(await index(redis, "leases")) == sorted(await index(redis, "STARTED")) == sorted(ids)
    assert await tasks.begin(30) == []


async def test_the_oldest_task_is_begun_first_and_no_more_than_asked_for(tasks: Tasks, redis: ArqRedis) -> None:
    ids = [await created(tasks) for _ in range(5)]
    for age, task_id in enumerate(ids):
        await redis.zadd("turns:main:", {task_id: 1000 - age})
    assert [task.id for task in await tasks.begin(2)] == [ids[4], ids[3]]


async def test_a_lapsed_lease_comes_first_unless_it_is_the_workers_own(tasks: Tasks, redis: ArqRedis) -> None:
    lapsed, own = [task.id for task in await begun(tasks, 2)]
    waiting = await created(tasks)
    await redis.zadd(queue.LEASES, {lapsed: 1, own: 1})
    again, fresh = await tasks.begin(2, [own])
    assert (again.id, again.attempt, again.deaths) == (lapsed, 2, 1)
    assert (fresh.id, fresh.attempt) == (waiting, 1)
    assert (await tasks.get(own)).attempt == 1
    assert await redis.zscore(queue.LEASES, own) > 1


async def begun(tasks: Tasks, count: int) -> list[Task]:
    for _ in range(count):
        await created(tasks)
    return await tasks.begin(count)


async def test_what_is_put_off_is_not_begun(redis: ArqRedis, tasks: Tasks) -> None:
    [task] = await begun(tasks, 1)
    await tasks.move(task.id, Status.PENDING, due_ms=2**42)
    due = await created(tasks)
    assert [each.id for each in await tasks.begin(3)] == [due]
    assert task.id not in await index(redis, "leases")


async def test_what_arqs_own_loop_runs_and_its_cron_jobs_are_left_to_it(redis: ArqRedis, tasks: Tasks) -> None:
    locked, free = [await created(tasks) for _ in range(2)]
    await redis.set(f"arq:in-progress:{locked}", b"1")
    await redis.zadd("arq:queue", {"cron:sweep_all:1": 1})
    assert [task.id for task in await tasks.begin(1)] == [free]
    assert await tasks.begin(1) == []
    assert await redis.zcard("arq:queue") == 2


async def test_a_record_that_cannot_be_read_fails_and_harms_no_other(redis: ArqRedis, tasks: Tasks) -> None:
    broken, sound = [await created(tasks) for _ in range(2)]
    await redis.execute_command("HSET", f"task:{broken}", "created_ms", "x")  # type: ignore[no-untyped-call]
    assert [task.id for task in await tasks.begin(2)] == [sound]
    assert await index(redis, "FAILURE") == [broken]
    assert await index(redis, "leases") == [sound]


async def test_an_ended_task_that_still_has_a_turn_or_a_lease_loses_it(redis: ArqRedis, tasks: Tasks) -> None:
    waiting, leased = [await in_state(tasks, Status.SUCCESS) for _ in range(2)]
    await redis.zadd("turns:main", {"": 1})
    await redis.zadd("turns:main:", {waiting: 1})
    await redis.zadd(queue.LEASES, {leased: 1})
    await redis.zadd("arq:queue", {leased: 1})
    assert await tasks.begin(5) == []
    assert await redis.exists("turns:main", "turns:main:", queue.LEASES, "arq:queue") == 0


async def test_beginning_told_twice_gives_the_same_tasks(redis: ArqRedis, tasks: Tasks) -> None:
    """The client repeats a command whose reply was lost with the connection: byte for byte."""
    await created(tasks)
    script = tasks._begin

    async def twice(keys: list[str], **args: Any) -> Any:
        await script(keys, **args)
        return await script(keys, **args)

    tasks._begin = twice  # type: ignore[assignment]
    [task] = await tasks.begin(2)
    assert task.attempt == 1


def test_a_spec_is_stored_as_json_that_a_person_can_read() -> None:
    assert msgspec.json.decode(msgspec.json.encode(SPEC)) == {
        "plan": {
            "variants": {
                "": {
                    "operations": [{"operation": "resize", "width": 5}],
                    "output": {"format": "webp", "quality": 7},
                },
            },
        },
        "source": "jpeg",
        "stem": "photo",
    }
