"""The current time and its text form."""

import time
from datetime import UTC, datetime


def rfc3339(at_ms: int) -> str:
    """Format Unix milliseconds as RFC 3339, in UTC with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_ms() -> int:
    """Return the current time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
