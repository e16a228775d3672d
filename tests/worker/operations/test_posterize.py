"""Posterize."""

from itertools import pairwise

import pytest
from PIL import Image

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, alpha_bytes, applied, parsed, pixel, refusal
from worker.operations.base import WORKING_MODES
from worker.operations.posterize import Posterize


@pytest.mark.parametrize("bits", range(1, 9))
def test_black_and_white_stay_and_even_steps_are_left_between_them(bits: int) -> None:
    values = sorted(set(applied(Posterize(bits=bits), Image.linear_gradient("L")).tobytes()))
    assert len(values) == 2**bits
    assert (values[0], values[-1]) == (0, 255)
    steps = [after - before for before, after in pairwise(values)]
    assert max(steps) - min(steps) <= 1


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        ("RGB", (127, 128, 255), (0, 255, 255)),
        ("RGBA", (127, 128, 255, 100), (0, 255, 255, 100)),
        ("LA", (200, 100), (255, 100)),
    ],
)
def test_each_color_goes_to_its_own_step_and_alpha_stays(mode: str, before: tuple[int, ...], after: object) -> None:
    assert pixel(Posterize(bits=1), mode, before) == after


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("bits", [1, 8])
def test_every_picture_keeps_its_alpha_and_with_8_bits_everything(mode: str, size: Size, bits: int) -> None:
    image = drawing(size, mode)
    result = applied(Posterize(bits=bits), image)
    if "A" in mode:
        assert alpha_bytes(result) == alpha_bytes(image)
    if bits == 8 and mode not in ("CMYK", "I;16"):
        assert result.tobytes() == image.tobytes()


def test_it_takes_1_to_8_bits() -> None:
    assert parsed(operation="posterize") == Posterize(bits=4)
    for wrong in ("0", "9", "2.5"):
        assert (
            refusal(operation="posterize", bits=wrong)
            .partition(": ")[2]
            .startswith("must be a whole number from 1 to 8; got ")
        )
