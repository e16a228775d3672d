"""Apply the operations of a variant in order."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from PIL import Image

from worker.errors import PictureError
from worker.imaging.guards import Limits, check_pixels
from worker.imaging.picture import Picture
from worker.operations.base import Assets, Operation
from worker.pixels.geometry import Size
from worker.telemetry.phases import Stopwatch


def never() -> bool:
    return False


def ignore_step(variant: str, operation: str, took_s: float) -> None:
    """Ignore a completed step."""


class Stopped(Exception):
    """The work was stopped before its end."""


class ImpossibleStep(PictureError):
    """An operation is not possible with this image; `number` is its index from 0."""

    def __init__(self, number: int, count: int, operation: Operation, reason: PictureError) -> None:
        super().__init__(f"operation {number + 1}: {reason}" if count > 1 else str(reason))
        self.number = number
        self.reason = reason
        self.code = reason.code
        self.operation = operation.name


@dataclass(frozen=True)
class Work:
    """The context of all steps."""

    limits: Limits
    assets: Assets
    should_stop: Callable[[], bool] = never
    on_step: Callable[[str, str, float], None] = ignore_step
    """Callback after each step with the names of the variant and the operation, and the duration in seconds."""
    variant: str = ""
    watch: Stopwatch = field(default_factory=Stopwatch)

    def check_stop(self) -> None:
        if self.should_stop():
            raise Stopped

    @contextmanager
    def step(self, operation: Operation) -> Iterator[None]:
        """Run a step and report it; raise `Stopped` before it if the work must stop."""
        self.check_stop()
        self.watch.begin("operations", operation.name)
        yield
        self.on_step(self.variant, operation.name, self.watch.end())


def check_sizes(operations: Sequence[Operation], size: Size, frames: int, limits: Limits) -> None:
    """Raise `ImpossibleStep` if an operation is not possible with this size, or its result would be too large."""
    for number, operation in enumerate(operations):
        try:
            size = operation.output_size(size)
            check_pixels(size, frames, limits.max_output_pixels)
        except PictureError as exc:
            raise ImpossibleStep(number, len(operations), operation, exc) from exc


def apply_operations(picture: Picture, operations: Sequence[Operation], work: Work, done: int = 0) -> Picture:
    """Apply `operations` in order, after `done` operations have been applied.

    Raises `ImpossibleStep` for an operation that is not possible with the result of the previous steps, or whose result
    exceeds the pixel limit.
    """
    for number, operation in enumerate(operations, start=done):
        try:
            with work.step(operation):
                picture = _apply_operation(picture, operation, work)
        except PictureError as exc:
            raise ImpossibleStep(number, done + len(operations), operation, exc) from exc
    return picture


def _apply_operation(picture: Picture, operation: Operation, work: Work) -> Picture:
    check_pixels(operation.output_size(picture.size), len(picture.frames), work.limits.max_output_pixels)
    picture, operation, assets = picture.prepared_for(operation, work.assets)
    change = operation.prepare(picture.frames, assets)
    return replace(picture, frames=[_change_frame(frame, change, work) for frame in picture.frames])


def _change_frame(frame: Image.Image, change: Callable[[Image.Image], Image.Image], work: Work) -> Image.Image:
    work.check_stop()
    return change(frame)
