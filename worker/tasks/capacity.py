"""Whether the queue is full, remembered for a second so that uploads can be refused unread."""

import math
import time
from collections.abc import Hashable

UNKNOWN_RETRY_S = 30
"""`Retry-After` when no task has ended recently, so that there is no rate."""


class QueueFull(Exception):
    """The queue is full; `retry_after_s` estimates when it no longer is."""

    def __init__(self, waiting: int, ended_in_10_s: int) -> None:
        self.retry_after_s = _retry_after_s(waiting, ended_in_10_s)
        super().__init__(f"the queue is full with {waiting:,} waiting tasks; try again in {self.retry_after_s} s")


def _retry_after_s(waiting: int, ended_in_10_s: int) -> int:
    """Estimate the time in which a tenth of the queue is done at the rate of the last 10 s, 1 to 60 s."""
    if ended_in_10_s == 0:
        return UNKNOWN_RETRY_S
    return max(1, min(60, math.ceil(waiting / 10 / (ended_in_10_s / 10))))


class OwnerQueueFull(QueueFull):
    """The owner has reached its limit of waiting tasks."""

    slug = "owner_waits"
    """Its name in metrics and in the `type` of its problem document."""

    def __init__(self, waiting: int, ended_in_10_s: int) -> None:
        self.retry_after_s = _retry_after_s(waiting, ended_in_10_s)
        Exception.__init__(
            self, f"this API key already has {waiting:,} waiting tasks, its limit; try again in {self.retry_after_s} s"
        )


FULL_REMEMBERED_S = 1.0
"""How long uploads are refused unread after the queue was full."""


class Capacity:
    """Remembers when the whole queue, or an owner's share of it, was full."""

    def __init__(self) -> None:
        self._full: dict[Hashable, tuple[float, QueueFull]] = {}
        """Owner, or None for the whole queue -> until when uploads are refused (monotonic time), and the error."""

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
