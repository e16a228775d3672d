"""The event stream: a Redis stream of all state changes and all progress of tasks.

The Lua scripts append to it as part of each change (_common.lua, report_progress.lua); the API reads it.
"""

import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from redis.asyncio import Redis

from worker.tasks.model import Task, parse_record, task_key
from worker.tasks.progress import Step
from worker.tasks.status import FINAL_STATES, Status, parse_task_id

logger = logging.getLogger(__name__)

STREAM = "tasks:events"
"""The key of the stream. `tasks:events:<owner>` is a stream of the ids of the events of an owner."""

BEGINNING = "0-0"
"""The id before the first event."""

CREATION_MS = 20
"""Difference between the time of a task's creation and of its first event: one script stamps both."""

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
    tags: list[str] = []
    """The tags of the task, in events of a new state."""
    batch: str | None = None
    """Id of the batch to which the task belongs, if there is one."""
    ends_batch: bool = False
    """Whether this is the end of the last unfinished task of the batch."""

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


async def following(redis: Redis, after_id: str, count: int, wait_ms: int | None = None) -> tuple[list[Event], str]:
    """Return the events among the next `count` entries of the stream, and the id of the last of these entries.

    With `wait_ms`, wait up to that long for the first. Without any, the id is `after_id`.
    """
    reply: list[Any] = await redis.xread({STREAM: after_id}, count, wait_ms)
    entries = [entry for _, entries in reply for entry in entries]
    return _decoded(entries), entries[-1][0].decode() if entries else after_id


async def events_of_task(redis: Redis, task: Task) -> list[Event]:
    """Return the events of a task that are still in the stream, oldest first, by the ids in its record."""
    created = task.created_ms
    async with redis.pipeline(transaction=False) as pipe:
        pipe.xrange(STREAM, str(created - CREATION_MS), str(created + CREATION_MS))
        for event_id in task.events.split():
            pipe.xrange(STREAM, event_id, event_id)
        at_creation, *others = await pipe.execute()
    known = task.events.encode().split()
    first = [entry for entry in at_creation if entry[1].get(b"task_id") == task.id.encode() and entry[0] not in known]
    return _decoded(first + [entry for entries in others for entry in entries])


async def events_of_owner(redis: Redis, owner: str, after_id: str, count: int) -> tuple[list[Event], str]:
    """Return the events among the next `count` of an owner, and the id of the last of these, as `following` does."""
    index = await redis.xrange(f"{STREAM}:{owner}", f"({after_id}", count=count)
    async with redis.pipeline(transaction=False) as pipe:
        for event_id, _ in index:
            pipe.xrange(STREAM, event_id, event_id)
        found = await pipe.execute()
    events = _decoded([entry for entries in found for entry in entries])
    return events, index[-1][0].decode() if index else after_id


def _decoded(entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> list[Event]:
    """Decode entries of the stream, without those that this version does not know."""
    events = []
    for entry_id, entry in entries:
        try:
            events.append(_decode(entry_id, entry))
        except (KeyError, ValueError) as exc:  # including msgspec's errors
            _log_unknown(f"{type(exc).__name__}: {exc}"[:200])
    return events


@lru_cache(maxsize=64)
def _log_unknown(reason: str) -> None:
    """Log that an event is skipped, once for each reason."""
    logger.warning("events that this version of Darkroom does not know are skipped: %s", reason)


def _decode(entry_id: bytes, entry: Mapping[bytes, bytes]) -> Event:
    names = (b"owner", b"status", b"position", b"batch", b"tags")
    owner, status, position, batch, tags = map(entry.get, names)
    return Event(
        entry_id.decode(),
        entry[b"task_id"].decode(),
        owner.decode() if owner is not None else None,
        int(entry[b"attempt"]),
        Status(status.decode()) if status is not None else None,
        int(position) if position is not None else None,
        _decode_steps(entry.get(b"steps", b"[]")),
        tags.decode().split(",") if tags is not None else [],
        batch.decode() if batch is not None else None,
        b"ends_batch" in entry,
    )
