"""Room in the queue: what is known of it without asking Redis, and what Redis knows."""

import math
import time
from collections.abc import Hashable

UNKNOWN_RETRY_S = 30
"""What a client is asked to wait when nothing has ended lately to measure a rate by."""


class QueueFull(Exception):
    """As many tasks wait as may; `retry_after_s` is an estimate of when there is room again."""

    def __init__(self, waiting: int, ended_in_10_s: int) -> None:
        self.retry_after_s = _retry_after_s(waiting, ended_in_10_s)
        super().__init__(f"the queue is full with {waiting:,} waiting tasks; try again in {self.retry_after_s} s")


def _retry_after_s(waiting: int, ended_in_10_s: int) -> int:
    """Estimate when a tenth of the queue will have been worked off, at the rate of the last 10 s: 1 to 60 s."""
    if ended_in_10_s == 0:
        return UNKNOWN_RETRY_S
    return max(1, min(60, math.ceil(waiting / 10 / (ended_in_10_s / 10))))


class OwnerWaits(QueueFull):
    """As many tasks of one owner wait as may."""

    def __init__(self, waiting: int, ended_in_10_s: int) -> None:
        self.retry_after_s = _retry_after_s(waiting, ended_in_10_s)
        Exception.__init__(
            self, f"this API key already has {waiting:,} waiting tasks, its limit; try again in {self.retry_after_s} s"
        )


FULL_REMEMBERED_S = 1.0
"""How long uploads are refused unread after the queue was found full."""


class Room:
    """Of the whole queue, and of what each owner may have in it."""

    def __init__(self) -> None:
        self._full: dict[Hashable, tuple[float, QueueFull]] = {}
        """Until when there is none: for everybody, or for an owner."""

    def check(self, owner: Hashable | None) -> None:
        """Raise `QueueFull` when `Tasks.create` has found none within the last second; asks nobody."""
        for whose in (None, owner):
            if whose in self._full and time.monotonic() < self._full[whose][0]:
                raise self._full[whose][1]

    def none(self, waiting: int, ended_in_10_s: int, owner: Hashable | None = None) -> QueueFull:
        """Remember that the queue is full, or what an owner may have in it; return the error that says so."""
        full = (QueueFull if owner is None else OwnerWaits)(waiting, ended_in_10_s)
        self._full[owner] = time.monotonic() + FULL_REMEMBERED_S, full
        return full
