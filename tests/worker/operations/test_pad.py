from typing import Any

import pytest
from PIL import Image

from tests.support.pictures import drawing
from tests.support.rendering import transform
from worker.errors import PictureError
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations.base import WORKING_MODES
from worker.operations.pad import Pad

LIMIT = 1_000_000

EMPTY = {"L": 255, "LA": (255, 0), "RGB": (255,) * 3, "RGBA": (255, 255, 255, 0), "CMYK": (0,) * 4, "I;16": 65_535}


def padded(image: Image.Image, **parameters: Any) -> Image.Image:
    return transform(image, [Pad(**parameters)], LIMIT)


@pytest.mark.parametrize("mode", WORKING_MODES)
def test_each_side_gets_its_pixels_and_the_picture_stays_as_it_is(mode: str) -> None:
    image = drawing((31, 20), mode)
    result = padded(image, top=1, right=2, bottom=3, left=4)
    assert (result.mode, result.size) == (mode, (37, 24))
    assert result.crop((4, 1, 35, 21)).tobytes() == image.tobytes()
    assert [result.getpixel(place) for place in [(0, 0), (36, 23), (3, 10), (35, 10)]] == [EMPTY[mode]] * 4


def test_without_parameters_nothing_is_added() -> None:
    image = drawing((31, 20))
    assert padded(image).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        ((100, 100), "16:9", (178, 100)),
        ((100, 100), "1:2", (100, 200)),
        ((100, 100), "1.5", (150, 100)),
        ((160, 90), "16:9", (160, 90)),
        ((161, 90), "16:9", (161, 91)),
        ((1, 1), "4:1", (4, 1)),
        ((7, 1), "1:1", (7, 7)),
    ],
)
def test_an_aspect_ratio_is_reached_by_adding_on_one_axis(
    size: tuple[int, int], ratio: str, expected: tuple[int, int]
) -> None:
    assert padded(drawing(size), aspect_ratio=ratio).size == expected
    assert Pad(aspect_ratio=ratio).output_size(size) == expected


@pytest.mark.parametrize(
    ("position", "left"), [("center", 50), ("west", 0), ("southeast", 100), ("north", 50), ("northwest", 0)]
)
def test_the_position_says_where_the_picture_lies(position: str, left: int) -> None:
    image = drawing((100, 100))
    result = padded(image, aspect_ratio="2:1", position=position, background="black")
    assert result.crop((left, 0, left + 100, 100)).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("mode", "background", "result", "corner"),
    [
        ("L", "red", "RGB", (255, 0, 0)),
        ("RGB", "#00ff0080", "RGBA", (0, 255, 0, 128)),
        ("LA", "black", "LA", (0, 255)),
        ("CMYK", "transparent", "RGBA", (0, 0, 0, 0)),
        ("I;16", "#808080", "I;16", 0x8080),
        ("I;16", "transparent", "LA", (0, 0)),
    ],
)
def test_the_background_is_the_color_that_was_asked_for(
    mode: str, background: str, result: str, corner: object
) -> None:
    image = padded(drawing((20, 20), mode), left=5, background=background)
    assert (image.mode, image.getpixel((0, 0))) == (result, corner)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"aspect_ratio": "16:9", "top": "3", "left": "1"}, "top: cannot be combined with aspect_ratio.*left: cannot"),
        ({"position": "north"}, "position: needs aspect_ratio"),
        ({"top": "-1"}, "top: must be a whole number from 0 to 16383; got '-1'"),
        ({"aspect_ratio": "0:1"}, "aspect_ratio: must be width:height like 16:9"),
    ],
)
def test_parameters_that_do_not_go_together_are_named(fields: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        parse_plan({"operation": "pad", **fields}, InputFormat.PNG, 20)


def test_padding_over_the_limit_is_refused() -> None:
    with pytest.raises(PictureError, match="pixels are too many"):
        padded(drawing((200, 200)), aspect_ratio="99999:1")
