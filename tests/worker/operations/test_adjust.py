"""Adjust."""

import pytest
from PIL import Image

from tests.support.pictures import Size, drawing
from tests.worker.operations.effects import SIZES, alpha_bytes, applied, parsed, pixel, refusal
from worker.operations.adjust import Adjust
from worker.operations.base import WORKING_MODES

BOUNDS = [
    Adjust(brightness=0), Adjust(brightness=10), Adjust(contrast=0), Adjust(contrast=10), Adjust(saturation=0),
    Adjust(saturation=10), Adjust(hue=-180), Adjust(hue=180), Adjust(gamma=0.1), Adjust(gamma=10),
]  # fmt: skip


@pytest.mark.parametrize("mode", WORKING_MODES)
def test_without_parameters_nothing_changes(mode: str) -> None:
    image = drawing(mode=mode)
    result = applied(Adjust(), image)
    if mode not in ("I;16", "CMYK"):
        assert result is image


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        (Adjust(brightness=0.5), (200, 100, 51), (100, 50, 26)),
        (Adjust(brightness=2), (200, 100, 0), (255, 200, 0)),
        (Adjust(contrast=2), (200, 100, 127), (255, 73, 127)),
        (Adjust(contrast=0), (200, 100, 0), (128, 128, 128)),
        (Adjust(gamma=2), (64, 0, 255), (128, 0, 255)),
        (Adjust(gamma=0.5), (128, 0, 255), (64, 0, 255)),
        # Computed from the matrices of W3C's Filter Effects.
        (Adjust(saturation=0), (255, 0, 0), (54, 54, 54)),
        (Adjust(saturation=0), (200, 100, 50), (118, 118, 118)),
        (Adjust(saturation=0.5), (200, 100, 50), (159, 109, 84)),
        (Adjust(saturation=2), (100, 120, 110), (85, 125, 105)),
        (Adjust(hue=180), (200, 100, 50), (35, 135, 185)),
        (Adjust(hue=90), (200, 100, 50), (50, 147, 36)),
        (Adjust(hue=-180), (90, 90, 90), (90, 90, 90)),
        # The first step's 300 is not cut off before the second brings it back.
        (Adjust(brightness=3, contrast=0.5), (100, 0, 50), (214, 64, 139)),
        (Adjust(brightness=3, contrast=0.5, saturation=0), (100, 100, 100), (214, 214, 214)),
        (Adjust(brightness=0.5, saturation=0, gamma=2), (128, 128, 128), (128, 128, 128)),
    ],
)
def test_known_colors_become_known_colors(
    step: Adjust, before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    assert pixel(step, "RGB", before) == pytest.approx(after, abs=1)
    assert pixel(step, "RGBA", (*before, 40)) == pytest.approx((*after, 40), abs=1)


@pytest.mark.parametrize(
    ("step", "grey"), [(Adjust(brightness=0.5), 50), (Adjust(saturation=5, hue=90), 100), (Adjust(gamma=2), 160)]
)
def test_grey_pictures_stay_grey(step: Adjust, grey: int) -> None:
    assert pixel(step, "L", 100) == grey
    assert pixel(step, "LA", (100, 7)) == (grey, 7)


def test_one_parameter_at_a_time_gives_nearly_what_all_at_once_do() -> None:
    image = Image.linear_gradient("L").resize((40, 40)).convert("RGB")
    at_once = applied(Adjust(brightness=0.8, contrast=0.9, saturation=1.2, hue=30, gamma=1.3), image)
    for step in ({"brightness": 0.8}, {"contrast": 0.9}, {"saturation": 1.2}, {"hue": 30}, {"gamma": 1.3}):
        image = applied(Adjust(**step), image)
    assert max(abs(a - b) for a, b in zip(image.tobytes(), at_once.tobytes(), strict=True)) <= 4


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("step", BOUNDS)
def test_every_bound_gives_a_picture_with_the_same_alpha(step: Adjust, mode: str, size: Size) -> None:
    image = drawing(size, mode)
    result = applied(step, image)
    if "A" in mode:
        assert alpha_bytes(result) == alpha_bytes(image)


def test_its_parameters_have_bounds() -> None:
    assert parsed(operation="adjust", hue="-90", contrast="1.5") == Adjust(hue=-90, contrast=1.5)
    message = refusal(operation="adjust", brightness="-1", contrast="11", saturation="-1", hue="181", gamma="0")
    assert [part.split(":")[0] for part in message.split("; ") if ": " in part] == [
        "brightness", "contrast", "saturation", "hue", "gamma",
    ]  # fmt: skip
