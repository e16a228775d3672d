"""Invert."""

import pytest

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, applied, parsed, pixel
from worker.operations.base import WORKING_MODES
from worker.operations.invert import Invert


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        ("L", 0, 255),
        ("LA", (55, 7), (200, 7)),
        ("RGB", (0, 100, 255), (255, 155, 0)),
        ("RGBA", (0, 100, 255, 60), (255, 155, 0, 60)),
        ("I;16", 0, 65_535),
        ("I;16", 65_535, 0),
        ("I;16", 1_234, 64_301),
        ("CMYK", (255, 255, 255, 0), (255, 255, 255)),
    ],
)
def test_each_value_becomes_its_complement(mode: str, before: float | tuple[int, ...], after: object) -> None:
    assert pixel(Invert(), mode, before) == after


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
def test_twice_is_not_at_all(mode: str, size: Size) -> None:
    image = drawing(size, mode)
    if mode == "CMYK":
        image = image.convert("RGB")
    assert applied(Invert(), applied(Invert(), image)).tobytes() == image.tobytes()


def test_it_has_no_parameters() -> None:
    assert parsed(operation="invert") == Invert()
