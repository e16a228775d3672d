"""Pools of places for connections to clients and other hosts, of which no party may take all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NoPlace(Exception):
    """All places of the pool, or all that one party may have, are taken."""


class Shares:
    """A pool of `places`, of which one party has at most `share` at a time.

    A place that becomes free goes to the party that has the fewest, and of one party to the call that waits longest.
    """

    def __init__(self, places: int, share: int) -> None:
        self._free = places
        self._share = share
        self._held: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], str] = {}

    def is_full(self, party: str) -> bool:
        """Return whether `place` would have to wait."""
        return self._free == 0 or self._held[party] >= self._share

    @asynccontextmanager
    async def place(self, party: str, timeout_s: float) -> AsyncIterator[None]:
        """Hold a place while the block runs; raise `NoPlace` if none becomes free within `timeout_s`."""
        if self.is_full(party):
            await self._wait(party, timeout_s)
        else:
            self._take(party)
        try:
            yield
        finally:
            self._give_back(party)

    def _take(self, party: str) -> None:
        self._free -= 1
        self._held[party] += 1

    def _give_back(self, party: str) -> None:
        self._free += 1
        self._held[party] -= 1
        if not self._held[party]:
            del self._held[party]
        if self._waiting:
            self._grant()

    async def _wait(self, party: str, timeout_s: float) -> None:
        """Wait until `_grant` takes a place for this call."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[granted] = party
        try:
            async with asyncio.timeout(timeout_s):
                await granted
        except BaseException as exc:
            if granted.done() and not granted.cancelled():
                self._give_back(party)  # granted in the same turn of the event loop
            self._waiting.pop(granted, None)
            if isinstance(exc, TimeoutError):
                raise NoPlace from exc
            raise

    def _grant(self) -> None:
        """Take a place for each waiting call that may have one."""
        while self._free:
            eligible = [(self._held[party], call) for call, party in self._waiting.items() if not call.done()]
            held, call = min(eligible, key=lambda each: each[0], default=(self._share, None))
            if call is None or held >= self._share:
                return
            self._take(self._waiting.pop(call))
            call.set_result(None)
