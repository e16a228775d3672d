from typing import Any

import pytest
from PIL import Image

from tests.support.pictures import drawing
from tests.support.rendering import transform
from worker.operations.base import WORKING_MODES, Assets
from worker.operations.trim import Trim

LIMIT = 1_000_000

PAPER: dict[str, float | tuple[int, ...]] = {
    "L": 200,
    "LA": (200, 255),
    "RGB": (200, 180, 160),
    "RGBA": (9, 8, 7, 255),
    "CMYK": (9, 0, 0, 200),
    "I;16": 999,
}


def framed(mode: str, paper: Any, size: tuple[int, int] = (60, 50)) -> Image.Image:
    """A drawing 20 by 16 pixels large at (7, 11), opaque, on `paper`."""
    image = Image.new(mode, size, paper)
    picture = drawing((20, 16)).convert("LA" if mode == "I;16" else mode)
    if mode == "I;16":
        picture = drawing((20, 16), mode)
    image.paste(picture, (7, 11))
    return image


@pytest.mark.parametrize("mode", WORKING_MODES)
def test_a_margin_of_one_color_is_cut_off_in_every_mode(mode: str) -> None:
    image = framed(mode, PAPER[mode])
    trimmed = transform(image, [Trim()], LIMIT)
    assert trimmed.mode == mode
    assert trimmed.tobytes() == image.crop((7, 11, 27, 27)).tobytes()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_margins_are_cut_off_whatever_color_they_hide(mode: str) -> None:
    image = framed(mode, 0)
    image.paste(Image.new(mode, (60, 5), "white"), (0, 0))
    image.putalpha(Image.new("L", (60, 50), 0))
    content = Image.new(mode, (20, 16), "white")
    image.paste(content, (7, 11))
    assert transform(image, [Trim()], LIMIT).tobytes() == content.tobytes()


def test_a_transparent_margin_around_a_margin_of_a_given_color_goes_with_it() -> None:
    image = Image.new("RGBA", (30, 30), (0, 0, 0, 0))
    image.paste("white", (5, 5, 25, 25))
    image.paste("red", (10, 12, 15, 18))
    assert transform(image, [Trim(color="white")], LIMIT).size == (5, 6)
    assert transform(image, [Trim()], LIMIT).size == (20, 20)


@pytest.mark.parametrize(
    ("mode", "margin", "inner", "threshold", "is_content"),
    [
        ("L", 100, 110, 10, False),
        ("L", 100, 111, 10, True),
        ("L", 100, 89, 10, True),
        ("L", 100, 101, 0, True),
        ("RGB", (50, 50, 50), (50, 50, 61), 10, True),
        ("RGB", (50, 50, 50), (60, 60, 60), 10, False),
        ("RGBA", (50, 50, 50, 255), (50, 50, 50, 200), 10, True),
        ("RGBA", (50, 50, 50, 255), (90, 50, 50, 10), 10, False),
        ("I;16", 30_000, 30_001, 0, True),
        ("I;16", 30_000, 29_999, 0, True),
        ("I;16", 30_000, 32_570, 10, False),
        ("I;16", 30_000, 32_571, 10, True),
        ("I;16", 30_000, 27_429, 10, True),
        ("I;16", 0, 65_535, 255, False),
        ("L", 0, 255, 255, False),
    ],
)
def test_the_threshold_is_the_largest_difference_that_is_still_margin(
    mode: str, margin: Any, inner: Any, threshold: int, is_content: bool
) -> None:
    image = Image.new(mode, (20, 20), margin)
    image.putpixel((8, 9), inner)
    trimmed = transform(image, [Trim(threshold=threshold)], LIMIT)
    assert trimmed.size == ((1, 1) if is_content else (20, 20))


@pytest.mark.parametrize(
    ("mode", "color", "paper"),
    [
        ("RGB", "white", (250, 255, 251)),
        ("L", "#808080", 128),
        ("CMYK", "black", (0, 0, 0, 255)),
        ("CMYK", "black", (255, 255, 255, 0)),
        ("I;16", "white", 65_000),
        ("RGBA", "transparent", (1, 2, 3, 0)),
    ],
)
def test_only_the_given_color_is_margin(mode: str, color: str, paper: Any) -> None:
    image = framed(mode, paper)
    assert transform(image, [Trim(color=color)], LIMIT).size == (20, 16)
    assert transform(image, [Trim(color="#00ff80")], LIMIT).size == ((20, 16) if mode == "RGBA" else (60, 50))


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 21)])
def test_a_picture_that_is_all_margin_stays_as_it_is(mode: str, size: tuple[int, int]) -> None:
    image = Image.new(mode, size, PAPER[mode])
    assert transform(image, [Trim()], LIMIT).tobytes() == image.tobytes()


def test_an_animation_loses_what_is_margin_in_all_its_frames() -> None:
    frames = [Image.new("RGB", (40, 30), "white") for _ in range(4)]
    frames[1].paste("red", (10, 10, 15, 15))
    frames[2].paste("blue", (20, 5, 22, 12))
    trim = Trim().prepare(frames, Assets())
    trimmed = [trim(frame) for frame in frames]
    assert [frame.tobytes() for frame in trimmed] == [frame.crop((10, 5, 22, 15)).tobytes() for frame in frames]
