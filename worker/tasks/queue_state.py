"""Pause, resume and inspect the queue.

While it is paused, workers finish their running tasks and start no others; uploads are still accepted. arq's own loop
does not know the pause and starts tasks anyway.
"""

from msgspec import Struct
from redis.asyncio import Redis

from worker.tasks.capacity import QueueFull
from worker.tasks.indices import in_state
from worker.tasks.queue import PAUSED, WAKE_CHANNEL
from worker.tasks.status import FINAL_STATES, Status
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import SAMPLED_AGE_MS, SAMPLED_RUNNING, SAMPLED_WAITING, SAMPLES, Stats


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
