"""Blur."""

from math import sqrt

import pytest
from PIL import Image

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, applied, parsed, pixel, refusal
from worker.operations.base import WORKING_MODES
from worker.operations.blur import Blur


@pytest.mark.parametrize("sigma", [1, 2.5, 8])
def test_a_line_is_spread_with_the_standard_deviation_that_was_asked_for(sigma: float) -> None:
    line = Image.new("L", (101, 3))
    line.paste(255, (50, 0, 51, 3))
    middle = applied(Blur(sigma=sigma), line).crop((0, 1, 101, 2)).tobytes()
    assert sum(middle) == pytest.approx(255, abs=10)
    variance = sum((x - 50) ** 2 * value for x, value in enumerate(middle)) / sum(middle)
    assert sqrt(variance) == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("sigma", [0.1, 2, 1000])
def test_a_plain_picture_stays_as_it_is(mode: str, size: Size, sigma: float) -> None:
    image = Image.new(mode, size, drawing((1, 1), mode).getpixel((0, 0)))
    result = applied(Blur(sigma=sigma), image)
    assert result.getextrema() == result.crop((0, 0, 1, 1)).getextrema()
    assert result.mode == ("L" if mode == "I;16" else mode)


def test_hidden_colors_do_not_bleed_through_the_edge_of_transparency() -> None:
    image = Image.new("RGBA", (40, 4), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (20, 0, 40, 4))
    result = applied(Blur(sigma=4), image)
    red, _, blue, alpha = result.getpixel((18, 2))  # type: ignore[misc]
    assert 50 < alpha < 128
    assert (red, blue) == (0, 255)


def test_inks_stay_inks() -> None:
    assert pixel(Blur(), "CMYK", (10, 20, 30, 40)) == (10, 20, 30, 40)


def test_it_takes_sigma_from_0_1_to_1000() -> None:
    assert parsed(operation="blur") == Blur(sigma=2)
    assert parsed(operation="blur", sigma="7.5") == Blur(sigma=7.5)
    for wrong in ("0", "1001"):
        assert (
            refusal(operation="blur", sigma=wrong)
            .partition(": ")[2]
            .startswith("must be a number from 0.1 to 1000; got ")
        )
