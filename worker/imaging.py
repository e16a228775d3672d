"""Bytes in, operations, bytes out: the plain functions that run in the worker's threads."""

from collections.abc import Callable, Iterable, Sequence

from PIL import Image

from worker.decoding import Decoded, check_pixels, decoded, opened
from worker.encoding import encode
from worker.formats import ImageFormat
from worker.modes import in_modes, normalised
from worker.operations.base import Assets, Operation, PictureError
from worker.plan import Plan


class Stopped(Exception):
    """`should_stop` was true before the work was done."""


def never() -> bool:
    return False


def render(
    data: bytes, source: ImageFormat, plan: Plan, max_pixels: int, should_stop: Callable[[], bool] = never
) -> bytes:
    """Decode `data`, apply the plan and encode the result; raise `PictureError` when the picture does not allow it.

    `should_stop` is asked before each step; a step itself cannot be stopped. EXIF orientation is applied.
    Metadata is left out; the ICC profile stays where it fits the result's colours.
    """
    _check_stop(should_stop)
    picture = decoded(opened(data, source, max_pixels), next(iter(plan.operations), None))
    profile = picture.image.info.get("icc_profile")
    image = _worked(picture, plan.operations, max_pixels, should_stop)
    _check_stop(should_stop)
    _check_sides(image, plan.output.format)
    return encode(image, plan.output, profile)


def _worked(
    picture: Decoded, operations: Sequence[Operation], max_pixels: int, should_stop: Callable[[], bool]
) -> Image.Image:
    image = normalised(picture.image)
    if picture.box is None:
        return transform(image, operations, max_pixels, should_stop)
    first, *rest = operations
    _check_stop(should_stop)
    check_pixels(first.output_size(picture.size), max_pixels)
    return transform(first.apply_reduced(image, picture.box, picture.size), rest, max_pixels, should_stop)


def transform(
    image: Image.Image, operations: Iterable[Operation], max_pixels: int, should_stop: Callable[[], bool] = never
) -> Image.Image:
    """Apply `operations` in order, none of which may give a picture of more than `max_pixels`."""
    for operation in operations:
        _check_stop(should_stop)
        check_pixels(operation.output_size(image.size), max_pixels)
        image = in_modes(image, operation.modes, None)
        image = operation.prepare([image], Assets())(image)
    return image


def _check_stop(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Stopped


def _check_sides(image: Image.Image, target: ImageFormat) -> None:
    if max(image.size) > target.max_side:
        raise PictureError(
            f"the result would be {image.width} x {image.height} pixels; "
            f"{target.value} holds at most {target.max_side} on a side"
        )
