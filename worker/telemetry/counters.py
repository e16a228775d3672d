"""Counters of this process, and the `Reporter` that adds them to the counters of all processes in Redis.

Each process counts in memory. Once a second, and when it stops, it adds its new counts to the hash `stats:totals` and
to the hashes of the current minute and quarter of an hour, `stats:<length in s>:<number since 1970>`, which expire when
they leave the charts. A process that is killed loses the counts of its last second at most.

A field is a name and its labels, joined by colons: `tasks:FAILURE:picture`. A histogram has a field for each bucket,
named by its upper bound in seconds, and one for the sum of all observations: `waiting:0.05`, `waiting:sum_us`. Its
buckets are those of Prometheus, too wide for a quantile; for the charts there is a sketch with narrow ones,
`waiting_sketch:-57`, and the maximum, `waiting_max_us`.
"""

import asyncio
import logging
import math
from bisect import bisect_left
from collections import defaultdict
from uuid import uuid4

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker.telemetry.clock import follow, now_ms
from worker.telemetry.lua import Script

logger = logging.getLogger(__name__)

TASKS = "tasks"
"""Ended tasks by state and, for failures, error code."""
WAITING, RUNNING = "waiting", "running"
"""Histograms of the waiting and the running time of ended tasks."""
OPERATION = "operation"
"""Histograms of the duration of each operation, by name."""
REFUSALS = "refusals"
"""Requests answered with an error, by problem type."""
WEBHOOKS = "webhooks"
"""Webhook attempts, by the state of the message after the attempt."""
BYTES_IN, BYTES_OUT = "bytes_in", "bytes_out"
"""Bytes of uploads, received or fetched, and of results."""
SAMPLES, SAMPLED_WAITING, SAMPLED_RUNNING, SAMPLED_AGE_MS = (
    "samples",
    "sampled_waiting",
    "sampled_running",
    "sampled_ms",
)
"""Samples of the queue, one a minute: their number, and sums of waiting tasks, running tasks and the longest wait."""

MAX_WAITING, MAX_AGE_MS = "max_waiting", "max_ms"
"""Maxima of the samples of the queue: waiting tasks and the longest wait."""

SKETCHED = (WAITING, RUNNING)
"""Histograms that have a sketch and a maximum for the charts."""


def sketch_of(name: str) -> str:
    return f"{name}_sketch"


def maximum_of(name: str) -> str:
    return f"{name}_max_us"


_SKETCHES = {name: (sketch_of(name), maximum_of(name)) for name in SKETCHED}

MAXIMA = {MAX_WAITING, MAX_AGE_MS, *map(maximum_of, SKETCHED)}
"""Fields that are not added up: the greater value stays."""

CHARTED_ONLY = {SAMPLES, SAMPLED_WAITING, SAMPLED_RUNNING, SAMPLED_AGE_MS, *MAXIMA, *map(sketch_of, SKETCHED)}
"""Counters that the hashes of minutes and quarters have, but not the totals."""

CHARTED = {TASKS, REFUSALS, *CHARTED_ONLY}
"""Counters that the hashes of minutes and quarters have."""

BY_OPERATION, BY_FORMAT, BY_OWNER = "by_operation", "by_format", "by_owner"
"""Sketches of the time that operations took, and of the running time of tasks by the format of their upload and by the
API key that created them. They are in hashes of their own, `stats:groups:<length in s>:<number>`, which are read when
they are asked for. Labels: the group, then a bucket, `sum_us`, `max_us` or `failed` (tasks)."""

GROUPED = {BY_OPERATION, BY_FORMAT, BY_OWNER}

FAILED, MAX = "failed", "max_us"

GROWTH = 1.04
"""Ratio of the bounds of a sketch's buckets: a value in the middle of one is within 2 % of the durations in it
(DDSketch: Masson, Rim, Lee, VLDB 2019). A millisecond to an hour are 385 buckets."""

LEAST_S = 1e-4
"""Shorter durations count as this one in a sketch."""


def sketch_bucket(seconds: float) -> int:
    """Return the bucket of a duration, which is above GROWTH ** (bucket - 1) and at most GROWTH ** bucket."""
    return math.ceil(math.log(max(seconds, LEAST_S)) / math.log(GROWTH) - 1e-9)


def sketch_value(bucket: int) -> float:
    """Return the duration in seconds that is within 2 % of all in a bucket."""
    return float(2 * GROWTH**bucket / (GROWTH + 1))


BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300, 1800)
"""Upper bounds of the histograms' buckets; the last bucket, `inf`, has none."""
_BUCKET_LABELS = [*(f"{bound:g}" for bound in BUCKETS_S), "inf"]

