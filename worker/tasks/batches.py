"""Batches: many tasks that are created, watched and fetched together.

The hash `batch:<id>` has the number of tasks in each state, which the Lua scripts keep; `batch:<id>:tasks` has the ids
in the order of the request. Both are deleted with the last task.
"""

from collections.abc import Awaitable
from typing import cast

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from worker.tasks.lists.listing import records_of
from worker.tasks.model import Task
from worker.tasks.status import FINAL_STATES, Status, TaskNotFound, parse_task_id


class BatchNotFound(Exception):
    def __init__(self, batch_id: str) -> None:
        super().__init__(f"no batch has the id {batch_id[:64]!r}, or it has expired")


class BatchRunning(Exception):
    """The batch has unfinished tasks, and the request needs all of them to have ended."""

    def __init__(self, unfinished: int) -> None:
        super().__init__(f"{unfinished:,} tasks of the batch have not ended yet")


class Batch(Struct, frozen=True, kw_only=True):
    """A batch. Times are Unix milliseconds."""

    id: str
    total: int
    """Number of tasks at its creation."""
    created_ms: int
    ended_ms: int | None = None
    """When its last task ended; None while one is unfinished."""
    owner: str | None = None
    """Name of the API key that created it."""
    callback_url: str | None = None
    counts: dict[Status, int]
    """Number of tasks in each state; tasks that were deleted are in none."""

    @property
    def unfinished(self) -> int:
        return sum(count for status, count in self.counts.items() if status not in FINAL_STATES)

    def require_ended(self) -> None:
        """Raise `BatchRunning` if a task is unfinished."""
        if self.unfinished:
            raise BatchRunning(self.unfinished)


def _key(batch_id: str) -> str:
    return f"batch:{batch_id}"


async def get_batch(redis: Redis, batch_id: str) -> Batch:
    """Return a batch; raise `BatchNotFound` if no batch has this id."""
    try:
        known_id = parse_task_id(batch_id)
    except TaskNotFound:
        raise BatchNotFound(batch_id) from None
    # redis-py types each command for its blocking client too.
    record = await cast("Awaitable[dict[bytes, bytes]]", redis.hgetall(_key(known_id)))
    fields = {name.decode(): value.decode() for name, value in record.items()}
    if "total" not in fields:
        raise BatchNotFound(batch_id)
    counts = {status: int(fields.get(status, 0)) for status in Status}
    return msgspec.convert({"id": known_id, "counts": counts, **fields}, Batch, strict=False)


async def task_ids(redis: Redis, batch_id: str) -> list[str]:
    """Return the ids of the tasks in the order of the request."""
    ids: list[bytes] = await redis.zrange(f"{_key(batch_id)}:tasks", 0, -1)
    return [task_id.decode() for task_id in ids]


async def page_of(redis: Redis, batch_id: str, first: int, count: int) -> tuple[list[Task], int | None]:
    """Return up to `count` tasks from number `first` of the request on, and the number from which the next page begins.

    That is None on the last page.
    """
    entries = await redis.zrangebyscore(
        f"{_key(batch_id)}:tasks", first, "+inf", start=0, num=count + 1, withscores=True, score_cast_func=int
    )
    records = await records_of(redis, [task_id.decode() for task_id, _ in entries[:count]])
    following = entries[count][1] if len(entries) > count else None
    return [task for task in records if task is not None], following


async def tasks_of(redis: Redis, batch_id: str) -> list[Task]:
    """Return all tasks of a batch that can be read, in the order of the request."""
    return [task for task in await records_of(redis, await task_ids(redis, batch_id)) if task is not None]
