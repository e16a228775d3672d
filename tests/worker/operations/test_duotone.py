"""Duotone."""

import pytest

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, alpha_bytes, applied, parsed, pixel, refusal
from worker.operations.base import WORKING_MODES
from worker.operations.duotone import Duotone

BLUE_TO_YELLOW = Duotone(dark="#000064", light="#ff0")


@pytest.mark.parametrize(("grey", "color"), [(0, (0, 0, 100)), (255, (255, 255, 0)), (51, (51, 51, 80))])
def test_black_white_and_all_between_go_from_one_color_to_the_other(grey: int, color: tuple[int, int, int]) -> None:
    assert pixel(BLUE_TO_YELLOW, "L", grey) == color
    assert pixel(BLUE_TO_YELLOW, "RGB", (grey, grey, grey)) == color
    assert pixel(BLUE_TO_YELLOW, "LA", (grey, 9)) == (*color, 9)
    assert pixel(BLUE_TO_YELLOW, "RGBA", (grey, grey, grey, 9)) == (*color, 9)


def test_colors_count_by_their_luma() -> None:
    assert pixel(Duotone(dark="black", light="white"), "RGB", (255, 0, 0)) == (76, 76, 76)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
def test_every_picture_comes_out_in_color_with_its_alpha(mode: str, size: Size) -> None:
    image = drawing(size, mode)
    result = applied(Duotone(), image)
    assert result.mode == ("RGBA" if "A" in mode else "RGB")
    if "A" in mode:
        assert alpha_bytes(result) == alpha_bytes(image)


def test_it_takes_two_opaque_colors() -> None:
    assert parsed(operation="duotone") == Duotone(dark="midnightblue", light="bisque")
    assert parsed(operation="duotone", dark="#123f", light="white") == Duotone(dark="#123f", light="white")
    assert refusal(operation="duotone", dark="transparent", light="#12345678") == (
        "dark: must be a color without alpha; got 'transparent'; light: must be a color without alpha; got '#12345678'"
    )
    assert refusal(operation="duotone", dark="blu").startswith("dark: must be a CSS color name")
