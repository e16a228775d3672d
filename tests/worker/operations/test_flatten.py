"""Flatten."""

import pytest

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, applied, parsed, pixel, refusal
from worker.operations.base import WORKING_MODES
from worker.operations.flatten import Flatten


@pytest.mark.parametrize(
    ("background", "mode", "before", "after"),
    [
        ("white", "RGBA", (200, 100, 0, 0), (255, 255, 255)),
        ("white", "RGBA", (200, 100, 0, 255), (200, 100, 0)),
        ("black", "RGBA", (200, 100, 0, 51), (40, 20, 0)),
        ("#00f", "RGBA", (200, 100, 0, 204), (160, 80, 51)),
        ("white", "LA", (100, 0), 255),
        ("#808080", "LA", (100, 255), 100),
        ("black", "LA", (100, 51), 20),
        ("red", "LA", (0, 51), (204, 0, 0)),
    ],
)
def test_the_background_shows_as_far_as_the_picture_is_transparent(
    background: str, mode: str, before: tuple[int, ...], after: object
) -> None:
    assert pixel(Flatten(background=background), mode, before) == after


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
def test_the_result_has_no_alpha_and_pictures_without_stay_as_they_are(mode: str, size: Size) -> None:
    image = drawing(size, mode)
    result = applied(Flatten(), image)
    assert result.mode == mode.removesuffix("A")
    if mode == result.mode:
        assert result is image


def test_it_takes_one_opaque_color() -> None:
    assert parsed(operation="flatten") == Flatten(background="white")
    for wrong in ("transparent", "#fff8"):
        assert refusal(operation="flatten", background=wrong) == (
            f"background: must be a color without alpha; got '{wrong}'"
        )
