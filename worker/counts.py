"""Counts as Redis holds them (`worker.stats` writes them), and what they say."""

import math
from collections import defaultdict
from collections.abc import Mapping

from msgspec import Struct
from redis.asyncio import Redis

from worker.stats import BUCKETS_S, SUM, TOTALS

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
