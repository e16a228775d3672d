"""The part worth keeping, in photographs whose subject is not in the middle, and in pictures that have none."""

from pathlib import Path

import pytest
from PIL import Image

from tests.support.pictures import Size, drawing
from worker.operations.base import WORKING_MODES
from worker.pixels.geometry import Box, anchor_offset
from worker.pixels.smart import smart_offset

PHOTOGRAPHS = Path(__file__).parents[2] / "photographs"


def contains(offset: tuple[float, float], size: tuple[float, float], subject: Box) -> bool:
    (left, upper), (width, height) = offset, size
    return left <= subject[0] and upper <= subject[1] and left + width >= subject[2] and upper + height >= subject[3]


@pytest.mark.parametrize(
    ("name", "subject", "ratio"),
    [
        ("astronaut", (85, 55, 190, 185), 9 / 16),
        ("astronaut", (85, 55, 190, 185), 3 / 4),
        ("astronaut_tall", (95, 55, 200, 185), 1),
        ("astronaut_tall", (95, 55, 200, 185), 4 / 3),
        ("astronaut_tall", (95, 55, 200, 185), 16 / 9),
        ("cat", (22, 80, 234, 170), 4 / 5),
        ("coffee", (64, 15, 302, 195), 3 / 4),
    ],
)
def test_the_face_the_eyes_and_the_cup_are_kept_where_the_middle_cuts_them(
    name: str, subject: Box, ratio: float
) -> None:
    photograph = Image.open(PHOTOGRAPHS / f"{name}.jpg")
    size = min(photograph.width, photograph.height * ratio), min(photograph.height, photograph.width / ratio)
    assert not contains(anchor_offset(size, photograph.size, "center"), size, subject)
    for scale in (1, 2.5):  # the copy that is looked at is another one
        larger = photograph.resize((round(photograph.width * scale), round(photograph.height * scale)))
        left, upper = smart_offset(larger, (size[0] * scale, size[1] * scale))
        assert contains((left / scale, upper / scale), size, subject)


@pytest.mark.parametrize("mode", WORKING_MODES)
def test_what_stands_out_is_found_in_every_mode(mode: str) -> None:
    subject = drawing((60, 60), "L")
    subject.paste(Image.radial_gradient("L").resize((60, 60)).point(lambda value: 255 * (value // 16 % 2)))
    image = Image.new("L", (400, 200), 128)
    image.paste(subject, (320, 120))
    if mode == "I;16":
        image = image.point(lambda value: value * 257, "I").convert("I;16")
    left, upper = smart_offset(image.convert(mode), (100, 100))
    assert contains((left, upper), (100, 100), (320, 120, 380, 180))


def test_what_cannot_be_seen_is_not_looked_at() -> None:
    image = Image.new("RGBA", (400, 100), "grey")
    image.paste(drawing((80, 80)), (310, 10))
    image.paste((255, 255, 255, 255), (20, 20, 30, 80))
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (200, 0, 400, 100))
    image.putalpha(alpha)
    left, _ = smart_offset(image, (100, 100))
    assert left <= 20


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize(
    ("size", "box", "offset"),
    [
        ((400, 300), (100, 300), (150, 0)),
        ((400, 300), (400, 100), (0, 100)),
        ((4000, 3000), (2000, 1000), (1000, 1000)),
        ((400, 300), (400, 300), (0, 0)),
        ((1, 1), (1, 1), (0, 0)),
        ((1, 9), (1, 3), (0, 3)),
        ((16_000, 1), (8_000, 1), (4_000, 0)),
    ],
)
def test_a_flat_picture_is_cut_in_the_middle(size: Size, box: Size, offset: Size, mode: str) -> None:
    found = smart_offset(Image.new(mode, size), box)
    assert found == pytest.approx(offset, abs=max(1.0, max(size) / 160))


@pytest.mark.parametrize("size", [(100.0, 66.6), (0.5, 0.5), (333.3, 250.0)])
def test_the_box_is_within_the_picture(size: tuple[float, float]) -> None:
    for width, height in ((400, 250), (334, 997)):
        image = Image.new("RGB", (width, height))
        image.paste(drawing((30, 30)), (width - 30, height - 30))
        left, upper = smart_offset(image, size)
        assert 0 <= left <= width - size[0]
        assert 0 <= upper <= height - size[1]
