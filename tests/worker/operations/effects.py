"""Operations on colors, run as the engine runs them and asked for as clients do."""

from collections.abc import Sequence

import pytest
from PIL import Image

from tests.support.rendering import transform
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations.base import WORKING_MODES, Assets, Operation

SIZES = ((1, 1), (1, 7), (7, 1), (33, 21))

LIMIT = 100_000_000


def applied(operation: Operation, image: Image.Image) -> Image.Image:
    """Return the result, in a working mode and of the announced size; the picture itself stays as it was."""
    before = image.tobytes()
    result = transform(image, [operation], LIMIT)
    assert image.tobytes() == before
    assert result.mode in WORKING_MODES
    assert result.size == operation.output_size(image.size)
    return result


def animated(operation: Operation, frames: Sequence[Image.Image]) -> list[Image.Image]:
    change = operation.prepare(frames, Assets())
    return [change(frame) for frame in frames]


def pixel(operation: Operation, mode: str, color: float | tuple[int, ...]) -> object:
    """Return what becomes of a picture of one color."""
    return applied(operation, Image.new(mode, (3, 2), color)).getpixel((1, 1))


def parsed(**fields: str) -> Operation:
    [operation] = parse_plan(fields, InputFormat.PNG, 20).variants[""].operations
    return operation


def refusal(**fields: str) -> str:
    with pytest.raises(InvalidParameters) as caught:
        parse_plan(fields, InputFormat.PNG, 20)
    return str(caught.value)


def alpha_bytes(image: Image.Image) -> bytes:
    return image.getchannel("A").tobytes()


def row(mode: str, *pixels: float | tuple[int, ...]) -> Image.Image:
    """Return a picture of one row."""
    image = Image.new(mode, (len(pixels), 1))
    image.putdata(pixels)
    return image
