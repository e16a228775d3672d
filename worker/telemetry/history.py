"""Counts as Redis holds them (`worker.telemetry.counters` writes them), and what they say."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from worker.telemetry.clock import now_ms
from worker.telemetry.counters import (
    BUCKETS_S,
    SUM,
    TOTALS,
    Span,
)

Labels = tuple[str, ...]


class Histogram(Struct, frozen=True):
    """How often times fell into each bucket, by its upper bound in seconds, and their sum."""

    buckets: dict[float, int]
    sum_s: float

    @property
    def count(self) -> int:
        return sum(self.buckets.values())

    def cumulative(self) -> list[tuple[float, int]]:
        """Return how many were at most so long, for every bound; the last is infinity."""
        total, found = 0, []
        for bound in sorted({*BUCKETS_S, math.inf, *self.buckets}):
            total += self.buckets.get(bound, 0)
            found.append((bound, total))
        return found

    def quantile(self, share: float) -> float | None:
        """Return the time in seconds that a share of them did not exceed; None when there are none.

        Interpolated within the bucket, as by Prometheus' `histogram_quantile`; beyond the last bound: that bound.
        """
        wanted, below, lower = share * self.count, 0, 0.0
        for bound, upto in self.cumulative():
            if upto > below and upto >= wanted:
                return lower if bound == math.inf else lower + (bound - lower) * (wanted - below) / (upto - below)
            below = upto
            lower = bound
        return None


class Counts:
    """One hash of counts."""

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self.by_name: defaultdict[str, dict[Labels, int]] = defaultdict(dict)
        for field, value in fields.items():
            name, *labels = field.decode().split(":")
            self.by_name[name][tuple(labels)] = int(value)

    def add(self, other: "Counts") -> None:
        for name, found in other.by_name.items():
            for labels, by in found.items():
                self.by_name[name][labels] = self.by_name[name].get(labels, 0) + by

    def by_labels(self, name: str) -> dict[Labels, int]:
        return self.by_name.get(name, {})

    def total(self, name: str, *labels: str) -> int:
        """Return the sum of a name's counts, of those whose first labels are these."""
        return sum(by for found, by in self.by_labels(name).items() if found[: len(labels)] == labels)

    def histogram(self, name: str, *labels: str) -> Histogram:
        found = {label[-1]: by for label, by in self.by_labels(name).items() if label[:-1] == labels}
        sum_us = found.pop(SUM, 0)
        return Histogram({float(bound): by for bound, by in found.items()}, sum_us / 1e6)


async def totals(redis: Redis) -> Counts:
    """Return what all processes have counted since Redis was empty."""
    return Counts(await redis.hgetall(TOTALS))  # type: ignore[misc] # redis-py types it for its blocking client too


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
