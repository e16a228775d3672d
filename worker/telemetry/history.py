"""Read the counts that `worker.telemetry.counters` writes to Redis, as totals and as the points of a chart."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from worker.telemetry.clock import now_ms
from worker.telemetry.counters import (
    BUCKETS_S,
    FAILED,
    MAX,
    MAXIMA,
    SUM,
    TOTALS,
    Span,
    maximum_of,
    sketch_of,
    sketch_value,
)

Labels = tuple[str, ...]


class Histogram(Struct, frozen=True):
    """The number of durations in each bucket, by its upper bound in seconds, and the sum of all durations."""

    buckets: dict[float, int]
    sum_s: float

    @property
    def count(self) -> int:
        return sum(self.buckets.values())

    def cumulative(self) -> list[tuple[float, int]]:
        """Return each bound with the number of durations up to it; the last bound is infinity."""
        total, counts = 0, []
        for bound in sorted({*BUCKETS_S, math.inf, *self.buckets}):
            total += self.buckets.get(bound, 0)
            counts.append((bound, total))
        return counts


class Sketch(Struct, frozen=True):
    """The number of durations in each narrow bucket, and the longest one in seconds; see `sketch_bucket`."""

    buckets: dict[int, int]
    max_s: float

    def quantile(self, share: float) -> float:
        """Return a duration in seconds within 2 % of the one that a share (0 to 1) of all does not exceed.

        It is never above the longest one. Raises ValueError if there are no durations.
        """
        rank, upto = math.ceil(share * sum(self.buckets.values())), 0
        for bucket, count in sorted(self.buckets.items()):
            upto += count
            if upto >= rank:
                return min(sketch_value(bucket), self.max_s)
        raise ValueError("there are no durations")


class Group(Struct, frozen=True):
    """The durations of a group, their sum in seconds, and the number of its failed tasks."""

    failed: int
    total_s: float
    sketch: Sketch

    @property
    def count(self) -> int:
        return sum(self.sketch.buckets.values())


class Counts:
    """The counts of one hash."""

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self.by_name: defaultdict[str, dict[Labels, int]] = defaultdict(dict)
        for field, value in fields.items():
            name, *labels = field.decode().split(":")
            self.by_name[name][tuple(labels)] = int(value)

    def add(self, other: "Counts") -> None:
        for name, counts in other.by_name.items():
            for labels, by in counts.items():
                known = self.by_name[name].get(labels, 0)
                is_maximum = name in MAXIMA or labels[-1:] == (MAX,)
                self.by_name[name][labels] = max(known, by) if is_maximum else known + by

    def by_labels(self, name: str) -> dict[Labels, int]:
        return self.by_name.get(name, {})

    def total(self, name: str, *labels: str) -> int:
        """Return the sum of the counts of this name whose labels begin with `labels`."""
        return sum(by for known, by in self.by_labels(name).items() if known[: len(labels)] == labels)

    def histogram(self, name: str, *labels: str) -> Histogram:
        buckets = {label[-1]: by for label, by in self.by_labels(name).items() if label[:-1] == labels}
        sum_us = buckets.pop(SUM, 0)
        return Histogram({float(bound): by for bound, by in buckets.items()}, sum_us / 1e6)

    def sketch(self, name: str) -> Sketch:
        buckets = {int(label): by for (label,), by in self.by_labels(sketch_of(name)).items()}
        return Sketch(buckets, self.total(maximum_of(name)) / 1e6)

    def groups(self, name: str) -> dict[str, Group]:
        """Return the groups of one of the `GROUPED` sketches by their names."""
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (group, label), by in self.by_labels(name).items():
            found[group][label] = by
        return {
            group: Group(
                failed=values.pop(FAILED, 0),
                total_s=values.pop(SUM, 0) / 1e6,
                sketch=Sketch(
                    max_s=values.pop(MAX, 0) / 1e6, buckets={int(bucket): by for bucket, by in values.items()}
                ),
            )
            for group, values in found.items()
        }


async def totals(redis: Redis) -> Counts:
    """Return the counts of all processes since Redis was empty."""
    return Counts(await redis.hgetall(TOTALS))  # type: ignore[misc] # redis-py types it for its blocking client too


class Point(Struct, frozen=True):
    """The counts of one span of time, from `at_ms` (Unix ms) for `length_s`; the last span ends now."""

    at_ms: int
    length_s: float
    counts: Counts


def combine(points: Sequence[Point]) -> Point:
    """Add up successive points."""
    total = Counts({})
    for point in points:
        total.add(point.counts)
    return Point(points[0].at_ms, sum(point.length_s for point in points), total)


async def points(redis: Redis, span: Span, *, groups: bool = False) -> list[Point]:
    """Return the points of a chart, or with `groups` those of the groups, oldest first, in one round trip."""
    at_ms = now_ms()
    last = span.number(at_ms)
    numbers = range(last - span.count + 1, last + 1)
    async with redis.pipeline(transaction=False) as pipe:
        for number in numbers:
            pipe.hgetall(span.groups_key(number) if groups else span.key(number))
        hashes: Sequence[Any] = await pipe.execute()
    starts_ms = [number * span.length_s * 1000 for number in numbers]
    return [
        Point(start_ms, min(span.length_s, max(1, (at_ms - start_ms) / 1000)), Counts(fields))
        for start_ms, fields in zip(starts_ms, hashes, strict=True)
    ]