SUM = "sum_us"
"""Label of the sum of a histogram, in microseconds."""

TOTALS = "stats:totals"


class Span(Struct, frozen=True):
    """The length of time of one point of a chart, and the number of points of the chart."""

    length_s: int
    count: int

    def key(self, number: int) -> str:
        return f"stats:{self.length_s}:{number}"

    def groups_key(self, number: int) -> str:
        return f"stats:groups:{self.length_s}:{number}"

    def number(self, at_ms: int) -> int:
        """Return the number, counted from 1970, of the span that contains a time."""
        return at_ms // (self.length_s * 1000)


MINUTES, QUARTERS = Span(60, 60), Span(900, 96)
"""Spans of the hourly and the daily chart."""

INTERVAL_S = 1.0
"""Interval at which a process sends its counts."""


class Stats:
    """Counts of this process since the last `take`. Not thread-safe: use it on the event loop only."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, int] = defaultdict(int)

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a count. Labels must come from a fixed list, never from a client."""
        self._counts[":".join((name, *labels))] += by

    def observe(self, name: str, *labels: str, seconds: float) -> None:
        """Add a duration to a histogram, and to its sketch."""
        took_us = round(seconds * 1e6)
        self.count(name, *labels, _BUCKET_LABELS[bisect_left(BUCKETS_S, seconds)])
        self.count(name, *labels, SUM, by=took_us)
        if name in _SKETCHES:
            sketch, maximum = _SKETCHES[name]
            self._counts[f"{sketch}:{sketch_bucket(seconds)}"] += 1
            self._counts[maximum] = max(self._counts[maximum], took_us)

    def raise_to(self, name: str, value: int) -> None:
        """Set one of `MAXIMA` to a value if that is greater."""
        self._counts[name] = max(self._counts[name], value)

    def observe_group(self, name: str, group: str, *, seconds: float) -> None:
        """Add a duration to one of the `GROUPED` sketches."""
        took_us, prefix = round(seconds * 1e6), f"{name}:{group}:"
        self._counts[f"{prefix}{sketch_bucket(seconds)}"] += 1
        self._counts[prefix + SUM] += took_us
        self._counts[prefix + MAX] = max(self._counts[prefix + MAX], took_us)

    def take(self) -> dict[str, int]:
        """Return all counts and reset them."""
        counts, self._counts = self._counts, defaultdict(int)
        return counts


class Reporter:
    """Adds the counts of this process to those in Redis until it is stopped, and sets its clock to the server's.

    Each count is added exactly once.
    """

    def __init__(self, stats: Stats, redis: Redis) -> None:
        self._stats = stats
        self._redis = redis
        self._add = Script(redis, "worker.telemetry", "count")
        self._last_key = f"stats:last:{uuid4().hex}"
        self._unacknowledged: dict[str, int] = {}
        """The last batch, until Redis has acknowledged it."""
        self._number = 0
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop, and try once to send the remaining counts."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._report()

    async def _run(self) -> None:
        while True:
            await self._report()
            await asyncio.sleep(INTERVAL_S)

    async def _report(self) -> None:
        try:
            await follow(self._redis)
            if self._unacknowledged:
                await self._send()
            self._unacknowledged = self._stats.take()
            self._number += 1
            if self._unacknowledged:
                await self._send()
        except (RedisError, OSError) as exc:
            logger.warning("Redis does not accept counts; trying again in %g s: %s", INTERVAL_S, exc)

    async def _send(self) -> None:
        """Send the batch in one round trip. Sending it again, because the reply was lost, changes nothing."""
        at_ms = now_ms()
        spans = (MINUTES, QUARTERS)
        totals: dict[str, int] = {}
        charted, maxima, grouped, group_maxima = dict(totals), dict(totals), dict(totals), dict(totals)
        for field, by in self._unacknowledged.items():
            name = field.partition(":")[0]
            if name in GROUPED:
                (group_maxima if field.endswith(MAX) else grouped)[field] = by
                continue
            if name in MAXIMA:
                maxima[field] = by
            elif name in CHARTED:
                charted[field] = by
            if name not in CHARTED_ONLY:
                totals[field] = by
        await self._add(
            keys=[
                self._last_key,
                TOTALS,
                *(span.key(span.number(at_ms)) for span in spans),
                *(span.groups_key(span.number(at_ms)) for span in spans),
            ],
            number=self._number,
            totals=totals,
            charted=charted,
            maxima=maxima,
            grouped=grouped,
            group_maxima=group_maxima,
            span_ttls_s=[span.length_s * (span.count + 1) for span in spans],
        )
        self._unacknowledged = {}
