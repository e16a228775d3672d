"""Opacity."""

import pytest

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, applied, parsed, pixel, refusal
from worker.operations.base import WORKING_MODES
from worker.operations.opacity import Opacity


@pytest.mark.parametrize(
    ("amount", "mode", "before", "after"),
    [
        (0.5, "L", 10, (10, 128)),
        (0.5, "LA", (10, 100), (10, 50)),
        (0.25, "RGB", (1, 2, 3), (1, 2, 3, 64)),
        (0.25, "RGBA", (1, 2, 3, 0), (1, 2, 3, 0)),
        (0, "RGBA", (1, 2, 3, 255), (1, 2, 3, 0)),
        (1, "RGBA", (1, 2, 3, 77), (1, 2, 3, 77)),
        (1, "RGB", (1, 2, 3), (1, 2, 3)),
    ],
)
def test_alpha_is_multiplied_and_colors_stay(
    amount: float, mode: str, before: float | tuple[int, ...], after: object
) -> None:
    assert pixel(Opacity(amount=amount), mode, before) == after


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
def test_every_picture_can_be_made_translucent(mode: str, size: Size) -> None:
    result = applied(Opacity(), drawing(size, mode))
    assert result.mode == ("LA" if mode in ("L", "LA", "I;16") else "RGBA")
    assert result.getchannel("A").getextrema()[1] in (0, 128)


def test_it_takes_an_amount_from_0_to_1() -> None:
    assert parsed(operation="opacity") == Opacity(amount=0.5)
    assert (
        refusal(operation="opacity", amount="-0.1").partition(": ")[2].startswith("must be a number from 0 to 1; got ")
    )
