"""Autocontrast."""

import pytest
from PIL import Image, ImageOps

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, alpha_bytes, animated, applied, parsed, refusal, row
from worker.operations.autocontrast import Autocontrast
from worker.operations.base import WORKING_MODES


def test_the_darkest_becomes_black_and_the_brightest_white() -> None:
    assert list(applied(Autocontrast(), row("L", 50, 100, 150)).tobytes()) == [0, 128, 255]


def test_each_color_is_stretched_by_itself_unless_its_tone_is_to_be_kept() -> None:
    image = row("RGB", (50, 100, 0), (150, 100, 0), (100, 100, 0))
    assert applied(Autocontrast(), image).getpixel((1, 0)) == (255, 100, 0)
    # Luma goes from 74 to 104.
    assert applied(Autocontrast(preserve_tone=True), image).getpixel((2, 0)) == (221, 221, 0)


@pytest.mark.parametrize("step", [Autocontrast(), Autocontrast(preserve_tone=True)], ids=["each", "tone"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_it_gives_what_pillow_gives(mode: str, step: Autocontrast) -> None:
    image = Image.merge("RGB", [Image.effect_noise((60, 40), 20) for _ in range(3)]).convert(mode)
    expected = ImageOps.autocontrast(image, preserve_tone=step.preserve_tone)
    result = applied(step, image)
    assert max(abs(a - b) for a, b in zip(result.tobytes(), expected.tobytes(), strict=True)) <= 1


def test_the_cutoff_is_the_share_of_pixels_that_may_be_lost_at_either_end() -> None:
    image = row("L", 0, *[100] * 49, *[200] * 49, 255)
    assert list(applied(Autocontrast(), image).tobytes()) == list(image.tobytes())
    assert set(applied(Autocontrast(cutoff=1), image).tobytes()) == {0, 255}
    assert applied(Autocontrast(cutoff=1), image).getpixel((1, 0)) == 0


@pytest.mark.parametrize("preserve_tone", [False, True])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pixels_have_no_say_and_alpha_stays(mode: str, preserve_tone: bool) -> None:
    image = row("LA", (0, 0), (50, 255), (100, 128), (150, 1), (255, 0)).convert(mode)
    result = applied(Autocontrast(preserve_tone=preserve_tone), image)
    assert list(result.convert("RGB").getchannel("R").tobytes())[1:4] == [0, 128, 255]
    assert alpha_bytes(result) == alpha_bytes(image)


def test_all_frames_are_stretched_alike() -> None:
    frames = [row("L", 50, 60), row("L", 140, 150), row("L", 100, 100)]
    assert [list(frame.tobytes()) for frame in animated(Autocontrast(), frames)] == [[0, 26], [230, 255], [128, 128]]


@pytest.mark.parametrize("mode", WORKING_MODES)
def test_a_picture_of_one_color_stays_as_it_is(mode: str) -> None:
    image = Image.new(mode, (5, 4), drawing((1, 1), mode).getpixel((0, 0)))
    if mode in ("CMYK", "I;16"):
        image = image.convert("L")
    assert applied(Autocontrast(), image).tobytes() == image.tobytes()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("step", [Autocontrast(cutoff=49.9), Autocontrast(cutoff=49.9, preserve_tone=True)])
def test_every_picture_can_be_stretched(mode: str, size: Size, step: Autocontrast) -> None:
    applied(step, drawing(size, mode))


def test_its_parameters_have_defaults_and_bounds() -> None:
    assert parsed(operation="autocontrast") == Autocontrast(cutoff=0, preserve_tone=False)
    assert parsed(operation="autocontrast", preserve_tone="true") == Autocontrast(preserve_tone=True)
    assert refusal(operation="autocontrast", cutoff="50") == (
        "cutoff: must be a number at least 0 and less than 50; got '50'"
    )
