"""Drive the Lua scripts and the oracle with the same calls, on a clock of our own, and compare all that is in Redis."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import msgspec
from arq.constants import default_queue_name

from app.api_settings import Settings
from tests.worker.tasks.oracle import DELAY_MS, FLOWS, KINDS, LINES, QUEUE_LIMIT, START_MS, Event, Oracle, Refusal
from tests.worker.tasks.test_tasks import SPEC
from worker.tasks import queue
from worker.tasks.connection import SharedRedis, connect
from worker.tasks.events import STREAM
from worker.tasks.model import Task, pairs
from worker.tasks.queue_state import QueueFull, pause, resume
from worker.tasks.status import FINAL_STATES, Status, TaskNotFound, WrongState
from worker.tasks.store import Tasks

IDS = [f"{number}" * 8 + "-0000-4000-8000-000000000000" for number in range(1, len(KINDS) + 1)]
WORKERS = ("one", "two")
TIME = "redis.call('TIME')"
CLOCK = "{math.floor(redis.call('GET', 'clock') / 1000), redis.call('GET', 'clock') % 1000 * 1000}"
"""The same in Lua, of the key `clock` in Unix ms."""

Transform = Callable[[str], str]


def connect_clocked(url: str, transform: Transform = lambda text: text, timeout_s: float | None = None) -> SharedRedis:
    """Return a client whose scripts read the time from the key `clock`; `transform` may change their text first."""
    redis = connect(url, request_timeout_s=timeout_s)
    register = redis.register_script

    def register_clocked(text: str) -> Any:
        return register(transform(text).replace(TIME, CLOCK))

    redis.register_script = register_clocked  # type: ignore[method-assign, assignment]
    return redis


class Machine:
    """Two workers, three tasks and one clock. Each method is one call; it raises `AssertionError` if Redis differs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, redis: SharedRedis) -> None:
        self._loop = loop
        self._redis = redis
        self._tasks = Tasks(redis, Settings(queue_limit=QUEUE_LIMIT))
        self.oracle = Oracle(IDS)
        self.running: dict[str, dict[int, Task]] = {worker: {} for worker in WORKERS}
        """Worker -> the attempts that it has begun, or believes to run."""
        self._last_end: tuple[int, Task, Status, str] | None = None
        self._tokens = 0
        self.wait(redis.flushdb())
        self.wait(redis.set("clock", START_MS))

    def wait(self, action: Awaitable[Any]) -> Any:
        return self._loop.run_until_complete(action)

    def _token(self) -> str:
        self._tokens += 1
        return f"token {self._tokens}"

    def _both(self, real: Awaitable[Any], model: Callable[[], Any]) -> Any:
        """Do the same in Redis and in the oracle; both refuse it, or neither."""
        try:
            expected, refusal = model(), None
        except Refusal as exc:
            expected, refusal = None, exc
        try:
            result, error = self.wait(real), None
        except (QueueFull, TaskNotFound, WrongState) as exc:
            result, error = None, exc
        assert (error and type(error).__name__) == (refusal and str(refusal)), (error, refusal)
        if isinstance(error, QueueFull) and refusal is not None:
            assert str(error) == str(type(error)(*refusal.numbers))
        self.compare()
        return result, expected

    def create(self, task: int) -> None:
        kind = KINDS[task]
        spec = msgspec.structs.replace(SPEC, source=None, url="https://example.com/a.jpg") if kind.is_fetched else SPEC
        call = self._tasks.create_all({IDS[task]: spec}, None, kind.callback_url, kind.owner, kind.schedule, kind.batch)
        self._both(call, lambda: self.oracle.create(task))

    def begin(self, worker: str, count: int, fetches: int) -> None:
        running = self.running[worker]
        ids = [IDS[task] for task in running]
        token = self._token()
        reply, expected = self._both(
            self._begin(worker, ids, token, count, fetches),
            lambda: self.oracle.begin(worker, list(running), token, count, fetches),
        )
        repeated = self.wait(self._begin(worker, ids, token, count, fetches)) if expected else reply
        assert repeated == reply, "a repeated call gives the same and changes nothing"
        self.compare()
        begun = {IDS.index(task_id.decode()): pairs(record) for task_id, record in pairs(reply).items()}
        assert list(begun) == expected
        for task, record in begun.items():
            running[task] = self.wait(self._tasks.get(IDS[task]))
            assert record[b"status"] == b"STARTED"

    async def _begin(self, worker: str, running: list[str], token: str, count: int, fetches: int) -> Any:
        return await self._tasks._begin(
            keys=queue.begin_keys(token), count=count, fetches=fetches, running=running, worker=worker, token=token,
            hosts={}, flows={}, host_share=8, flow_share=16, lease_ms=queue.LEASE_S * 1000,
            unfinished_ttl_ms=queue.JOB_EXPIRES_MS, events_kept=1000, **queue.BEGIN_ARGS,
        )  # fmt: skip

    def advance(self, ms: int) -> None:
        self.oracle.now += ms
        self.wait(self._redis.set("clock", self.oracle.now))

    def renew(self, worker: str, task: int) -> None:
        attempt = self.running[worker][task].attempt
        call = self._tasks.renew_lease(IDS[task], attempt)
        self._both(call, lambda: self.oracle.renew(task, attempt))

    def progress(self, worker: str, task: int) -> None:
        attempt = self.running[worker][task].attempt
        call = self._tasks._report_progress(
            keys=[f"task:{IDS[task]}"], id=IDS[task], attempt=attempt, steps=STEPS, progress="0.5", events_kept=1000
        )
        self._both(call, lambda: self.oracle.progress(task, attempt, STEPS))

    def stray(self, task: int) -> None:
        record = self.oracle.records.get(task)
        if record is not None and record.status in FINAL_STATES:
            self.oracle.stray(task)
            self.wait(self._redis.zadd(queue.LEASES, {IDS[task]: self.oracle.now}))

    def end(self, worker: str, task: int, status: Status) -> None:
        attempt, token = self.running[worker].pop(task), self._token()
        self._end(task, attempt, status, token)
        self._last_end = task, attempt, status, token

    def repeat_end(self) -> None:
        if self._last_end is not None:
            self._end(*self._last_end)

    def _end(self, task: int, attempt: Task, status: Status, token: str) -> None:
        call = self._tasks.move(
            IDS[task], status, attempt=attempt.attempt, sources=(Status.STARTED,), fields={"token": token}
        )
        sources = (Status.STARTED,)
        self._both(call, lambda: self.oracle.move(task, status, attempt=attempt.attempt, sources=sources, token=token))

    def hand_back(self, worker: str, task: int) -> None:
        attempt = self.running[worker].pop(task)
        handed_back = attempt.handed_back + 1
        call = self._tasks.move(
            IDS[task], Status.PENDING, attempt=attempt.attempt, sources=(Status.STARTED,),
            fields={"handed_back": handed_back}, delay_ms=DELAY_MS,
        )  # fmt: skip
        self._both(call, lambda: self.oracle.hand_back(task, attempt.attempt, handed_back))

    def crash(self, worker: str) -> None:
        self.running[worker].clear()

    def cancel(self, task: int) -> None:
        self._both(self._tasks.cancel(IDS[task]), lambda: self.oracle.cancel(task, self._token()))

    def retry(self, task: int) -> None:
        async def call() -> None:
            await self._tasks.retry(await self._tasks.get(IDS[task]), KINDS[task].owner)

        self._both(call(), lambda: self.oracle.retry(task))

    def delete(self, task: int) -> None:
        result, expected = self._both(self._tasks.delete(IDS[task]), lambda: self.oracle.delete(task))
        assert result == expected

    def fail_overdue(self, task: int) -> None:
        """As the clean-up does for a task that has waited too long."""
        token = self._token()
        call = self._tasks.move(IDS[task], Status.FAILURE, sources=(Status.PENDING,), fields={"token": token})
        self._both(call, lambda: self.oracle.move(task, Status.FAILURE, sources=(Status.PENDING,), token=token))

    def lose_from_queue(self, task: int) -> None:
        """Lose a waiting task as arq's own loop can, and queue it again as the clean-up does."""
        record = self.oracle.records.get(task)
        if record is None or record.status is not Status.PENDING:
            return
        lines = [f"turns:{line}:{flow}" for line in LINES for flow in FLOWS]
        for name in (default_queue_name, queue.FETCH_QUEUE, *lines):
            self.wait(self._redis.zrem(name, IDS[task]))
        self.wait(self._redis.zrem("turns:timers", f"start:{IDS[task]}"))
        attempt, sources = record.attempt, (Status.PENDING,)
        call = self._tasks.move(IDS[task], Status.PENDING, attempt=attempt, sources=sources)
        self._both(call, lambda: self.oracle.move(task, Status.PENDING, attempt=attempt, sources=sources))

    def pause(self) -> None:
        self.oracle.is_paused = True
        self.wait(pause(self._redis))

    def resume(self) -> None:
        self.oracle.is_paused = False
        self.wait(resume(self._redis))

    def compare(self) -> None:
        self.oracle.check()
        expected, found = self.oracle.snapshot(IDS), self.wait(self._snapshot())
        assert found == expected, {
            name: (found[name], expected[name]) for name in expected if found[name] != expected[name]
        }

    async def _snapshot(self) -> Mapping[str, Any]:
        indices = ["created", "created:ann", *Status, *(f"{status}:ann" for status in Status)]
        sets = [*(f"tasks:{name}" for name in indices), default_queue_name, queue.FETCH_QUEUE, queue.LEASES]
        sets.append("turns:timers")
        async with self._redis.pipeline(transaction=False) as pipe:
            for task_id in IDS:
                pipe.hgetall(f"task:{task_id}")
                pipe.exists(f"arq:job:{task_id}")
            for name in sets:
                pipe.zrange(name, 0, -1, withscores=True)
            pipe.zrange("uploads", 0, -1)
            pipe.smembers("tasks:owners")
            pipe.zcard(queue.WEBHOOK_QUEUE)
            pipe.xrange(STREAM)
            pipe.xrange(f"{STREAM}:ann")
            reply = await pipe.execute()
        hashes, jobs = reply[: 2 * len(IDS) : 2], reply[1 : 2 * len(IDS) : 2]
        found = [{member.decode(): int(score) for member, score in entries} for entries in reply[2 * len(IDS) : -5]]
        uploads, owners, messages, events, of_ann = reply[-5:]
        _check_event_ids(hashes, events, of_ann)
        return {
            "records": {task_id: _fields(record) for task_id, record in zip(IDS, hashes, strict=True) if record},
            **dict(zip([*indices, "queue", "fetches", "leases", "timers"], found, strict=True)),
            **await self._turns(),
            **await self._batch(),
            "uploads": {task_id.decode() for task_id in uploads},
            "owners": {owner.decode() for owner in owners},
            "jobs": {task_id for task_id, exists in zip(IDS, jobs, strict=True) if exists},
            "messages": messages,
            "events": [(entry[b"task_id"].decode(), _event(entry)) for _, entry in events],
        }

    async def _turns(self) -> Mapping[str, Any]:
        turns = {}
        for line in LINES:
            flows = await self._scores(f"turns:{line}")
            orders = {flow: await self._redis.zrange(f"turns:{line}:{flow}", 0, -1) for flow in FLOWS}
            state = {
                name.removeprefix(f"cost:{line}:"): float(value)
                for name, value in (await self._state()).items()
                if name in (f"now:{line}", *(f"cost:{line}:{flow}" for flow in FLOWS))
            }
            turns[line] = {
                "now": state.pop(f"now:{line}", 0.0),
                "flows": flows,
                "costs": state,
                "order": {flow: [each.decode() for each in order] for flow, order in orders.items() if order},
                "ahead": await self._scores(f"turns:ahead:{line}"),
            }
        paces = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall("turns:pace"))
        pace = {flow.decode(): float(value) for flow, value in paces.items()}
        return {"turns": turns, "pace": pace}

    async def _batch(self) -> dict[str, Any]:
        record = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall("batch:b"))
        counts = Counter({status: int(record.get(status.encode(), 0)) for status in map(str, Status)})
        ids = await self._redis.zrange("batch:b:tasks", 0, -1)
        return {"batch": +counts, "batch tasks": {task_id.decode() for task_id in ids}}

    async def _state(self) -> dict[str, bytes]:
        state = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall("turns:state"))
        return {name.decode(): value for name, value in state.items()}

    async def _scores(self, name: str) -> dict[str, float]:
        return {member.decode(): score for member, score in await self._redis.zrange(name, 0, -1, withscores=True)}


