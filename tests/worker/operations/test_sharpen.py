"""Sharpen."""

import pytest
from PIL import Image, ImageFilter

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, alpha_bytes, applied, parsed, refusal
from worker.operations.base import WORKING_MODES
from worker.operations.sharpen import Sharpen


def edge() -> Image.Image:
    image = Image.new("L", (40, 3), 100)
    image.paste(140, (20, 0, 40, 3))
    return image


def test_the_two_sides_of_an_edge_move_apart_and_the_rest_stays() -> None:
    sharp = applied(Sharpen(), edge()).crop((0, 1, 40, 2)).tobytes()
    assert sharp[19] < 85
    assert sharp[20] > 155
    assert (sharp[0], sharp[39]) == (100, 140)


def test_percent_is_how_much_of_the_difference_to_a_blur_is_added() -> None:
    blurred = edge().filter(ImageFilter.GaussianBlur(3)).getpixel((21, 1))
    sharp = applied(Sharpen(radius=3, percent=50, threshold=0), edge()).getpixel((21, 1))
    assert sharp == pytest.approx(140 + (140 - blurred) / 2, abs=1)  # type: ignore[operator]


@pytest.mark.parametrize("gentle", [Sharpen(percent=0), Sharpen(threshold=40)], ids=["percent", "threshold"])
def test_no_percent_and_differences_within_the_threshold_change_nothing(gentle: Sharpen) -> None:
    assert applied(gentle, edge()).tobytes() == edge().tobytes()


@pytest.mark.parametrize("step", [Sharpen(), Sharpen(radius=10, percent=500)], ids=["little", "much"])
@pytest.mark.parametrize("hidden", [(0, 0, 0, 0), (255, 255, 255, 0)], ids=["black", "white"])
def test_what_is_transparent_makes_no_halo(hidden: tuple[int, ...], step: Sharpen) -> None:
    image = Image.new("RGBA", (200, 60), hidden)
    image.paste((90, 120, 150, 255), (20, 20, 40, 40))
    image.putpixel((150, 30), (90, 120, 150, 255))
    sharp = applied(step, image)
    assert alpha_bytes(sharp) == alpha_bytes(image)
    for place in ((20, 20), (30, 39), (150, 30)):
        assert sharp.getpixel(place) == pytest.approx((90, 120, 150, 255), abs=8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("step", [Sharpen(), Sharpen(radius=0.1), Sharpen(radius=100, percent=1000, threshold=0)])
def test_every_picture_keeps_its_mode_and_alpha(mode: str, size: Size, step: Sharpen) -> None:
    image = drawing(size, mode)
    sharp = applied(step, image)
    assert sharp.mode == ("L" if mode == "I;16" else mode)
    if "A" in mode:
        assert alpha_bytes(sharp) == alpha_bytes(image)


def test_a_picture_of_which_nothing_is_visible_stays_so() -> None:
    assert applied(Sharpen(), Image.new("LA", (9, 9), (7, 0))).getchannel("A").getextrema() == (0, 0)


def test_its_parameters_have_defaults_and_bounds() -> None:
    assert parsed(operation="sharpen") == Sharpen(radius=2, percent=150, threshold=3)
    assert refusal(operation="sharpen", radius="0", percent="1001", threshold="256") == (
        "radius: must be a number from 0.1 to 100; got '0'; "
        "percent: must be a whole number from 0 to 1000; got '1001'; "
        "threshold: must be a whole number from 0 to 255; got '256'"
    )
