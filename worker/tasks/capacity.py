"""The errors of a full queue, cached for a second so that uploads can be refused without reading them."""

import math
import time
from collections.abc import Hashable

UNKNOWN_RETRY_S = 30
"""`Retry-After` when no task has ended recently and there is no rate to estimate from."""


class QueueFull(Exception):
    """The queue is full; `retry_after_s` estimates when it has room."""

    def __init__(self, waiting: int, ended_in_10_s: int) -> None:
        self.retry_after_s = _retry_after_s(waiting, ended_in_10_s)
        super().__init__(f"the queue is full with {waiting:,} waiting tasks; try again in {self.retry_after_s} s")


def _retry_after_s(waiting: int, ended_in_10_s: int) -> int:
    """Estimate the time to finish a tenth of the queue at the rate of the last 10 s, limited to 1 to 60 s."""
    if ended_in_10_s == 0:
        return UNKNOWN_RETRY_S
    return max(1, min(60, math.ceil(waiting / 10 / (ended_in_10_s / 10))))


class OwnerQueueFull(QueueFull):
    """The owner has reached its limit of waiting tasks."""

    slug = "owner_waits"
    """The name in metrics and in the `type` of the problem document."""

    def __init__(self, waiting: int, ended_in_10_s: int) -> None:
        self.retry_after_s = _retry_after_s(waiting, ended_in_10_s)
        Exception.__init__(
            self, f"this API key already has {waiting:,} waiting tasks, its limit; try again in {self.retry_after_s} s"
        )


FULL_REMEMBERED_S = 1.0
"""Time for which uploads are refused unread after the queue was full."""


class Capacity:
    """Remembers when the queue, or an owner's share of it, was full."""

    def __init__(self) -> None:
        self._full: dict[Hashable, tuple[float, QueueFull]] = {}
        """Owner (None for the whole queue) -> the time until which uploads are refused (monotonic), and the error."""

    def check(self, owner: Hashable | None) -> None:
        """Raise `QueueFull` if `Tasks.create` found the queue full within the last second."""
        for key in (None, owner):
            if key in self._full and time.monotonic() < self._full[key][0]:
                raise self._full[key][1]

    def record_full(self, waiting: int, ended_in_10_s: int, owner: Hashable | None = None) -> QueueFull:
        """Remember that the queue, or the owner's share of it, is full; return the error to raise."""
        full = (QueueFull if owner is None else OwnerQueueFull)(waiting, ended_in_10_s)
        self._full[owner] = time.monotonic() + FULL_REMEMBERED_S, full
        return full
