"""Pixelate."""

import pytest
from PIL import Image

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, applied, parsed, refusal, row
from worker.operations.base import WORKING_MODES
from worker.operations.pixelate import Pixelate
from worker.pixels.geometry import MAX_SIDE


def test_each_block_is_the_mean_of_its_pixels_and_the_last_may_be_narrower() -> None:
    image = row("L", 10, 20, 30, 100, 100, 130, 7)
    assert list(applied(Pixelate(size=3), image).tobytes()) == [20, 20, 20, 110, 110, 110, 7]


@pytest.mark.parametrize("size", [2, 3, 7, 10, 64])
def test_blocks_lie_on_a_grid_from_the_upper_left_corner(size: int) -> None:
    image = applied(Pixelate(size=size), Image.effect_noise((101, 67), 90))
    for top in range(0, 67, size):
        for left in range(0, 101, size):
            block = image.crop((left, top, min(left + size, 101), min(top + size, 67)))
            assert block.getextrema() == (block.getpixel((0, 0)),) * 2


def test_16_bits_stay_16_bits() -> None:
    assert applied(Pixelate(size=2), row("I;16", 1_000, 2_000, 65_535)).get_flattened_data() == (1_500, 1_500, 65_535)


@pytest.mark.parametrize("hidden", [0, 255])
def test_what_is_transparent_lends_a_block_no_color(hidden: int) -> None:
    image = row("LA", (hidden, 0), (100, 255))
    assert applied(Pixelate(size=2), image).getpixel((0, 0)) == pytest.approx((100, 128), abs=1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("side", [1, MAX_SIDE])
def test_one_pixel_changes_nothing_and_more_than_the_picture_makes_it_one_block(
    mode: str, size: Size, side: int
) -> None:
    image = drawing(size, mode)
    result = applied(Pixelate(size=side), image)
    assert result.mode == mode
    if side == 1:
        assert result is image
    else:
        assert result.getextrema() == result.crop((0, 0, 1, 1)).getextrema()


def test_it_takes_the_side_of_the_blocks() -> None:
    assert parsed(operation="pixelate") == Pixelate(size=10)
    assert (
        refusal(operation="pixelate", size="0")
        .partition(": ")[2]
        .startswith("must be a whole number from 1 to 16383; got ")
    )
