from math import pi

import pytest
from PIL import Image

from tests.support.pictures import alpha_of, drawing
from tests.support.rendering import transform
from worker.errors import PictureError
from worker.operations.base import WORKING_MODES
from worker.operations.round_corners import RoundCorners
from worker.pixels.modes import convert_to_modes

LIMIT = 1_000_000

OPAQUE: dict[str, float | tuple[int, ...]] = {
    "L": 99,
    "LA": (99, 255),
    "RGB": (9, 99, 199),
    "RGBA": (9, 99, 199, 255),
    "CMYK": (9, 99, 199, 0),
    "I;16": 9999,
}


def covered(image: Image.Image) -> float:
    """How much of its area a picture's alpha covers, in pixels."""
    alpha = image.getchannel("A").get_flattened_data()
    return sum(value for value in alpha if not isinstance(value, tuple)) / 255


@pytest.mark.parametrize("mode", WORKING_MODES)
def test_corners_become_transparent_and_the_rest_stays(mode: str) -> None:
    image = Image.new(mode, (60, 40), OPAQUE[mode])
    rounded = transform(image, [RoundCorners(radius=10)], LIMIT)
    assert (rounded.mode, rounded.size) == ("LA" if mode in ("L", "LA", "I;16") else "RGBA", (60, 40))
    assert [rounded.getchannel("A").getpixel(corner) for corner in [(0, 0), (59, 0), (0, 39), (59, 39)]] == [0] * 4
    middle = (10, 0, 50, 40)
    assert rounded.crop(middle).tobytes() == convert_to_modes(image, (rounded.mode,)).crop(middle).tobytes()


@pytest.mark.parametrize("radius", [1, 2, 5, 20, 37])
def test_the_corners_are_quarters_of_a_disc(radius: int) -> None:
    rounded = transform(Image.new("L", (80, 75)), [RoundCorners(radius=radius)], LIMIT)
    assert covered(rounded) == pytest.approx(80 * 75 - (4 - pi) * radius**2, abs=0.3 * radius)
    alpha = rounded.getchannel("A")
    assert alpha.tobytes() == alpha.transpose(Image.Transpose.ROTATE_180).tobytes()
    assert alpha.tobytes() == alpha.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes()


@pytest.mark.parametrize("side", [7, 8, 33, 100])
def test_a_square_becomes_a_circle(side: int) -> None:
    rounded = transform(Image.new("RGB", (side, side)), [RoundCorners()], LIMIT)
    assert covered(rounded) == pytest.approx(pi * side**2 / 4, rel=0.02)
    alpha = rounded.getchannel("A")
    assert alpha.getpixel((0, 0)) == 0
    assert alpha.getpixel((side // 2, 0)) == alpha.getpixel((0, side // 2)) != 0


def test_the_edge_is_smooth() -> None:
    alpha = transform(Image.new("L", (100, 100)), [RoundCorners()], LIMIT).getchannel("A")
    assert len(set(alpha.get_flattened_data())) > 25


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_was_transparent_stays_transparent(mode: str) -> None:
    image = drawing((60, 40), mode)
    rounded = transform(image, [RoundCorners(radius=8)], LIMIT)
    assert rounded.getchannel("A").crop((8, 0, 52, 40)).tobytes() == alpha_of((60, 40)).crop((8, 0, 52, 40)).tobytes()
    assert rounded.getchannel("A").getpixel((5, 5)) == 0
    assert rounded.getchannel("A").getpixel((59, 39)) == 0


@pytest.mark.parametrize(
    ("mode", "background", "result", "corner"),
    [
        ("RGB", "lime", "RGB", (0, 255, 0)),
        ("L", "red", "RGB", (255, 0, 0)),
        ("L", "white", "L", 255),
        ("RGBA", "black", "RGBA", (0, 0, 0, 255)),
        ("RGB", "#0000ff80", "RGBA", (0, 0, 255, 128)),
        ("CMYK", "red", "RGB", (255, 0, 0)),
    ],
)
def test_a_background_fills_the_corners(mode: str, background: str, result: str, corner: object) -> None:
    image = transform(drawing((40, 40), mode), [RoundCorners(background=background)], LIMIT)
    assert (image.mode, image.getpixel((0, 0)), image.getpixel((39, 39))) == (result, corner, corner)


def test_a_background_of_the_pictures_color_shows_no_edge() -> None:
    image = transform(Image.new("RGB", (40, 40), "#336699"), [RoundCorners(background="#336699")], LIMIT)
    assert set(image.get_flattened_data()) == {(0x33, 0x66, 0x99)}


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_a_line_of_single_pixels_has_no_corners_to_lose(mode: str, size: tuple[int, int]) -> None:
    rounded = transform(Image.new(mode, size, OPAQUE[mode]), [RoundCorners()], LIMIT)
    assert set(rounded.getchannel("A").get_flattened_data()) == {255}


def test_a_radius_over_half_of_the_shorter_side_is_refused() -> None:
    with pytest.raises(PictureError, match="radius must be at most half of the shorter side of 60 x 40 pixels; got 21"):
        transform(drawing((60, 40)), [RoundCorners(radius=21)], LIMIT)
    assert transform(drawing((60, 40)), [RoundCorners(radius=20)], LIMIT).size == (60, 40)
