"""Solarize."""

import pytest

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, alpha_bytes, applied, parsed, pixel, refusal
from worker.operations.base import WORKING_MODES
from worker.operations.solarize import Solarize


@pytest.mark.parametrize(
    ("threshold", "mode", "before", "after"),
    [
        (128, "L", 127, 127),
        (128, "L", 128, 127),
        (128, "RGB", (0, 200, 255), (0, 55, 0)),
        (128, "RGBA", (0, 200, 255, 200), (0, 55, 0, 200)),
        (128, "LA", (200, 200), (55, 200)),
        (0, "RGB", (0, 100, 255), (255, 155, 0)),
        (255, "RGB", (0, 254, 255), (0, 254, 0)),
    ],
)
def test_what_reaches_the_threshold_is_inverted(
    threshold: int, mode: str, before: float | tuple[int, ...], after: object
) -> None:
    assert pixel(Solarize(threshold=threshold), mode, before) == after


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
def test_every_picture_keeps_its_alpha(mode: str, size: Size) -> None:
    image = drawing(size, mode)
    result = applied(Solarize(), image)
    if "A" in mode:
        assert alpha_bytes(result) == alpha_bytes(image)


def test_it_takes_a_threshold_from_0_to_255() -> None:
    assert parsed(operation="solarize") == Solarize(threshold=128)
    assert (
        refusal(operation="solarize", threshold="256")
        .partition(": ")[2]
        .startswith("must be a whole number from 0 to 255; got ")
    )
