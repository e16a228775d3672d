"""The operations of one variant, one after the other."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from PIL import Image

from worker.errors import PictureError
from worker.imaging.guards import Limits, check_pixels
from worker.operations.base import Assets, Operation
from worker.pixels.geometry import Size
from worker.pixels.modes import convert_to_modes


@dataclass(frozen=True)
class Timing:
    """How an animation runs: milliseconds for each frame, and number of loops, 0 for infinite."""

    durations_ms: tuple[float, ...]
    loops: int


def never() -> bool:
    return False


def ignore_step(variant: str, operation: str, took_s: float) -> None:
    """Ignore a completed step."""


class Stopped(Exception):
    """`should_stop` was true before the work was done."""


class ImpossibleStep(PictureError):
    """An operation cannot be carried out on this picture; `number` counts from 0."""

    def __init__(self, number: int, count: int, reason: PictureError) -> None:
        super().__init__(f"operation {number + 1}: {reason}" if count > 1 else str(reason))
        self.number = number
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """Frames of one size and one working mode, and what goes with them."""

    frames: Sequence[Image.Image]
    timing: Timing | None
    """None for a still."""
    profile: bytes | None
    """The ICC profile of its colors."""

    @property
    def size(self) -> Size:
        return self.frames[0].size


@dataclass(frozen=True)
class Work:
    """What every step needs."""

    limits: Limits
    assets: Assets
    should_stop: Callable[[], bool] = never
    on_step: Callable[[str, str, float], None] = ignore_step
    """Told the variant's and the operation's name after each step, and how many seconds it took."""
    variant: str = ""

    def check_stop(self) -> None:
        if self.should_stop():
            raise Stopped

    @contextmanager
    def step(self, operation: Operation) -> Iterator[None]:
        """Begin a step, unless the work is to stop, and tell of it when it is done."""
        self.check_stop()
        began = time.perf_counter()
        yield
        self.on_step(self.variant, str(operation.__struct_config__.tag), time.perf_counter() - began)


def check_sizes(operations: Sequence[Operation], size: Size, frames: int, limits: Limits) -> None:
    """Raise `ImpossibleStep` when an operation cannot take a picture of this size, or would make it too large."""
    for number, operation in enumerate(operations):
        try:
            size = operation.output_size(size)
            check_pixels(size, frames, limits.max_output_pixels)
        except PictureError as exc:
            raise ImpossibleStep(number, len(operations), exc) from exc


def apply_operations(picture: Picture, operations: Sequence[Operation], work: Work, done: int = 0) -> Picture:
    """Apply `operations` in order, which follow on `done` others; none may give more pixels than the limit.

    Raises `ImpossibleStep` for one that the picture, as the steps before have left it, does not allow.
    """
    for number, operation in enumerate(operations, start=done):
        try:
            with work.step(operation):
                picture = _apply_operation(picture, operation, work)
        except PictureError as exc:
            raise ImpossibleStep(number, done + len(operations), exc) from exc
    return picture


def in_modes_of(operation: Operation, picture: Picture) -> Picture:
    """Bring a picture to a mode that the operation meets."""
    mode = picture.frames[0].mode
    if mode in operation.modes:
        return picture
    frames = [convert_to_modes(frame, operation.modes, picture.profile) for frame in picture.frames]
    # CMYK has gone through its profile.
    return replace(picture, frames=frames, profile=None if mode == "CMYK" else picture.profile)


def _apply_operation(picture: Picture, operation: Operation, work: Work) -> Picture:
    check_pixels(operation.output_size(picture.size), len(picture.frames), work.limits.max_output_pixels)
    picture = in_modes_of(operation, picture)
    change = operation.prepare(picture.frames, work.assets)
    return replace(picture, frames=[_change_frame(frame, change, work) for frame in picture.frames])


def _change_frame(frame: Image.Image, change: Callable[[Image.Image], Image.Image], work: Work) -> Image.Image:
    work.check_stop()
    return change(frame)
