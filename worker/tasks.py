"""The task: its record in Redis, its states and the one table of moves between them, and the indices.

`task:<id>` is a hash and the only truth. `tasks:created` (by creation) and `tasks:<STATUS>` (by entry into the
state) are sorted sets of ids scored in Unix milliseconds; every change goes through one atomic script.
"""

import time
from collections.abc import Awaitable, Mapping
from enum import StrEnum
from importlib import resources
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
from redis.asyncio import Redis

from worker import queue
from worker.formats import ImageFormat
from worker.plan import Plan


class Status(StrEnum):
    PENDING = "PENDING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.STARTED, Status.FAILURE, Status.REVOKED}),
    # STARTED again: the worker died and another takes over. PENDING: a stopping worker hands it back.
    Status.STARTED: frozenset({Status.STARTED, Status.PENDING, Status.SUCCESS, Status.FAILURE, Status.REVOKED}),
    Status.SUCCESS: frozenset(),
    Status.FAILURE: frozenset(),
    Status.REVOKED: frozenset(),
}

ENDS = frozenset(status for status, targets in TRANSITIONS.items() if not targets)

UNFINISHED_TTL_MS = queue.JOB_EXPIRES_MS
"""A task that no end reaches goes with its job; sooner would lose it while it waits."""


class Spec(msgspec.Struct, frozen=True):
    """What was accepted; never changes."""

    plan: Plan
    source: ImageFormat
    name: str
    """File name of the result, made safe, with its extension."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task's record. Times are Unix milliseconds."""

    id: str
    spec_json: bytes
    status: Status
    created_ms: int
    attempt: int = 0
    """How often it was begun; each beginning has its own number, which guards what that attempt writes."""
    handed_back: int = 0
    """How many of those a stopping worker gave up by its own will."""
    started_ms: int | None = None
    ended_ms: int | None = None
    error: str | None = None

    @property
    def spec(self) -> Spec:
        """Decode what was accepted; raises `msgspec.ValidationError` for what another version of Darkroom wrote."""
        return msgspec.json.decode(self.spec_json, type=Spec)

    @property
    def upload_path(self) -> str:
        return upload_path(self.id)

    @property
    def result_path(self) -> str:
        return f"processed/{self.id}/{self.spec.name}"

    @property
    def is_finished(self) -> bool:
        return self.status in ENDS


def upload_path(task_id: str) -> str:
    return f"uploads/{task_id}"


class TaskNotFound(Exception):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"there is no task {task_id[:64]!r}: the id is wrong, or the task was removed after its time")


class WrongState(Exception):
    """The move is not in the table, or a newer attempt has taken the task over."""

    def __init__(self, task_id: str, status: Status, target: Status) -> None:
        super().__init__(f"task {task_id} is {status} and cannot become {target}")
        self.status = status


def new_task_id() -> str:
    return str(uuid4())


class Tasks:
    """The tasks in Redis. Methods raise redis-py's errors when Redis is away."""

    def __init__(self, redis: Redis, ttl_s: int) -> None:
        self._redis = redis
        self._ttl_ms = ttl_s * 1000
        self._move = redis.register_script(resources.files("worker").joinpath("move.lua").read_text())

    async def create(self, task_id: str, spec: Spec) -> None:
        """Record a task as PENDING and queue it, both or neither, in one round trip."""
        now_ms = _now_ms()
        async with self._redis.pipeline(transaction=True) as pipe:
            record = {"status": Status.PENDING, "created_ms": now_ms, "spec": msgspec.json.encode(spec)}
            pipe.hset(_key(task_id), mapping=record)
            pipe.pexpire(_key(task_id), UNFINISHED_TTL_MS)
            pipe.zadd("tasks:created", {task_id: now_ms})
            pipe.zadd(f"tasks:{Status.PENDING}", {task_id: now_ms})
            queue.push(pipe, task_id, now_ms)
            await pipe.execute()

    async def get(self, task_id: str) -> Task:
        """Return the task, or raise `TaskNotFound`; whatever is not an id names no task."""
        try:
            known_id = str(UUID(task_id))
        except ValueError:
            raise TaskNotFound(task_id) from None
        # redis-py types each command for its blocking client too.
        record = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(_key(known_id)))
        if b"status" not in record:
            raise TaskNotFound(task_id)
        return _decode(known_id, record)

    async def move(self, task_id: str, target: Status, *, attempt: int | None = None, **fields: str | int) -> Task:
        """Move a task to `target` and set `fields`, or raise `WrongState` or `TaskNotFound`.

        With `attempt`, only while that attempt is the task's latest.
        """
        now_ms = _now_ms()
        if target in ENDS:
            fields["ended_ms"] = now_ms
        elif target is Status.STARTED:
            fields["started_ms"] = now_ms
        sources = " ".join(source for source, targets in TRANSITIONS.items() if target in targets)
        ttl_ms = self._ttl_ms if target in ENDS else UNFINISHED_TTL_MS
        pairs = [part for pair in fields.items() for part in pair]
        reply: list[bytes] = await self._move(
            keys=[_key(task_id)],
            args=[task_id, target, now_ms, ttl_ms, "" if attempt is None else attempt, f" {sources} ", *pairs],
        )
        if not reply:
            raise TaskNotFound(task_id)
        if reply[0] == b"WRONG":
            raise WrongState(task_id, Status(reply[1].decode()), target)
        return _decode(task_id, dict(zip(reply[::2], reply[1::2], strict=True)))

    async def expired(self, limit: int) -> list[str]:
        """Return up to `limit` ids of finished tasks whose time is over."""
        latest_ms = _now_ms() - self._ttl_ms
        async with self._redis.pipeline(transaction=False) as pipe:
            for status in sorted(ENDS):
                pipe.zrangebyscore(f"tasks:{status}", "-inf", latest_ms, start=0, num=limit)
            ids: list[list[bytes]] = await pipe.execute()
        return [task_id.decode() for found in ids for task_id in found][:limit]

    async def forget(self, task_id: str) -> None:
        """Remove a task's record and index entries."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(_key(task_id))
            for index in ("created", *Status):
                pipe.zrem(f"tasks:{index}", task_id)
            await pipe.execute()


def _key(task_id: str) -> str:
    return f"task:{task_id}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _decode(task_id: str, record: Mapping[bytes, bytes]) -> Task:
    fields: dict[str, Any] = {name.decode(): value.decode() for name, value in record.items()}
    fields["spec_json"] = record[b"spec"]
    return msgspec.convert({"id": task_id, **fields}, Task, strict=False)
