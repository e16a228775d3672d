"""The event stream: a Redis stream of all state changes and all progress of tasks.

The Lua scripts append to it as part of each change (_common.lua, report_progress.lua); the API reads it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from redis.asyncio import Redis

from worker.tasks.model import Task, parse_record, parse_task_id, task_key
from worker.tasks.progress import Step
from worker.tasks.status import FINAL_STATES, Status

STREAM = "tasks:events"

BEGINNING = "0-0"
"""The id before the first event."""

READ_AT_ONCE = 1000

_decode_steps = msgspec.json.Decoder(list[Step]).decode


class Event(msgspec.Struct, frozen=True):
    """An event: a new state, completed steps, or both (the last steps and the end)."""

    id: str
    """The stream id, `<Unix ms>-<count>`; later events have greater ids."""
    task_id: str
    owner: str | None
    """Name of the API key that created the task."""
    attempt: int
    status: Status | None
    position: int | None
    """Position in the queue, from 1, when the task was queued."""
    steps: list[Step]

    @property
    def at_ms(self) -> int:
        return int(self.id.partition("-")[0])

    @property
    def is_end(self) -> bool:
        return self.status in FINAL_STATES


def is_later(one_id: str, other_id: str) -> bool:
    return _key(one_id) > _key(other_id)


def _key(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


async def newest_id(redis: Redis) -> str:
    return newest_of(await redis.xrevrange(STREAM, count=1))


def newest_of(entries: list[tuple[bytes, Any]]) -> str:
    """Return the id of the newest event in a reply to XREVRANGE."""
    return entries[0][0].decode() if entries else BEGINNING


async def task_with_newest_id(redis: Redis, task_id: str) -> tuple[Task, str]:
    """Return a task and the id of the newest event that its record reflects, or raise `TaskNotFound`."""
    known_id = parse_task_id(task_id)
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hgetall(task_key(known_id))
        pipe.xrevrange(STREAM, count=1)
        record, newest = await pipe.execute()
    return parse_record(known_id, record), newest_of(newest)


async def following(redis: Redis, after_id: str, count: int, wait_ms: int | None = None) -> list[Event]:
    """Return up to `count` events after an id; with `wait_ms`, wait up to that long for the first."""
    reply: list[Any] = await redis.xread({STREAM: after_id}, count, wait_ms)
    return [_decode(entry_id, entry) for _, entries in reply for entry_id, entry in entries]


async def between(redis: Redis, task_id: str, from_ms: int, until_ms: int | None) -> list[Event]:
    """Return the events of a task in a span of time (Unix ms of the Redis server) that are still in the stream."""
    first, last = str(from_ms), "+" if until_ms is None else str(until_ms)
    events: list[Event] = []
    while entries := await redis.xrange(STREAM, first, last, READ_AT_ONCE):
        events += [_decode(*entry) for entry in entries if entry[1][b"task_id"] == task_id.encode()]
        first = f"({entries[-1][0].decode()}"
    return events


def _decode(entry_id: bytes, entry: Mapping[bytes, bytes]) -> Event:
    owner, status, position = entry.get(b"owner"), entry.get(b"status"), entry.get(b"position")
    return Event(
        entry_id.decode(),
        entry[b"task_id"].decode(),
        owner.decode() if owner is not None else None,
        int(entry[b"attempt"]),
        Status(status.decode()) if status is not None else None,
        int(position) if position is not None else None,
        _decode_steps(entry.get(b"steps", b"[]")),
    )
