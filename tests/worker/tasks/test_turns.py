"""Fair turns: whose task is started next."""

import random
from collections import Counter
from itertools import cycle

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.worker.tasks.test_tasks import SPEC
from worker.errors import ErrorCode
from worker.tasks.model import Task, new_task_id
from worker.tasks.schedule import Owner, Priority, Schedule
from worker.tasks.status import Status
from worker.tasks.store import Tasks
from worker.telemetry.clock import now_ms, rfc3339

ANN, BEN = Owner("ann"), Owner("ben")


@pytest.fixture
def tasks(redis: ArqRedis, settings: Settings) -> Tasks:
    return Tasks(redis, msgspec.structs.replace(settings, queue_limit=20_000))


async def create(
    tasks: Tasks, count: int, owner: Owner | None = None, side: int = 1000, **schedule: object
) -> list[str]:
    """Queue `count` tasks on square images of `side` pixels; return their ids."""
    spec = msgspec.structs.replace(SPEC, size=(side, side))
    ids = [new_task_id() for _ in range(count)]
    for task_id in ids:
        await tasks.create(task_id, spec, None, None, owner, msgspec.convert(schedule, Schedule))
    return ids


async def start(tasks: Tasks) -> Task:
    [task] = await tasks.begin(1)
    return task


async def owners_started(tasks: Tasks, count: int) -> list[str]:
    """Start `count` tasks, one at a time, each of which ends at once; return the flows of all."""
    flows = []
    for _ in range(count):
        task = await start(tasks)
        flows.append(task.flow)
        await tasks.move(task.id, Status.FAILURE)
    return flows


async def test_a_flood_of_one_key_delays_another_by_two_tasks_at_most(tasks: Tasks) -> None:
    await create(tasks, 10_000, ANN)
    waits = []
    for _ in range(50):
        await owners_started(tasks, 3)
        [own] = await create(tasks, 1, BEN)
        assert (await tasks.position(own) or 0) <= 2
        started: list[str] = []
        while own not in started:
            task = await start(tasks)
            await tasks.move(task.id, Status.FAILURE)
            started.append(task.id)
        waits.append(len(started) - 1)
    assert max(waits) <= 2


async def test_one_owner_alone_gets_everything_in_order_of_arrival(tasks: Tasks) -> None:
    ids = await create(tasks, 30, ANN)
    started = await tasks.begin(100)
    assert {task.id for task in started} == set(ids)
    arrivals = [task.created_ms for task in started]
    assert arrivals == sorted(arrivals)


@pytest.mark.parametrize(("weight", "other"), [(3, 1), (1, 1), (10, 3)])
async def test_owners_get_shares_in_proportion_to_their_weights(tasks: Tasks, weight: int, other: int) -> None:
    for _ in range(300):
        await create(tasks, 1, Owner("ann", weight=weight))
        await create(tasks, 1, Owner("ben", weight=other))
    shares = Counter(await owners_started(tasks, 300))
    assert shares["ann"] / shares["ben"] == pytest.approx(weight / other, rel=0.05)


async def test_turns_go_by_expected_cost_and_not_by_number(tasks: Tasks) -> None:
    """Each owner gets half of the time: ten pictures of one cost as much as one of the other."""
    large = msgspec.structs.replace(SPEC, size=(4000, 3000))
    small = msgspec.structs.replace(SPEC, size=(100, 100))
    await create(tasks, 30, ANN, 3464)
    await create(tasks, 400, BEN, 100)
    shares = Counter(await owners_started(tasks, 200))
    assert shares["ben"] / shares["ann"] == pytest.approx(large.expected_ms / small.expected_ms, rel=0.1)


