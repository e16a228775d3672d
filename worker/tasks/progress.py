"""The progress of a running task, as it is reported to clients."""

import asyncio
import threading
from collections import deque

from msgspec import Struct

Share = float
"""The part of a task that is done, from 0 to 1; operations and outputs count alike."""


class Step(Struct, frozen=True, omit_defaults=True):
    """A step that was completed: an operation, or a result that was stored."""

    progress: Share
    operation: str | None = None
    path: str | None = None
    """Path of the result."""
    variant: str = ""


class Progress:
    """The steps of one attempt; operations are reported from a thread, all else from the event loop."""

    def __init__(self, step_count: int) -> None:
        self._total = step_count
        self._done = 0
        self._unreported: deque[Step] = deque()
        self.took_s: list[tuple[str, float]] = []
        """The completed operations, and the seconds that each took."""
        self.reporting = asyncio.Lock()
        """Locked while steps are sent to Redis, so that the end of the task is recorded after them."""

    @property
    def is_reported(self) -> bool:
        return not self._unreported

    @property
    def share(self) -> Share:
        return round(self._done / self._total, 3) if self._total else 0

    def operation_done(self, variant: str, operation: str, took_s: float) -> None:
        self._done += 1
        self.took_s.append((operation, took_s))
        self._unreported.append(Step(self.share, operation=operation, variant=variant))

    def output_done(self, variant: str, path: str) -> None:
        self._done += 1
        self._unreported.append(Step(self.share, path=path, variant=variant))

    def take(self) -> list[Step]:
        """Return and remove the steps that are not yet reported."""
        return [self._unreported.popleft() for _ in range(len(self._unreported))]


class Run:
    """One attempt at a task while it is under way."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        """Set when the work is to end at its next step."""
        self.progress = Progress(0)
        """Steps done of the plan; set once the plan is known."""
