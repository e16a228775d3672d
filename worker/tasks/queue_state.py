"""Pause, resume and inspect the queue, and the errors of a full one.

While it is paused, workers finish their running tasks and start no others; uploads are still accepted. arq's own loop
does not know the pause and starts tasks anyway.
"""

import math
import time
from collections.abc import Hashable

from msgspec import Struct
from redis.asyncio import Redis

from worker.tasks.lists.indices import in_state
from worker.tasks.queue import PAUSED, WAKE_CHANNEL
from worker.tasks.status import FINAL_STATES, Status
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import (
    MAX_AGE_MS,
    MAX_WAITING,
    SAMPLED_AGE_MS,
    SAMPLED_RUNNING,
    SAMPLED_WAITING,
    SAMPLES,
    Stats,
)

UNKNOWN_RETRY_S = 30
"""`Retry-After` when no task has ended recently and there is no rate to estimate from."""


class QueueFull(Exception):
    """The queue has no room for `wanted` tasks; `retry_after_s` estimates when it has."""

    def __init__(self, waiting: int, ended_in_10_s: int, wanted: int = 1) -> None:
        self.retry_after_s = _retry_after_s(waiting, ended_in_10_s)
        room = "is full with" if wanted == 1 else f"has no room for {wanted:,} tasks beside"
        super().__init__(f"the queue {room} {waiting:,} waiting tasks; try again in {self.retry_after_s} s")


def _retry_after_s(waiting: int, ended_in_10_s: int) -> int:
    """Estimate the time to finish a tenth of the queue at the rate of the last 10 s, limited to 1 to 60 s."""
    if ended_in_10_s == 0:
        return UNKNOWN_RETRY_S
    return max(1, min(60, math.ceil(waiting / 10 / (ended_in_10_s / 10))))


class OwnerQueueFull(QueueFull):
    """The owner has reached its limit of waiting tasks."""

    slug = "owner_waits"
    """The name in metrics and in the `type` of the problem document."""

    def __init__(self, waiting: int, ended_in_10_s: int, wanted: int = 1) -> None:
        self.retry_after_s = _retry_after_s(waiting, ended_in_10_s)
        limit = "its limit" if wanted == 1 else f"and no room for {wanted:,} more"
        Exception.__init__(
            self, f"this API key already has {waiting:,} waiting tasks, {limit}; try again in {self.retry_after_s} s"
        )


FULL_REMEMBERED_S = 1.0
"""Time for which uploads are refused unread after the queue was full."""


class Capacity:
    """Remembers when the queue, or an owner's share of it, was full."""

    def __init__(self) -> None:
        self._full: dict[Hashable, tuple[float, QueueFull]] = {}
        """Owner (None for the whole queue) -> the time until which uploads are refused (monotonic), and the error."""

    def check(self, owner: Hashable | None) -> None:
        """Raise `QueueFull` if `Tasks.create` found the queue full within the last second."""
        for key in (None, owner):
            if key in self._full and time.monotonic() < self._full[key][0]:
                raise self._full[key][1]

    def record_full(
        self, waiting: int, ended_in_10_s: int, owner: Hashable | None = None, wanted: int = 1
    ) -> QueueFull:
        """Return the error to raise; remember it if the queue, or the owner's share of it, has no room for one task."""
        full = (QueueFull if owner is None else OwnerQueueFull)(waiting, ended_in_10_s, wanted)
        if wanted == 1:
            self._full[owner] = time.monotonic() + FULL_REMEMBERED_S, full
        return full


async def pause(redis: Redis) -> None:
    """Pause the queue until `resume`; restarts of workers, APIs and Redis do not end the pause."""
    await redis.set(PAUSED, now_ms(), nx=True)


async def resume(redis: Redis) -> None:
    """Resume the queue and wake the workers."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.delete(PAUSED)
        pipe.publish(WAKE_CHANNEL, "")
        await pipe.execute()


async def check_capacity(redis: Redis, limit: int) -> None:
    """Raise `QueueFull` if `limit` or more tasks are waiting."""
    async with redis.pipeline(transaction=False) as pipe:
        pipe.zcard(in_state(Status.PENDING))
        for status in sorted(FINAL_STATES):
            pipe.zcount(in_state(status), now_ms() - 10_000, "+inf")
        waiting, *ended = await pipe.execute()
    if waiting >= limit:
        raise QueueFull(waiting, sum(ended))


class QueueSnapshot(Struct, frozen=True):
    """The number of tasks in each state, and the age of the oldest waiting task."""

    tasks: dict[Status, int]
    oldest_waiting_ms: int | None
    paused_ms: int | None
    """When the queue was paused (Unix ms); None if it is not."""


async def snapshot(redis: Redis) -> QueueSnapshot:
    """Read the state of the queue in one round trip."""
    async with redis.pipeline(transaction=False) as pipe:
        for status in Status:
            pipe.zcard(in_state(status))
        pipe.zrange(in_state(Status.PENDING), 0, 0, withscores=True)
        pipe.get(PAUSED)
        *counts, oldest, paused = await pipe.execute()
    age_ms = max(0, now_ms() - int(oldest[0][1])) if oldest else None
    return QueueSnapshot(dict(zip(Status, counts, strict=True)), age_ms, None if paused is None else int(paused))


async def sample(redis: Redis, stats: Stats) -> None:
    """Add the state of the queue to the history; one of the workers calls this once a minute."""
    state = await snapshot(redis)
    stats.count(SAMPLES)
    stats.count(SAMPLED_WAITING, by=state.tasks[Status.PENDING])
    stats.count(SAMPLED_RUNNING, by=state.tasks[Status.STARTED])
    stats.count(SAMPLED_AGE_MS, by=state.oldest_waiting_ms or 0)
    stats.raise_to(MAX_WAITING, state.tasks[Status.PENDING])
    stats.raise_to(MAX_AGE_MS, state.oldest_waiting_ms or 0)