async def test_the_expected_cost_is_refined_by_what_the_tasks_of_an_owner_took(tasks: Tasks, redis: ArqRedis) -> None:
    """Tasks that look alike, of which those of one owner take ten times as long."""
    for owner, took_ms in ((ANN, 300), (BEN, 30)):
        await create(tasks, 60, owner)
        for _ in range(60):
            task = await start(tasks)
            await redis.execute_command("HSET", f"task:{task.id}", "started_ms", now_ms() - took_ms)  # type: ignore[no-untyped-call]
            await tasks.move(task.id, Status.SUCCESS)
    await create(tasks, 300, ANN)
    await create(tasks, 300, BEN)
    await owners_started(tasks, 100)  # until both wait, and neither has turns left from before
    shares = Counter(await owners_started(tasks, 200))
    assert shares["ben"] / shares["ann"] == pytest.approx(10, rel=0.25)


async def test_an_owner_that_was_away_has_not_saved_up_turns(tasks: Tasks) -> None:
    await create(tasks, 1, BEN)
    await create(tasks, 200, ANN)
    await owners_started(tasks, 100)
    await create(tasks, 50, BEN)
    shares = Counter(await owners_started(tasks, 40))
    assert shares["ann"] == pytest.approx(20, abs=1)


async def test_an_owner_gains_no_turns_by_leaving_and_coming_back(tasks: Tasks) -> None:
    """One that always has one task waiting gets no more than one with hundreds."""
    await create(tasks, 200, ANN)
    shares: Counter[str] = Counter()
    await create(tasks, 1, BEN)
    for _ in range(100):
        [flow] = await owners_started(tasks, 1)
        shares[flow] += 1
        if flow == "ben":
            await create(tasks, 1, BEN)
    assert shares["ben"] == pytest.approx(50, abs=1)


async def test_tasks_that_are_cancelled_cost_their_owner_nothing(tasks: Tasks) -> None:
    waiting = await create(tasks, 100, ANN)
    await create(tasks, 100, BEN)
    for task_id in waiting:
        await tasks.cancel(task_id)
    await create(tasks, 100, ANN)
    assert Counter(await owners_started(tasks, 100))["ann"] == pytest.approx(50, abs=1)


async def test_without_keys_queue_groups_take_turns_and_the_rest_is_a_group_of_its_own(tasks: Tasks) -> None:
    for group in ("one", "two", None):
        await create(tasks, 30, queue_group=group)
    assert Counter(await owners_started(tasks, 30)) == {"one": 10, "two": 10, "": 10}


async def test_priorities_order_the_tasks_of_an_owner_and_give_it_no_more_turns(tasks: Tasks) -> None:
    normal = await create(tasks, 5, ANN)
    await create(tasks, 10, BEN)
    high = await create(tasks, 5, ANN, priority="high")
    started = [task for _ in range(20) for task in await tasks.begin(1)]
    own = [task.id for task in started if task.flow == "ann"]
    assert (set(own[:5]), set(own[5:])) == (set(high), set(normal))
    assert Counter(task.flow for task in started[:10]) == {"ann": 5, "ben": 5}


async def test_low_is_started_only_while_nothing_else_waits(tasks: Tasks) -> None:
    low = await create(tasks, 3, ANN, priority="low")
    low.remove((await start(tasks)).id)
    normal = await create(tasks, 2, BEN)
    high = await create(tasks, 1, ANN, priority="high")
    assert {await tasks.position(task_id) for task_id in low} == {4, 5}
    started = [(await start(tasks)).id for _ in range(5)]
    assert set(started[:3]) == {*normal, *high}
    assert set(started[3:]) == set(low)


async def test_positions_are_the_order_in_which_tasks_are_started(tasks: Tasks) -> None:
    """Owners of different weights whose tasks cost the same within each: exactly."""
    sides = {"ann": 300, "ben": 1000, "cat": 2500}
    chance = random.Random(18)
    for name in chance.choices(list(sides), k=60):
        await create(tasks, 1, Owner(name, weight=len(name + name[0]) % 3 + 1), sides[name])
    await tasks.begin(5)
    waiting = [task_id.decode() for task_id in await tasks.redis.zrange("tasks:PENDING", 0, -1)]
    positions = {task_id: await tasks.position(task_id) for task_id in waiting}
    started = [(await start(tasks)).id for _ in waiting]
    assert [positions[task_id] for task_id in started] == list(range(1, len(waiting) + 1))


