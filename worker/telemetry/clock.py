"""The clock of the Redis server, by which all processes stamp and compare times, and the text form of a time."""

import time
from datetime import UTC, datetime

from redis.asyncio import Redis

MOST_TRIP_S = 1.0
"""Longest round trip whose reply still sets the clock; the error is at most half of it."""

_AHEAD_OF_MONOTONIC_MS = [time.time() * 1000 - time.monotonic() * 1000]
"""Redis's clock minus the monotonic clock of this process; this machine's clock instead until the first `follow`."""


def rfc3339(at_ms: int) -> str:
    """Format Unix milliseconds as RFC 3339, in UTC with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_ms() -> int:
    """Return the current time in Unix milliseconds, by the clock of the Redis server as last read by `follow`."""
    return round(time.monotonic() * 1000 + _AHEAD_OF_MONOTONIC_MS[0])


async def follow(redis: Redis) -> None:
    """Set the clock of this process to that of the server. Raises redis-py's errors when Redis is unavailable.

    The clocks of two machines may differ by hours; leases, time-outs and charts need one.
    """
    began = time.monotonic()
    seconds, microseconds = await redis.time()
    ended = time.monotonic()
    if ended - began <= MOST_TRIP_S:
        _AHEAD_OF_MONOTONIC_MS[0] = seconds * 1000 + microseconds / 1000 - (began + ended) * 500
