"""Median."""

from statistics import median

import pytest
from PIL import Image

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, alpha_bytes, applied, parsed, refusal, row
from worker.errors import PictureError
from worker.operations.base import WORKING_MODES
from worker.operations.median import STRIP_ROWS, Median

SIDES = (3, 5, 7, 9)


def noise(size: Size) -> Image.Image:
    return Image.effect_noise(size, 60)


@pytest.mark.parametrize("side", SIDES)
def test_each_pixel_is_the_median_of_the_square_around_it(side: int) -> None:
    image = noise((14, STRIP_ROWS + 6))
    result = applied(Median(size=side), image)  # type: ignore[arg-type]
    samples, reach = image.tobytes(), side // 2
    for y in range(image.height):
        for x in range(image.width):
            square = [
                # Beyond the edge, the edge goes on.
                samples[min(max(v, 0), image.height - 1) * image.width + min(max(u, 0), image.width - 1)]
                for v in range(y - reach, y + reach + 1)
                for u in range(x - reach, x + reach + 1)
            ]
            assert result.getpixel((x, y)) == median(square), (x, y)


@pytest.mark.parametrize("side", SIDES)
def test_a_speck_goes_and_an_edge_stays(side: int) -> None:
    image = Image.new("RGB", (40, 40), "navy")
    image.paste("orange", (20, 0, 40, 40))
    speckled = image.copy()
    speckled.putpixel((10, 10), (255, 255, 255))
    speckled.putpixel((30, 20), (0, 0, 0))
    assert applied(Median(size=side), speckled).tobytes() == image.tobytes()  # type: ignore[arg-type]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("hidden", [0, 255])
def test_what_is_transparent_has_no_say(hidden: int, side: int) -> None:
    image = Image.new("LA", (30, 30), (hidden, 0))
    image.paste((120, 255), (10, 10, 20, 20))
    image.putpixel((25, 5), (120, 60))
    result = applied(Median(size=side), image)  # type: ignore[arg-type]
    assert alpha_bytes(result) == alpha_bytes(image)
    assert result.getpixel((10, 10)) == pytest.approx((120, 255), abs=2)
    assert result.getpixel((25, 5)) == pytest.approx((120, 60), abs=4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("side", SIDES)
def test_every_picture_keeps_its_mode_and_alpha(mode: str, size: Size, side: int) -> None:
    image = drawing(size, mode)
    result = applied(Median(size=side), image)  # type: ignore[arg-type]
    assert result.mode == ("L" if mode == "I;16" else mode)
    if "A" in mode:
        assert alpha_bytes(result) == alpha_bytes(image)


def test_a_row_of_pixels_has_medians_too() -> None:
    assert list(applied(Median(), row("L", 9, 9, 0, 9, 5, 7)).tobytes()) == [9, 9, 9, 5, 7, 7]


def test_large_squares_are_refused_for_large_pictures() -> None:
    assert Median(size=5).output_size((4032, 3024)) == (4032, 3024)
    assert Median(size=3).output_size((10_000, 10_000)) == (10_000, 10_000)
    with pytest.raises(PictureError) as caught:
        Median(size=9).output_size((4000, 3000))
    assert str(caught.value) == (
        "the median of 9 x 9 pixels takes too long for 12,000,000 pixels; "
        "reduce size, or use an image of at most 3,950,617 pixels"
    )


def test_it_takes_odd_sizes_up_to_9() -> None:
    assert parsed(operation="median") == Median(size=3)
    assert parsed(operation="median", size="7") == Median(size=7)
    for wrong in ("4", "1", "11"):
        assert refusal(operation="median", size=wrong) == f"size: must be one of 3, 5, 7, 9; got '{wrong}'"
