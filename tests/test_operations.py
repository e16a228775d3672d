"""Every operation in every image mode, against what it should give."""

from typing import Any

import pytest
from PIL import Image

from tests.pictures import Size, alpha_of, drawing, mean_difference
from tests.rendering import LIMIT, transform
from worker.decoding import TooManyPixels
from worker.modes import normalised
from worker.operations import OPERATIONS
from worker.operations.base import WORKING_MODES
from worker.operations.grayscale import Grayscale
from worker.operations.resize import Resize

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16")


def picture(mode: str) -> Image.Image:
    """A drawing of any mode; `P transparent` has one transparent colour."""
    if mode == "P transparent":
        image = drawing(mode="RGB").quantize(16)
        image.info["transparency"] = image.getpixel((10, 30))
        return image
    return drawing(mode=mode)


@pytest.mark.parametrize("mode", [*MODES, "P transparent", "PA", "HSV"])
def test_every_mode_becomes_one_that_operations_know(mode: str) -> None:
    image = drawing(mode="LA").convert("PA") if mode == "PA" else picture(mode)
    result = normalised(image)
    assert result.mode in WORKING_MODES
    assert result.size == image.size
    assert ("A" in result.getbands()) == image.has_transparency_data


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "operation",
    [kind() for kind in OPERATIONS.values() if not kind.is_report],
    ids=lambda operation: type(operation).__name__,
)
def test_every_operation_takes_every_mode_and_changes_nothing_in_place(
    operation: Grayscale | Resize, mode: str
) -> None:
    image = normalised(picture(mode))
    before = image.tobytes()
    result = transform(image, [operation], LIMIT)
    assert result.size == operation.output_size(image.size)
    assert image.tobytes() == before


@pytest.mark.parametrize("mode", [*MODES, "P transparent"])
def test_grayscale_keeps_the_luma_and_the_transparency(mode: str) -> None:
    image = normalised(picture(mode))
    grey = transform(image, [Grayscale()], LIMIT)
    assert grey.mode == {"RGBA": "LA", "LA": "LA", "I;16": "I;16"}.get(image.mode, "L")
    if grey.mode == "I;16":
        assert grey.tobytes() == image.tobytes()
        return
    expected = image.convert("RGB").convert("L")
    assert mean_difference(grey.convert("L"), expected) < 1
    if grey.mode == "LA":
        assert grey.getchannel("A").tobytes() == image.getchannel("A").tobytes()


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({}, (100, 100)),
        ({"fit": "cover"}, (100, 100)),
        ({"width": 50}, (50, 25)),
        ({"height": 50}, (100, 50)),
        ({"width": 50, "fit": "contain"}, (50, 25)),
        ({"width": 400, "height": 400}, (400, 400)),
        ({"width": 60, "height": 60, "fit": "contain"}, (60, 60)),
        ({"width": 60, "height": 60, "fit": "cover"}, (60, 60)),
        ({"width": 60, "height": 60, "fit": "inside"}, (60, 30)),
        ({"width": 60, "height": 60, "fit": "outside"}, (120, 60)),
        ({"width": 1}, (1, 1)),
        ({"height": 1, "width": 200, "fit": "inside"}, (2, 1)),
    ],
)
def test_resize_gives_the_size_that_was_asked_for(parameters: dict[str, Any], size: Size) -> None:
    result = transform(drawing((200, 100)), [Resize(**parameters)], LIMIT)
    assert result.size == size


@pytest.mark.parametrize("mode", MODES)
def test_fill_stretches_the_whole_picture(mode: str) -> None:
    image = normalised(picture(mode))
    result = transform(image, [Resize(width=80, height=80)], LIMIT)
    expected = drawing((80, 80), mode=result.mode)
    if mode == "1":  # dithered: only its mean is to be compared
        result, expected = (each.resize((1, 1), Image.Resampling.BOX) for each in (result, expected))
    if mode == "I;16":
        result, expected = (each.point(lambda value: value / 256).convert("L") for each in (result, expected))
    assert mean_difference(result, expected) < 8


def test_cover_crops_around_the_centre() -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    result = transform(image, [Resize(width=50, height=50, fit="cover")], LIMIT)
    assert mean_difference(result, Image.new("RGB", (50, 50), "blue")) < 2


@pytest.mark.parametrize(
    ("mode", "padding"),
    [
        ("RGB", (255, 255, 255)),
        ("L", 255),
        ("CMYK", (0, 0, 0, 0)),
        ("I;16", 65_535),
        ("RGBA", (255, 255, 255, 0)),
        ("LA", (255, 0)),
    ],
)
def test_contain_pads_with_white_or_transparency(mode: str, padding: object) -> None:
    result = transform(drawing((200, 100), mode), [Resize(width=50, height=50, fit="contain")], LIMIT)
    assert result.getpixel((25, 2)) == result.getpixel((25, 47)) == padding
    assert result.getpixel((40, 25)) != padding


def test_resize_does_not_bleed_hidden_colours_through_the_edge_of_transparency() -> None:
    image = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (50, 0, 100, 100))
    image.putalpha(alpha_of((100, 200)).crop((0, 0, 100, 100)))
    small = transform(image, [Resize(width=10, height=10)], LIMIT)
    visible = [pixel for pixel in small.get_flattened_data() if isinstance(pixel, tuple) and pixel[3] > 30]
    assert visible
    assert all(red < 30 for red, _, _, _ in visible)


@pytest.mark.parametrize(
    "step", [Resize(width=16_383), Resize(width=1, height=16_383, fit="outside")], ids=["in proportion", "outside"]
)
def test_no_operation_makes_a_picture_over_the_pixel_limit(step: Resize) -> None:
    with pytest.raises(TooManyPixels, match="pixels are too many; a picture may have 1,000,000 pixels in all"):
        transform(drawing((100, 90)), [step], 1_000_000)
