"""Quantize."""

import pytest
from PIL import Image

from tests.support.pictures import Size, drawing, mean_difference
from tests.worker.operations.effects import SIZES, alpha_bytes, animated, applied, parsed, refusal, row
from worker.operations.base import WORKING_MODES
from worker.operations.quantize import Quantize


def colors_of(*images: Image.Image) -> set[object]:
    """The colors of all that is visible."""
    found: set[object] = set()
    for image in images:
        pixels = image.convert("RGBA").get_flattened_data()
        found |= {pixel[:3] for pixel in pixels if isinstance(pixel, tuple) and pixel[3]}
    return found


def colorful(size: Size = (120, 90)) -> Image.Image:
    across, down = Image.linear_gradient("L").rotate(90), Image.linear_gradient("L")
    return Image.merge("RGB", (across, down, Image.radial_gradient("L"))).resize(size)


@pytest.mark.parametrize("dither", [False, True])
@pytest.mark.parametrize("colors", [2, 16, 256])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_no_more_colors_are_left_than_there_may_be(mode: str, colors: int, dither: bool) -> None:
    image = colorful().convert(mode)
    result = applied(Quantize(colors=colors, dither=dither), image)
    assert result.mode == mode
    assert 2 <= len(colors_of(result)) <= colors


@pytest.mark.parametrize(("colors", "difference"), [(256, 6), (64, 10), (16, 18)])
def test_the_picture_stays_recognizable(colors: int, difference: float) -> None:
    result = applied(Quantize(colors=colors, dither=False), colorful())
    assert mean_difference(result, colorful()) < difference


def test_dithering_keeps_the_mean_where_few_colors_are_left() -> None:
    image = row("L", *[0] * 50, *[255] * 50).resize((100, 60))
    image.paste(128, (25, 10, 75, 50))
    image.putpixel((30, 30), 127)
    dithered = applied(Quantize(colors=2, dither=True), image).crop((25, 10, 75, 50))
    assert len(colors_of(dithered)) == 2
    assert dithered.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) == pytest.approx(128, abs=6)
    plain = applied(Quantize(colors=2, dither=False), image).crop((30, 20, 70, 40))
    assert len(colors_of(plain)) == 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_picture_of_few_colors_stays_as_it_is(mode: str) -> None:
    image = Image.new("RGB", (600, 400), "white")
    image.paste("navy", (50, 50, 300, 300))
    image.putpixel((599, 399), (255, 0, 0))
    image = image.convert(mode)
    assert applied(Quantize(colors=3), image).tobytes() == image.tobytes()


def test_transparency_stays_and_what_it_hides_takes_no_color() -> None:
    image = row("RGBA", *[(x, 255 - x, 7, 0) for x in range(256)], (255, 0, 0, 255), (0, 0, 255, 9)).resize((516, 4), 0)
    result = applied(Quantize(colors=2), image)
    assert alpha_bytes(result) == alpha_bytes(image)
    assert colors_of(result) == {(255, 0, 0), (0, 0, 255)}


def test_hidden_colors_do_not_reach_visible_ones_by_dithering() -> None:
    image = colorful().convert("RGBA")
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (30, 0, 60, 90))
    image.putalpha(alpha)
    other = image.copy()
    other.paste((0, 255, 0, 0), (30, 0, 60, 90))
    results = [applied(Quantize(colors=8), each).crop((60, 0, 120, 90)) for each in (image, other)]
    assert results[0].tobytes() == results[1].tobytes()


def test_all_frames_together_have_one_palette() -> None:
    frames = [colorful().rotate(angle) for angle in (0, 90, 180)]
    assert len(colors_of(*animated(Quantize(colors=12), frames))) <= 12
    hidden = [Image.new("RGBA", (120, 90)), colorful().convert("RGBA")]
    nothing, something = animated(Quantize(colors=12), hidden)
    assert nothing.getchannel("A").getextrema() == (0, 0)
    assert 2 <= len(colors_of(something)) <= 12


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("step", [Quantize(), Quantize(colors=2), Quantize(colors=2, dither=False)])
def test_every_picture_can_be_reduced(mode: str, size: Size, step: Quantize) -> None:
    image = drawing(size, mode)
    result = applied(step, image)
    assert len(colors_of(result)) <= step.colors
    if "A" in mode:
        assert alpha_bytes(result) == alpha_bytes(image)


def test_its_parameters_have_defaults_and_bounds() -> None:
    assert parsed(operation="quantize") == Quantize(colors=256, dither=True)
    assert parsed(operation="quantize", colors="16", dither="false") == Quantize(colors=16, dither=False)
    assert refusal(operation="quantize", colors="1", dither="maybe") == (
        "colors: must be a whole number from 2 to 256; got '1'; dither: must be true or false; got 'maybe'"
    )
