"""Sepia."""

import pytest

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, alpha_bytes, applied, parsed, pixel, refusal
from worker.operations.base import WORKING_MODES
from worker.operations.sepia import Sepia


@pytest.mark.parametrize(
    ("amount", "before", "after"),
    [
        (1, (100, 100, 100), (135, 120, 94)),
        (1, (255, 255, 255), (255, 255, 239)),
        (1, (255, 0, 0), (100, 89, 69)),
        (0.5, (100, 100, 100), (118, 110, 97)),
        (0, (12, 34, 56), (12, 34, 56)),
    ],
)
def test_known_colors_become_those_of_the_css_filter(
    amount: float, before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    assert pixel(Sepia(amount=amount), "RGB", before) == pytest.approx(after, abs=1)
    assert pixel(Sepia(amount=amount), "RGBA", (*before, 77)) == pytest.approx((*after, 77), abs=1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("amount", [0, 1])
def test_every_picture_comes_out_in_color_with_its_alpha(mode: str, size: Size, amount: float) -> None:
    image = drawing(size, mode)
    result = applied(Sepia(amount=amount), image)
    assert result.mode == ("RGBA" if "A" in mode else "RGB")
    if "A" in mode:
        assert alpha_bytes(result) == alpha_bytes(image)


def test_it_takes_an_amount_from_0_to_1() -> None:
    assert parsed(operation="sepia") == Sepia(amount=1)
    assert refusal(operation="sepia", amount="1.1") == "amount: must be a number from 0 to 1; got '1.1'"
