"""Every operation, with its defaults and at each bound, in every image mode and at odd sizes."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect
from PIL import Image

from tests.support.pictures import Size, drawing, mean_difference
from tests.support.rendering import transform
from worker.errors import PictureError
from worker.operations import OPERATIONS
from worker.operations.base import WORKING_MODES, Assets, Operation
from worker.pixels.modes import convert_to_modes, normalize_mode

MODES = (
    "1", "L", "LA", "P", "P transparent", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16",
)  # fmt: skip
SIZES: list[Size] = [(1, 1), (1, 7), (7, 1), (33, 21)]
LARGE = (1201, 803)

NEEDED: dict[str, dict[str, Any]] = {
    "crop": {"aspect_ratio": "3:2"},
    "redact": {"boxes": [{"left": 0, "top": 0, "width": 5, "height": 5}]},
    "watermark": {"text": "A"},
}
"""What an operation needs beside its defaults."""

COLOURS = ("red", "#80402080", "transparent")


def picture(mode: str, size: Size) -> Image.Image:
    """A drawing of any mode; `P transparent` has one transparent color."""
    match mode:
        case "P transparent":
            image = drawing(size).quantize(16)
            image.info["transparency"] = image.getpixel((0, size[1] - 1))
            return image
        case "PA":
            return drawing(size, "LA").convert("PA")
        case "RGBX" | "HSV" | "F":
            return drawing(size).convert("L" if mode == "F" else "RGB").convert(mode)
        case "LAB":
            # As a TIFF has it: neutral a and b are 0, in two's complement.
            grey = drawing(size, "L")
            neutral = Image.new("L", size, 0)
            return Image.merge("LAB", (grey, neutral, neutral))
        case "I":
            return drawing(size, "L").convert("I").point(lambda value: value * 257)
    return drawing(size, mode)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_one_that_operations_know(mode: str) -> None:
    image = picture(mode, (33, 21))
    result = normalize_mode(image)
    assert result.mode in WORKING_MODES
    assert result.size == image.size
    assert ("A" in result.getbands()) == image.has_transparency_data


def values(kind: inspect.Type) -> Iterator[Any]:
    """Yield the bounds of a number, every choice, some colors."""
    match kind:
        case inspect.Metadata(extra_json_schema={"format": "color"}):
            yield from COLOURS
        case inspect.Metadata(type=inner):
            yield from values(inner)
        case inspect.UnionType(types=types):
            for each in types:
                yield from values(each)
        case inspect.IntType():
            yield from (bound for bound in (kind.ge, kind.le) if bound is not None)
        case inspect.FloatType():
            yield from (bound for bound in (kind.ge, kind.le) if bound is not None)
            yield from (bound + step for bound, step in ((kind.gt, 0.001), (kind.lt, -0.001)) if bound is not None)
        case inspect.LiteralType(values=choices):
            yield from choices
        case inspect.BoolType():
            yield from (False, True)


def variations(name: str) -> Iterator[Operation]:
    """Yield an operation as it is by default, then with each parameter at each of its bounds."""
    kind, needed = OPERATIONS[name], NEEDED.get(name, {})
    yield msgspec.convert({"operation": name, **needed}, kind)
    for field in msgspec.structs.fields(kind):
        for value in values(inspect.type_info(field.type)):
            given = {field.encode_name: value} if name == "crop" else {**needed, field.encode_name: value}
            operation = msgspec.convert({"operation": name, **given}, kind)
            if not operation.problems():
                yield operation


ALL = [name for name, kind in OPERATIONS.items() if not kind.is_report]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ALL)
def test_every_operation_gives_a_right_picture_or_a_clear_error(name: str, mode: str) -> None:
    """The size that it says, a mode that every other operation takes, and what it was given as it was."""
    overlay = drawing((20, 10), "RGBA")
    given = 0
    for operation in variations(name):
        for size in SIZES:
            image = normalize_mode(picture(mode, size))
            before = image.tobytes()
            try:
                result = transform(image, [operation], assets=Assets(overlay))
                expected = operation.output_size(image.size)
            except PictureError as exc:
                assert len(str(exc)) > 20, operation  # noqa: PT017 - some give a picture
                continue
            finally:
                assert image.tobytes() == before
            given += 1
            assert result.mode in WORKING_MODES, operation
            assert result.size == expected or name == "trim", operation
    assert given > 0


def made(operation: Operation, image: Image.Image) -> Image.Image | None:
    """Return what an operation gives, in 8 bits, or None for an error."""
    try:
        result = transform(normalize_mode(image), [operation], assets=Assets(drawing((20, 10), "RGBA")))
    except PictureError:
        return None
    return convert_to_modes(result, ("L", "LA", "RGB", "RGBA", "CMYK"))


@pytest.mark.parametrize("name", ALL)
def test_every_operation_does_the_same_in_every_mode(name: str) -> None:
    """What it makes of a grey picture looks the same whether that is stored as L, RGB, LA, RGBA or in 16 bits."""
    for operation in variations(name):
        expected, *others = (
            made(operation, image)
            for image in (
                drawing((48, 36), "L").convert("RGB"),
                drawing((48, 36), "L"),
                drawing((48, 36), "L").convert("LA"),
                drawing((48, 36), "L").convert("RGBA"),
                drawing((48, 36), "I;16"),
            )
        )
        for other in others:
            if expected is None or other is None:
                assert expected is other, operation
            else:  # 16-bit pictures show every color as grey
                same = expected.convert("LA") if other.mode in ("L", "LA") else expected
                assert mean_difference(other, same) <= 2, (operation, other.mode)


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("name", ALL)
def test_every_operation_takes_a_large_picture(name: str, mode: str) -> None:
    operation = next(variations(name))
    image = drawing(LARGE, mode)
    result = transform(image, [operation])
    assert result.size == operation.output_size(LARGE) or name == "trim"
