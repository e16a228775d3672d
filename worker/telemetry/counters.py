"""What a process counts, and how the counts of all processes come together in Redis.

Counts are kept in memory. Once a second, and when it stops, a process adds what is new to
`stats:totals`, a hash that only grows, and to the hashes of the current minute and quarter of an hour,
`stats:<seconds>:<number since 1970>`, which lapse when no chart shows them any more: fixed space. Killed, it takes at
most its last second of counts with it.

A field is a name and its labels, with colons between: `tasks:FAILURE:picture`. A histogram has a field for each bucket
that was hit, named by its upper bound in seconds, and the sum of what was observed: `waiting:0.05`, `waiting:sum_us`.
"""

import asyncio
import logging
from bisect import bisect_left
from collections import defaultdict
from uuid import uuid4

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker.telemetry.clock import now_ms
from worker.telemetry.lua import Script

logger = logging.getLogger(__name__)

TASKS = "tasks"
"""Tasks by their end: state and, of a failure, its code."""
WAITING, RUNNING = "waiting", "running"
"""How long those tasks waited, and how long those of them that were begun ran."""
OPERATION = "operation"
"""How long each operation took, by its name."""
REFUSALS = "refusals"
"""Requests that got an error, by the reason."""
WEBHOOKS = "webhooks"
"""Attempts to deliver a message, by what it is after them; `waiting`: for the next one."""
BYTES_IN, BYTES_OUT = "bytes_in", "bytes_out"
"""Bytes of the uploads accepted or fetched, and of the results made."""
SAMPLES, SAMPLED_WAITING, SAMPLED_RUNNING, SAMPLED_AGE_MS = (
    "samples",
    "sampled_waiting",
    "sampled_running",
    "sampled_ms",
)
"""Looks at the queue, once a minute: how many, and the sums of what waited and ran and of the age of the oldest."""

CHARTED = {TASKS, WAITING, RUNNING, REFUSALS, SAMPLES, SAMPLED_WAITING, SAMPLED_RUNNING, SAMPLED_AGE_MS}
"""What the hashes of minutes and quarters hold: some 70 fields, which Redis keeps in one piece of 1 to 2 kB."""

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300, 1800)
"""Upper bounds, from the fastest operation to half of a queue's longest wait by default; above the last: `inf`."""
_BUCKET_LABELS = [*(f"{bound:g}" for bound in BUCKETS_S), "inf"]

SUM = "sum_us"
"""The label of a histogram's sum, in microseconds."""

TOTALS = "stats:totals"


class Span(Struct, frozen=True):
    """The length of the time that one point of a chart stands for, and how many points the chart has."""

    length_s: int
    count: int

    def key(self, number: int) -> str:
        return f"stats:{self.length_s}:{number}"

    def number(self, at_ms: int) -> int:
        """Return which of these times since 1970 holds a moment."""
        return at_ms // (self.length_s * 1000)


MINUTES, QUARTERS = Span(60, 60), Span(900, 96)
"""An hour by the minute and a day by the quarter of an hour."""

INTERVAL_S = 1.0
"""How often a process that has counted something says so."""


class Stats:
    """What was counted here since somebody took it; to be used on the event loop only."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, int] = defaultdict(int)

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a count. Labels come from a bounded list, never from a client."""
        self._counts[":".join((name, *labels))] += by

    def observe(self, name: str, *labels: str, seconds: float) -> None:
        """Add a time to a histogram."""
        self.count(name, *labels, _BUCKET_LABELS[bisect_left(BUCKETS_S, seconds)])
        self.count(name, *labels, SUM, by=round(seconds * 1e6))

    def take(self) -> dict[str, int]:
        taken, self._counts = self._counts, defaultdict(int)
        return taken


class Reporter:
    """Adds what a process counts to what Redis holds, until it is stopped; each count arrives once."""

    def __init__(self, stats: Stats, redis: Redis) -> None:
        self._stats = stats
        self._add = Script(redis, "worker.telemetry", "count")
        self._last_key = f"stats:last:{uuid4().hex}"
        self._unacknowledged: dict[str, int] = {}
        """What was sent last; kept until Redis has said that it has it."""
        self._number = 0
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send the rest, if Redis takes it at once."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._try()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self._try()

    async def _try(self) -> None:
        try:
            if self._unacknowledged:
                await self._send()
            self._unacknowledged = self._stats.take()
            self._number += 1
            if self._unacknowledged:
                await self._send()
        except (RedisError, OSError) as exc:
            logger.warning("counts wait for Redis: %s", exc)

    async def _send(self) -> None:
        """Send the parcel in one round trip; sent again because the reply was lost, it changes nothing."""
        at_ms = now_ms()
        charted = {field: by for field, by in self._unacknowledged.items() if field.partition(":")[0] in CHARTED}
        spans = (MINUTES, QUARTERS)
        await self._add(
            keys=[self._last_key, TOTALS, *(span.key(span.number(at_ms)) for span in spans)],
            number=self._number,
            charted=charted,
            others={field: by for field, by in self._unacknowledged.items() if field not in charted},
            span_ttls_s=[span.length_s * (span.count + 1) for span in spans],
        )
        self._unacknowledged = {}
