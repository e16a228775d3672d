"""How long the phases of a task's last attempt took."""

import time
from typing import Annotated

from msgspec import Meta, Struct

NAMES = ("reading", "decoding", "operations", "encoding", "storing")


class Phases(Struct, frozen=True):
    """Seconds that the phases of the last attempt took; the rest went to Redis and to waiting for a slot."""

    reading_s: Annotated[float, Meta(description="Reading the upload from storage.")]
    decoding_s: Annotated[float, Meta(description="Decoding the upload, once for each scale that the variants need.")]
    operations_s: Annotated[float, Meta(description="The operations of all variants.")]
    encoding_s: Annotated[float, Meta(description="Encoding the results, with all tries of `max_bytes`.")]
    storing_s: Annotated[float, Meta(description="Writing the results to storage.")]


def parse_phases(text: str) -> Phases | None:
    """Parse the seconds of the phases, separated by spaces; return None for an empty text."""
    return Phases(*map(float, text.split())) if text else None


class Stopwatch:
    """Adds up the seconds of each phase. It is used by one thread at a time."""

    def __init__(self) -> None:
        self._took_s: dict[str, float] = {}

    def add(self, phase: str, began: float) -> None:
        """Add the time since `began`, a value of `time.perf_counter`, to one of `NAMES`."""
        self.add_s(phase, time.perf_counter() - began)

    def add_s(self, phase: str, took_s: float) -> None:
        self._took_s[phase] = self._took_s.get(phase, 0) + took_s

    def __str__(self) -> str:
        """Return the text for `parse_phases`; empty if nothing was measured."""
        return " ".join(f"{self._took_s.get(name, 0):.5f}" for name in NAMES) if self._took_s else ""
