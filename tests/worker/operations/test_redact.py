from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.support.pictures import drawing, mean_difference
from tests.support.rendering import transform
from worker.errors import PictureError
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations.base import WORKING_MODES
from worker.operations.redact import Area, Redact

LIMIT = 1_000_000

METHODS = ("fill", "pixelate", "blur")

BLACK: dict[str, float | tuple[int, ...]] = {
    "L": 0,
    "LA": (0, 255),
    "RGB": (0, 0, 0),
    "RGBA": (0, 0, 0, 255),
    "CMYK": (255, 255, 255, 0),
    "I;16": 0,
}


def area(left: int, top: int, width: int, height: int) -> Area:
    return Area(left=left, top=top, width=width, height=height)


def redacted(image: Image.Image, *boxes: Area, **parameters: Any) -> Image.Image:
    return transform(image, [Redact(boxes=boxes, **parameters)], LIMIT)


@pytest.mark.parametrize("mode", WORKING_MODES)
def test_fill_leaves_one_opaque_color_and_touches_nothing_else(mode: str) -> None:
    image = drawing((60, 40), mode)
    result = redacted(image, area(5, 6, 20, 10), area(40, 30, 7, 3))
    assert (result.mode, result.size) == (mode, (60, 40))
    expected = image.copy()
    for box in [(5, 6, 25, 16), (40, 30, 47, 33)]:
        expected.paste(Image.new(mode, (box[2] - box[0], box[3] - box[1]), BLACK[mode]), box)
    assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("mode", "color", "result", "pixel"),
    [
        ("L", "red", "RGB", (255, 0, 0)),
        ("RGBA", "white", "RGBA", (255, 255, 255, 255)),
        ("LA", "red", "RGBA", (255, 0, 0, 255)),
        ("I;16", "#808080", "I;16", 0x8080),
    ],
)
def test_fill_has_the_color_that_was_asked_for(mode: str, color: str, result: str, pixel: object) -> None:
    image = redacted(drawing((60, 40), mode), area(5, 6, 20, 10), color=color)
    assert (image.mode, image.getpixel((6, 7))) == (result, pixel)


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("method", ["pixelate", "blur"])
def test_the_outside_of_the_box_neither_changes_nor_leaks_into_it(mode: str, method: str) -> None:
    image = Image.new(mode, (60, 40))
    inner = Image.new(mode, (20, 10), {"L": 200, "LA": (200, 255), "I;16": 44_444}.get(mode, "red"))  # type: ignore[arg-type]
    image.paste(inner, (30, 20))
    assert redacted(image, area(30, 20, 20, 10), method=method).tobytes() == image.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "I;16"])
def test_pixelate_leaves_three_blocks_along_the_longer_side(mode: str) -> None:
    image = drawing((90, 60), "L").effect_spread(9)
    image = image.convert("I").point(lambda value: value * 257).convert(mode) if mode == "I;16" else image.convert(mode)
    result = redacted(image, area(0, 0, 90, 60), method="pixelate")
    for left, upper in [(0, 0), (30, 0), (60, 30)]:
        block = result.crop((left, upper, left + 30, upper + 30))
        assert len(set(block.get_flattened_data())) == 1
        source = image.crop((left, upper, left + 30, upper + 30)).resize((1, 1), Image.Resampling.BOX)
        assert mean_difference(block, source.resize(block.size)) <= 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side", [1, 2, 5, 8, 15, 16, 40])
def test_two_letters_cannot_be_told_apart(method: str, side: int) -> None:
    """What is left of a letter that fills its box is some means, never its strokes."""
    pictures = []
    for letter in "MW":
        image = Image.new("L", (side, side), 255)
        ImageDraw.Draw(image).text((0, -side // 8), letter, 0, ImageFont.load_default(side))
        pictures.append(redacted(image, area(0, 0, side, side), method=method))
    one, other = (
        [value for value in picture.get_flattened_data() if not isinstance(value, tuple)] for picture in pictures
    )
    assert max(abs(a - b) for a, b in zip(one, other, strict=True)) < 110
    assert max(one) - min(one) < 200


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_under_transparent_pixels(mode: str, method: str) -> None:
    image = drawing((60, 40), mode)
    image.putalpha(0)
    box = redacted(image, area(0, 0, 60, 40), method=method)
    assert len(set(box.get_flattened_data())) == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_box_that_reaches_over_the_picture_is_cut_to_it(method: str) -> None:
    image = drawing((60, 40)).effect_spread(5)
    over = redacted(image, area(-10, -10, 30, 30), area(50, 30, 100, 100), method=method)
    assert over.tobytes() == redacted(image, area(0, 0, 20, 20), area(50, 30, 10, 10), method=method).tobytes()


@pytest.mark.parametrize("box", [(60, 0, 5, 5), (0, 40, 5, 5), (-5, 0, 5, 5), (0, -9, 5, 5)])
def test_a_box_outside_of_the_picture_is_an_error(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(PictureError, match=r"boxes\[1\] is completely outside of the image of 60 x 40 pixels"):
        redacted(drawing((60, 40)), area(0, 0, 5, 5), area(*box))


@pytest.mark.parametrize("method", ["pixelate", "blur"])
def test_work_that_would_never_end_is_refused(method: str) -> None:
    boxes = [area(0, 0, 60, 40)] * 9
    with pytest.raises(PictureError, match="cover the image more than 8 times"):
        redacted(drawing((60, 40)), *boxes, method=method)
    assert redacted(drawing((60, 40)), *boxes[1:], method=method).size == (60, 40)
    assert redacted(drawing((60, 40)), *boxes, method="fill").size == (60, 40)


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (1, 100)])
def test_the_smallest_pictures_can_be_redacted(mode: str, method: str, size: tuple[int, int]) -> None:
    assert redacted(drawing(size, mode), area(0, 0, 1, 1), method=method).size == size


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "boxes: is missing"),
        ({"boxes": "[]"}, r"boxes: must be a list of 1 to 100 objects .*; got \[\]"),
        ({"boxes": '[{"left": 1}]'}, r"boxes\[0\].top: is missing"),
        ({"boxes": '[{"left": 1, "top": 1, "width": 0, "height": 1}]'}, r"boxes\[0\].width: must be .*; got 0"),
        (
            {"boxes": '[{"left": 1, "top": 1, "width": 1, "height": 1}]', "color": "#00000080"},
            "color: must be opaque",
        ),
        (
            {"boxes": '[{"left": 1, "top": 1, "width": 1, "height": 1}]', "color": "red", "method": "blur"},
            "color: cannot be combined with blur",
        ),
    ],
)
def test_what_would_not_redact_is_refused(fields: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        parse_plan({"operation": "redact", **fields}, InputFormat.PNG, 20)


def test_boxes_are_given_as_json() -> None:
    text = '[{"left": 1, "top": 2, "width": 3, "height": 4}]'
    plan = parse_plan({"operation": "redact", "boxes": text}, InputFormat.PNG, 20)
    assert plan.variants[""].operations == (Redact(boxes=(area(1, 2, 3, 4),)),)
