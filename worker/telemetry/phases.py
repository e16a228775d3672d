"""How long the phases of a task's last attempt took."""

import time
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

NAMES = {
    "reading": "reading the upload",
    "decoding": "decoding the image",
    "operations": "applying operations",
    "encoding": "encoding the result",
    "storing": "storing the result",
}
"""The phases, and what a task does in them."""


class Phases(Struct, frozen=True):
    """Seconds that the phases of the last attempt took; the rest went to Redis and to waiting for a slot."""

    reading_s: Annotated[float, Meta(description="Reading the upload from storage.")]
    decoding_s: Annotated[float, Meta(description="Decoding the upload, once for each scale that the variants need.")]
    operations_s: Annotated[float, Meta(description="The operations of all variants.")]
    encoding_s: Annotated[float, Meta(description="Encoding the results, including all attempts at `max_bytes`.")]
    storing_s: Annotated[float, Meta(description="Writing the results to storage.")]


def parse_phases(text: str) -> Phases | None:
    """Parse the seconds of the phases, separated by spaces; return None for an empty text."""
    return Phases(*map(float, text.split())) if text else None


class Part(NamedTuple):
    """A phase under way, or one that was cut off."""

    phase: str
    operation: str | None
    seconds: float
    """Its duration, or while it is under way its start on the clock of `time.perf_counter`."""


class Stopwatch:
    """Adds up the seconds of each phase.

    The thread that works calls `begin` and `end`; the event loop calls `cut_off`, perhaps while that thread goes on.
    """

    def __init__(self) -> None:
        self._took_s: dict[str, float] = {}
        self._current: Part | None = None
        self._is_over = False
        self.cut: Part | None = None
        """The phase that was under way when the task failed, was stopped or ran out of time."""

    def begin(self, phase: str, operation: str | None = None) -> None:
        """Begin one of `NAMES`."""
        self._current = Part(phase, operation, time.perf_counter())

    def end(self) -> float:
        """End the phase that was begun last; return its seconds."""
        current, self._current = self._current, None
        return 0.0 if current is None else self._add(current)

    def cut_off(self) -> None:
        """End the measurement, with the phase that is under way. Only the first call has an effect."""
        current, self._current = self._current, None
        if current is not None and not self._is_over:
            self.cut = current._replace(seconds=self._add(current))
        self._is_over = True

    def _add(self, part: Part) -> float:
        took_s = time.perf_counter() - part.seconds
        if not self._is_over:
            self._took_s[part.phase] = self._took_s.get(part.phase, 0) + took_s
        return took_s

    def __str__(self) -> str:
        """Return the text for `parse_phases`; empty if nothing was measured."""
        return " ".join([f"{self._took_s.get(name, 0):.5f}" for name in NAMES]) if self._took_s else ""