STEPS = '[{"progress":0.5}]'

FIELDS = (
    "status", "attempt", "created_ms", "queued_ms", "started_ms", "ended_ms", "cancel", "handed_back", "worker", "ends",
    "fetch", "message_id", "progress",
)  # fmt: skip


def _fields(record: Mapping[bytes, bytes]) -> dict[str, str | None]:
    """Return the fields that the oracle knows; an absent one and a zero are the same for those that are flags."""
    found = {name: record[name.encode()].decode() if name.encode() in record else None for name in FIELDS}
    for flag in ("cancel", "handed_back", "fetch"):
        found[flag] = None if found[flag] == "0" else found[flag]
    return found


def _event(entry: Mapping[bytes, bytes]) -> Event:
    status, position, steps = (entry.get(name) for name in (b"status", b"position", b"steps"))
    return Event(
        IDS.index(entry[b"task_id"].decode()),
        int(entry[b"attempt"]),
        Status(status.decode()) if status is not None else None,
        int(position) if position is not None else None,
        steps.decode() if steps is not None else None,
    )


def _check_event_ids(hashes: list[Any], events: list[Any], of_ann: list[Any]) -> None:
    """The record of a task names its events but the first, and the stream of an owner those of its tasks."""
    for task_id, record in zip(IDS, hashes, strict=True):
        if record:
            own = [event_id for event_id, entry in events if entry[b"task_id"] == task_id.encode()]
            known = record.get(b"events", b"").split()
            assert known == (own[-len(known) :] if known else [])
            assert len(known) >= (record[b"attempt"] != b"0")
    owned = [event_id for event_id, entry in events if entry.get(b"owner") == b"ann"]
    indexed = [event_id for event_id, _ in of_ann]
    assert indexed == (owned[-len(indexed) :] if indexed else [])
    assert bool(indexed) >= any(record.get(b"owner") == b"ann" for record in hashes)
