"""What a running task has done so far, as clients that watch it see it."""

import asyncio
from collections import deque

from msgspec import Struct

Share = float
"""How much of a task is done, from 0 to 1: its operations and its outputs count alike."""


class Step(Struct, frozen=True, omit_defaults=True):
    """Something that was done: an operation, or a result that was stored."""

    progress: Share
    operation: str | None = None
    path: str | None = None
    """Where the result lies."""
    variant: str = ""


class Progress:
    """The steps of one attempt; operations come from a thread, the rest happens on the event loop."""

    def __init__(self, step_count: int) -> None:
        self._total = step_count
        self._done = 0
        self._untold: deque[Step] = deque()
        self.took_s: list[tuple[str, float]] = []
        """The operations done, and how long each took."""
        self.telling = asyncio.Lock()
        """Held while steps are on their way to Redis, so that the task's end comes after them."""

    @property
    def is_told(self) -> bool:
        return not self._untold

    @property
    def share(self) -> Share:
        return round(self._done / self._total, 3) if self._total else 0

    def operation_done(self, variant: str, operation: str, took_s: float) -> None:
        self._done += 1
        self.took_s.append((operation, took_s))
        self._untold.append(Step(self.share, operation=operation, variant=variant))

    def output_done(self, variant: str, path: str) -> None:
        self._done += 1
        self._untold.append(Step(self.share, path=path, variant=variant))

    def take(self) -> list[Step]:
        """Return the steps that nobody was told of; whoever takes them tells them."""
        return [self._untold.popleft() for _ in range(len(self._untold))]
