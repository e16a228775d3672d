"""The progress of a running task."""

import asyncio
import threading
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from worker.errors import TaskStopped
from worker.telemetry.clock import now_ms
from worker.telemetry.phases import Stopwatch

T = TypeVar("T")

Share = float
"""The completed part of a task, from 0 to 1; each operation and each output counts as one step."""


class Step(Struct, frozen=True, omit_defaults=True):
    """A completed step: an operation, or a stored output."""

    progress: Share
    operation: str | None = None
    path: str | None = None
    """Path of the output in storage."""
    variant: str = ""
    at_ms: int = 0
    """When it was completed, in Unix ms; 0 in events of versions that did not record it."""

    @property
    def fields(self) -> dict[str, Any]:
        """The fields for event streams and timelines, without the time."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if name != "at_ms"}


class Progress:
    """The steps of one attempt. `operation_done` and, for a local directory, `output_done` are called in a thread."""

    def __init__(self, step_count: int, done: int = 0) -> None:
        self._total = step_count
        self._done = done
        self._unreported: deque[Step] = deque()
        self._took_s: list[tuple[str, float]] = []
        self.watch = Stopwatch()
        self.reporting = asyncio.Lock()
        """Held while steps are sent to Redis, so that the end of the task is recorded after them."""

    @property
    def is_reported(self) -> bool:
        return not self._unreported

    @property
    def share(self) -> Share:
        return round(self._done / self._total, 3) if self._total else 0

    def operation_done(self, variant: str, operation: str, took_s: float) -> None:
        self._done += 1
        self._took_s.append((operation, took_s))
        self._unreported.append(Step(self.share, operation=operation, variant=variant, at_ms=now_ms()))

    def output_done(self, variant: str, path: str) -> None:
        self._done += 1
        self._unreported.append(Step(self.share, path=path, variant=variant, at_ms=now_ms()))

    def durations(self) -> list[tuple[str, float]]:
        """End the measurement; return the operations with their seconds, also one that was cut off."""
        self.watch.cut_off()
        took_s, cut = list(self._took_s), self.watch.cut  # an overrun thread may still be running
        return took_s if cut is None or cut.operation is None else [*took_s, (cut.operation, cut.seconds)]

    def take(self) -> list[Step]:
        """Return and remove the steps that have not been reported."""
        return [self._unreported.popleft() for _ in range(len(self._unreported))]


class Run:
    """A running attempt at a task."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        """Set to stop the work in a thread at its next step."""
        self.progress = Progress(0)
        """The completed steps; replaced when the plan is known."""
        self._interruptible: asyncio.Task[Any] | None = None

    async def interruptible(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`, which `interrupt` cancels at once; raise `TaskStopped` after that."""
        running = asyncio.create_task(work)
        self._interruptible = running
        try:
            return await running
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise TaskStopped from None
        finally:
            self._interruptible = None

    def interrupt(self) -> None:
        """Stop the attempt: at once while it only waits for others, otherwise at its next step."""
        self.stop.set()
        if self._interruptible is not None:
            self._interruptible.cancel()
