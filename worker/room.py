"""Room in the queue: what is known of it without asking Redis, and what Redis knows."""

import time

from redis.asyncio import Redis

from worker import indices
from worker.states import ENDS, Owner, OwnerWaits, QueueFull, Status, now_ms

FULL_REMEMBERED_S = 1.0
"""How long uploads are refused unread after the queue was found full."""


class Room:
    """Of the whole queue, and of what each owner may have in it."""

    def __init__(self) -> None:
        self._full: dict[Owner | None, tuple[float, QueueFull]] = {}
        """Until when there is none: for everybody, or for an owner."""

    def check(self, owner: Owner | None) -> None:
        """Raise `QueueFull` when `Tasks.create` has found none within the last second; asks nobody."""
        for whose in (None, owner):
            if whose in self._full and time.monotonic() < self._full[whose][0]:
                raise self._full[whose][1]

    def none(self, waiting: int, ended_in_10_s: int, owner: Owner | None = None) -> QueueFull:
        """Remember that the queue is full, or what an owner may have in it; return the error that says so."""
        full = (QueueFull if owner is None else OwnerWaits)(waiting, ended_in_10_s)
        self._full[owner] = time.monotonic() + FULL_REMEMBERED_S, full
        return full


async def look_for_room(redis: Redis, limit: int) -> None:
    """Raise `QueueFull` when `limit` tasks wait, or more."""
    async with redis.pipeline(transaction=False) as pipe:
        pipe.zcard(indices.in_state(Status.PENDING))
        for status in sorted(ENDS):
            pipe.zcount(indices.in_state(status), now_ms() - 10_000, "+inf")
        waiting, *ended = await pipe.execute()
    if waiting >= limit:
        raise QueueFull(waiting, sum(ended))
