"""Times as people and programs read them."""

import time
from datetime import UTC, datetime


def rfc3339(at_ms: int) -> str:
    """Write a time (Unix milliseconds) as RFC 3339 has it, in UTC and to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_ms() -> int:
    """Return the time as records hold it: Unix milliseconds."""
    return time.time_ns() // 1_000_000
