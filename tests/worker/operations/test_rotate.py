from typing import Any

import pytest
from PIL import Image

from tests.support.pictures import drawing, mean_difference
from tests.support.rendering import transform
from worker.errors import PictureError
from worker.operations.base import WORKING_MODES
from worker.operations.rotate import Rotate

LIMIT = 1_000_000

EMPTY: dict[str, tuple[object, ...]] = {
    "L": (255,),
    "LA": ((0, 0), (255, 0)),
    "RGB": ((255, 255, 255),),
    "RGBA": ((0, 0, 0, 0), (255, 255, 255, 0)),
    "CMYK": ((0, 0, 0, 0),),
    "I;16": (65_535,),
}
"""White, or transparent where there is alpha."""

ANGLES = [*range(-360, 361, 7), 0.1, 45.5, 59.99, 60.0, 89.9, 90.1, -120.25]


def rotated(image: Image.Image, **parameters: Any) -> Image.Image:
    return transform(image, [Rotate(**parameters)], LIMIT)


def grey_values(image: Image.Image) -> set[float]:
    return {value for value in image.get_flattened_data() if not isinstance(value, tuple)}


def test_without_an_angle_it_is_a_quarter_turn_clockwise() -> None:
    image = Image.frombytes("L", (3, 2), bytes([1, 2, 3, 4, 5, 6]))
    assert rotated(image).tobytes() == bytes([4, 1, 5, 2, 6, 3])


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("angle", [0, 90, 180, 270, 360, -90, -180, -270, -360])
def test_quarter_turns_keep_every_pixel_in_every_mode(mode: str, angle: int) -> None:
    image = drawing((31, 20), mode)
    turned = rotated(image, angle=angle)
    assert turned.mode == mode
    assert turned.size == ((20, 31) if angle % 180 else (31, 20))
    assert turned.tobytes() == image.rotate(-angle, expand=True).tobytes()
    assert rotated(turned, angle=-angle).tobytes() == image.tobytes()


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (33, 21), (100, 100), (101, 64)])
def test_the_result_has_the_size_that_pillow_gives_it(size: tuple[int, int], angle: float) -> None:
    expected = Image.new("1", size).rotate(-angle, expand=True).size
    assert Rotate(angle=angle).output_size(size) == expected
    assert rotated(Image.new("L", size), angle=angle).size == expected


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("angle", [90, 30])
def test_without_expand_the_size_stays_and_the_corners_are_cut(mode: str, angle: int) -> None:
    image = drawing((60, 30), mode)
    turned = rotated(image, angle=angle, expand=False)
    assert (turned.mode, turned.size) == (mode, (60, 30))
    assert turned.getpixel((0, 0)) in EMPTY[mode]
    assert turned.getpixel((35, 10)) != turned.getpixel((0, 0))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "LA", "RGBA"])
@pytest.mark.parametrize("angle", [30, -75.5, 181])
def test_other_angles_show_the_picture_as_pillow_turns_it(mode: str, angle: float) -> None:
    image = drawing((80, 60), mode)
    expected = image.rotate(-angle, Image.Resampling.BICUBIC, expand=True)
    turned = rotated(image, angle=angle)
    assert turned.size == expected.size
    inside = (expected.width // 2 - 15, expected.height // 2 - 15, expected.width // 2 + 15, expected.height // 2 + 15)
    assert mean_difference(turned.crop(inside), expected.crop(inside)) < 0.1


@pytest.mark.parametrize("angle", [30, -75.5, 181])
def test_16_bit_pictures_turn_at_their_depth(angle: float) -> None:
    image = Image.linear_gradient("L").resize((80, 60)).convert("I").point(lambda value: value * 200 + 77)
    turned = rotated(image.convert("I;16"), angle=angle)
    expected = image.convert("F").rotate(-angle, Image.Resampling.BICUBIC, expand=True)
    middle = expected.width // 2, expected.height // 2
    for x, y in [middle, (middle[0] + 9, middle[1] - 7), (middle[0] - 13, middle[1] + 5)]:
        assert turned.getpixel((x, y)) == pytest.approx(expected.getpixel((x, y)), abs=1)
    assert turned.mode == "I;16"
    assert turned.getpixel((0, 0)) == 65_535


@pytest.mark.parametrize("angle", [1, 30, 45, 200.5])
@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_a_uniform_picture_on_its_own_color_shows_no_edge(mode: str, angle: float) -> None:
    grey = {"L": 0x80, "I;16": 0x8080}[mode]
    turned = rotated(Image.new(mode, (40, 30), grey), angle=angle, background="#808080")
    assert grey_values(turned) == {grey}


@pytest.mark.parametrize("angle", [1, 30, 45, 200.5])
@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_the_edge_goes_smoothly_from_the_picture_to_its_background(mode: str, angle: float) -> None:
    dark, white = {"L": (100, 255), "I;16": (25_700, 65_535)}[mode]
    values = grey_values(rotated(Image.new(mode, (40, 30), dark), angle=angle))
    assert (min(values), max(values)) == (dark, white)
    assert len(values) > 3


def test_transparent_surroundings_lend_the_edge_no_color() -> None:
    turned = rotated(Image.new("RGBA", (40, 30), (200, 40, 90, 255)), angle=30)
    visible = [pixel for pixel in turned.get_flattened_data() if isinstance(pixel, tuple) and pixel[3] > 40]
    assert turned.getpixel((0, 0)) == (0, 0, 0, 0)
    assert any(pixel[3] < 250 for pixel in visible)
    for channel, expected in enumerate((200, 40, 90)):
        assert all(abs(pixel[channel] - expected) <= 4 for pixel in visible)


@pytest.mark.parametrize(
    ("mode", "background", "result", "corner"),
    [
        ("RGB", "red", "RGB", (255, 0, 0)),
        ("L", "red", "RGB", (255, 0, 0)),
        ("L", "gray", "L", 128),
        ("RGB", "#0000ff80", "RGBA", (0, 0, 255, 128)),
        ("RGBA", "lime", "RGBA", (0, 255, 0, 255)),
        ("RGB", "transparent", "RGBA", (0, 0, 0, 0)),
        ("CMYK", "red", "CMYK", (0, 255, 255, 0)),
        ("I;16", "black", "I;16", 0),
        ("I;16", "transparent", "LA", (0, 0)),
    ],
)
def test_the_background_fills_what_the_picture_leaves_free(
    mode: str, background: str, result: str, corner: object
) -> None:
    turned = rotated(drawing((40, 30), mode), angle=45, background=background)
    assert turned.mode == result
    assert turned.getpixel((0, 0)) == corner


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
@pytest.mark.parametrize("angle", [45, 359.9])
def test_the_smallest_pictures_can_be_turned(mode: str, size: tuple[int, int], angle: float) -> None:
    assert rotated(drawing(size, mode), angle=angle).mode == mode


def test_a_turn_that_grows_over_the_limit_is_refused() -> None:
    with pytest.raises(PictureError, match="pixels are too many"):
        rotated(Image.new("L", (999, 999)), angle=45)
