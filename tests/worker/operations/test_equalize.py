"""Equalize."""

import pytest
from PIL import Image, ImageOps

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, alpha_bytes, animated, applied, parsed, row
from worker.operations.base import WORKING_MODES
from worker.operations.equalize import Equalize


def test_values_spread_by_how_many_pixels_have_them() -> None:
    assert list(applied(Equalize(), row("L", 100, 101, 102)).tobytes()) == [0, 128, 255]
    assert list(applied(Equalize(), row("L", 100, 100, 100, 101, 102)).tobytes()) == [0, 0, 0, 191, 255]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_it_gives_what_pillow_gives(mode: str) -> None:
    image = Image.linear_gradient("L").convert(mode)
    result, expected = applied(Equalize(), image), ImageOps.equalize(image)
    assert max(abs(a - b) for a, b in zip(result.tobytes(), expected.tobytes(), strict=True)) <= 1


def test_each_color_is_spread_by_itself() -> None:
    image = row("RGB", (10, 100, 7), (11, 101, 7), (12, 100, 7))
    assert applied(Equalize(), image).getpixel((1, 0)) == (128, 255, 7)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pixels_have_no_say_and_alpha_stays(mode: str) -> None:
    image = row("LA", (100, 255), (0, 0), (0, 0), (101, 3), (255, 0), (102, 128)).convert(mode)
    result = applied(Equalize(), image)
    values = result.convert("RGB").getchannel("R").tobytes()
    assert (values[0], values[3], values[5]) == (0, 128, 255)
    assert alpha_bytes(result) == alpha_bytes(image)


def test_all_frames_are_spread_alike() -> None:
    frames = [row("L", 10), row("L", 11), row("L", 12)]
    assert [frame.getpixel((0, 0)) for frame in animated(Equalize(), frames)] == [0, 128, 255]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
def test_every_picture_can_be_equalized_and_one_of_one_color_stays(mode: str, size: Size) -> None:
    applied(Equalize(), drawing(size, mode))
    plain = Image.new("RGB", size, "teal")
    assert applied(Equalize(), plain).tobytes() == plain.tobytes()


def test_it_has_no_parameters() -> None:
    assert parsed(operation="equalize") == Equalize()