async def test_a_position_among_a_thousand_owners_is_about_right(tasks: Tasks) -> None:
    for number in range(1000):
        await create(tasks, 2, Owner(f"owner{number}"))
    last = (await create(tasks, 1, Owner("owner0")))[0]
    assert await tasks.position(last) == pytest.approx(2001, rel=0.02)


async def test_a_task_that_is_handed_back_is_the_next_of_its_owner(tasks: Tasks) -> None:
    await create(tasks, 1, ANN)
    first = await start(tasks)
    later = await create(tasks, 3, ANN)
    await tasks.move(first.id, Status.PENDING, attempt=1, fields={"handed_back": 1}, due_ms=first.created_ms - 1)
    started = [(await start(tasks)).id for _ in range(4)]
    assert started[0] == first.id
    assert set(started[1:]) == set(later)


async def test_a_task_waits_until_its_start_and_has_no_position_before(tasks: Tasks, redis: ArqRedis) -> None:
    [late] = await create(tasks, 1, start_at=rfc3339(now_ms() + 60_000))
    assert await tasks.begin(5) == []
    assert await tasks.position(late) is None
    await redis.zadd("turns:timers", {f"start:{late}": now_ms() - 5})
    assert [task.id for task in await tasks.begin(5)] == [late]


async def test_a_task_that_expires_is_started_to_fail_even_if_there_is_no_slot_or_the_queue_is_paused(
    tasks: Tasks, redis: ArqRedis
) -> None:
    [expiring, other] = await create(tasks, 1, expires_in=1) + await create(tasks, 1)
    await redis.set("tasks:paused", 1)
    await redis.zadd("turns:timers", {f"expire:{expiring}": now_ms() - 5})
    await redis.execute_command("HSET", f"task:{expiring}", "expires_ms", now_ms() - 5)  # type: ignore[no-untyped-call]
    [task] = await tasks.begin(0)
    assert (task.id, task.has_expired) == (expiring, True)
    assert await redis.zcard("turns:timers") == 0
    await redis.delete("tasks:paused")
    assert [task.id for task in await tasks.begin(1)] == [other]


async def test_a_task_that_is_started_in_time_never_expires(tasks: Tasks, redis: ArqRedis) -> None:
    await create(tasks, 1, expires_in=3600)
    task = await start(tasks)
    assert not task.has_expired
    assert await redis.zcard("turns:timers") == 0


async def test_nothing_is_left_of_the_turns_when_all_tasks_have_ended(tasks: Tasks, redis: ArqRedis) -> None:
    for owner, priority in zip([ANN, BEN, None] * 3, cycle(Priority), strict=False):
        await create(tasks, 3, owner, priority=priority)
    while started := await tasks.begin(2):
        for task in started:
            await tasks.move(task.id, Status.FAILURE, fields={"error_code": ErrorCode.PICTURE})
    await create(tasks, 1, priority="low")
    await owners_started(tasks, 1)
    left = {key.decode() for key in await redis.keys("turns:*")}
    assert left <= {"turns:state", "turns:ahead:main", "turns:ahead:background"}


async def test_a_flood_of_fetches_that_hang_delays_nobody_else(tasks: Tasks) -> None:
    """However many URLs of one key wait, 2,000 here, another key's is fetched next, and no slot is taken by either."""
    spec = msgspec.structs.replace(SPEC, source=None, url="https://hangs.example/a.jpg")
    for _ in range(2000):
        await tasks.create(new_task_id(), spec, None, None, ANN)
    fetching = await tasks.begin(0, fetches=32)
    assert Counter(task.flow for task in fetching) == {"ann": 8}
    own = new_task_id()
    await tasks.create(own, msgspec.structs.replace(spec, url="https://other.example/a.jpg"), None, None, BEN)
    assert await tasks.position(own) == 1
    started = await tasks.begin(0, fetches=24, fetching=fetching)
    assert [task.id for task in started] == [own]
