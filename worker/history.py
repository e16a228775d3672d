"""How the queue is, and how it was in the last hour and day."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from worker.counts import Counts
from worker.indices import in_state
from worker.queue import PAUSED
from worker.states import Status, now_ms
from worker.stats import SAMPLED_AGE_MS, SAMPLED_RUNNING, SAMPLED_WAITING, SAMPLES, Span, Stats


class Now(Struct, frozen=True):
    """How many tasks there are in each state, and how long the oldest of those that wait has waited."""

    tasks: dict[Status, int]
    oldest_waiting_ms: int | None
    paused_ms: int | None
    """When the queue was paused (Unix ms); None while it is not."""


class Point(Struct, frozen=True):
    """What happened in one span of time, which begins at `at_ms` and lasts `length_s`, the last one until now."""

    at_ms: int
    length_s: float
    counts: Counts


def combined(points: Sequence[Point]) -> Point:
    """Return all that happened in successive spans as one."""
    total = Counts({})
    for point in points:
        total.add(point.counts)
    return Point(points[0].at_ms, sum(point.length_s for point in points), total)


async def now(redis: Redis) -> Now:
    """Look at the queue, in one round trip."""
    async with redis.pipeline(transaction=False) as pipe:
        for status in Status:
            pipe.zcard(in_state(status))
        pipe.zrange(in_state(Status.PENDING), 0, 0, withscores=True)
        pipe.get(PAUSED)
        *counts, oldest, paused = await pipe.execute()
    age_ms = max(0, now_ms() - int(oldest[0][1])) if oldest else None
    return Now(dict(zip(Status, counts, strict=True)), age_ms, None if paused is None else int(paused))


async def sample(redis: Redis, stats: Stats) -> None:
    """Put how the queue is into the history; called once a minute by one of the workers."""
    found = await now(redis)
    stats.count(SAMPLES)
    stats.count(SAMPLED_WAITING, by=found.tasks[Status.PENDING])
    stats.count(SAMPLED_RUNNING, by=found.tasks[Status.STARTED])
    stats.count(SAMPLED_AGE_MS, by=found.oldest_waiting_ms or 0)


async def points(redis: Redis, span: Span) -> list[Point]:
    """Return a chart's points, the oldest first, in one round trip however many tasks there were."""
    at_ms = now_ms()
    last = span.number(at_ms)
    numbers = range(last - span.count + 1, last + 1)
    async with redis.pipeline(transaction=False) as pipe:
        for number in numbers:
            pipe.hgetall(span.key(number))
        found: Sequence[Any] = await pipe.execute()
    starts_ms = [number * span.length_s * 1000 for number in numbers]
    return [
        Point(start_ms, min(span.length_s, max(1, (at_ms - start_ms) / 1000)), Counts(fields))
        for start_ms, fields in zip(starts_ms, found, strict=True)
    ]
