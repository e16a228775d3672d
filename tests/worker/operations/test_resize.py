"""The operation resize: sizes, fits, places, paddings, filters, and reduced decoding against a full one."""

import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from tests.support.pictures import Size, alpha_of, decoded, drawing, encoded, mean_difference
from tests.support.rendering import LIMITS, rendered, transform
from worker.errors import PictureError
from worker.imaging import decoding
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations.base import WORKING_MODES, Assets
from worker.operations.resize import Resize
from worker.pixels.resampling import SIMD_FILTERS

LIMIT = 100_000_000
PHOTOGRAPHS = Path(__file__).parents[2] / "photographs"
FITS = ("fill", "contain", "cover", "inside", "outside")


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


@pytest.mark.parametrize("mode", WORKING_MODES)
def test_fill_stretches_the_whole_picture(mode: str) -> None:
    result = transform(drawing(mode=mode), [Resize(width=80, height=80)], LIMIT)
    expected = drawing((80, 80), mode=mode)
    if mode == "I;16":
        result, expected = (each.point(lambda value: value / 256).convert("L") for each in (result, expected))
    assert mean_difference(result, expected) < 8


def test_cover_crops_around_the_center() -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    result = transform(image, [Resize(width=50, height=50, fit="cover")], LIMIT)
    assert mean_difference(result, Image.new("RGB", (50, 50), "blue")) < 2


def flag(size: Size = (300, 100)) -> Image.Image:
    """Red, white and blue, side by side, or one above the other where it is higher than wide."""
    width, height = size
    image = Image.new("RGB", size, "white")
    across = width > height
    image.paste("red", (0, 0, width // 3, height) if across else (0, 0, width, height // 3))
    image.paste("blue", (width * 2 // 3, 0, width, height) if across else (0, height * 2 // 3, width, height))
    return image


@pytest.mark.parametrize(
    ("position", "colors"),
    [
        ("center", ("white", "white")),
        ("north", ("white", "red")),
        ("northeast", ("blue", "red")),
        ("east", ("blue", "white")),
        ("southeast", ("blue", "blue")),
        ("south", ("white", "blue")),
        ("southwest", ("red", "blue")),
        ("west", ("red", "white")),
        ("northwest", ("red", "red")),
    ],
)
def test_cover_keeps_the_part_at_the_position(position: Any, colors: tuple[str, str]) -> None:
    for size, color in zip([(300, 100), (100, 300)], colors, strict=True):
        resize = Resize(width=50, height=50, fit="cover", position=position)
        assert mean_difference(transform(flag(size), [resize], LIMIT), Image.new("RGB", (50, 50), color)) < 4
        data = encoded(flag((size[0] * 4, size[1] * 4)), "JPEG", quality=95)
        reduced = decoding.decode_still(decoding.open_image(data, InputFormat.JPEG, LIMITS), [resize])
        assert reduced.frames[0].width < reduced.size[0]
        result = decoded(
            rendered(data, resize, format="png"),
        )
        assert mean_difference(result, Image.new("RGB", (50, 50), color)) < 4


@pytest.mark.parametrize(
    ("position", "lines"),
    [
        ("center", ((25, 74), (25, 74))),
        ("northeast", ((50, 99), (0, 49))),
        ("south", ((25, 74), (50, 99))),
        ("west", ((0, 49), (25, 74))),
    ],
)
def test_contain_puts_the_picture_at_the_position(position: Any, lines: tuple[Size, Size]) -> None:
    """`lines`: first and last column of a high picture, first and last row of a wide one."""
    resize = Resize(width=100, height=100, fit="contain", position=position)
    for size, (first, last), axis in (((100, 200), lines[0], 0), ((200, 100), lines[1], 1)):
        shown = transform(Image.new("L", size), [resize], LIMIT).point(lambda value: 255 - value).getbbox()
        assert shown is not None
        assert (shown[axis], shown[axis + 2]) == (first, last + 1)


@pytest.mark.parametrize("name", ["astronaut", "astronaut_tall"])
def test_cover_keeps_the_same_smart_part_of_a_jpeg_decoded_at_a_reduced_scale(name: str) -> None:
    data = (PHOTOGRAPHS / f"{name}.jpg").read_bytes()
    resize = Resize(width=36, height=40, fit="cover", position="smart")
    assert decoding.decode_still(decoding.open_image(data, InputFormat.JPEG, LIMITS), [resize]).box is not None
    result = decoded(rendered(data, resize, format="png"))
    full = transform(decoded(data), [resize], LIMIT)
    assert result.size == full.size == (36, 40)
    assert mean_difference(result, full) < 8  # a shift by some pixels of the photograph


def test_all_frames_of_an_animation_share_the_smart_part() -> None:
    first, second = (Image.new("RGB", (300, 100), "grey") for _ in range(2))
    first.paste(drawing((60, 60)), (230, 20))
    second.paste(drawing((60, 60)), (10, 20))
    work = Resize(width=50, height=50, fit="cover", position="smart").prepare([first, second], Assets())
    assert mean_difference(work(first), Image.new("RGB", (50, 50), "grey")) > 10
    assert mean_difference(work(second), Image.new("RGB", (50, 50), "grey")) == 0


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


@pytest.mark.parametrize(
    ("mode", "background", "result_mode", "padding"),
    [
        ("RGB", "#f80", "RGB", (255, 136, 0)),
        ("RGB", "transparent", "RGBA", (0, 0, 0, 0)),
        ("RGBA", "black", "RGBA", (0, 0, 0, 255)),
        ("RGBA", "#ff000080", "RGBA", (255, 0, 0, 128)),
        ("L", "#808080", "L", 128),
        ("L", "red", "RGB", (255, 0, 0)),
        ("L", "#ffffff00", "LA", (255, 0)),
        ("LA", "red", "RGBA", (255, 0, 0, 255)),
        ("CMYK", "red", "CMYK", (0, 255, 255, 0)),
        ("CMYK", "transparent", "RGBA", (0, 0, 0, 0)),
        ("I;16", "#808080", "I;16", 128 * 257),
    ],
)
def test_contain_pads_with_the_background(mode: str, background: str, result_mode: str, padding: object) -> None:
    resize = Resize(width=50, height=50, fit="contain", background=background)
    result = transform(drawing((200, 100), mode), [resize], LIMIT)
    assert result.mode == result_mode
    assert result.size == (50, 50)
    assert result.getpixel((25, 2)) == result.getpixel((25, 47)) == padding
    assert result.getpixel((40, 25)) != padding


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({"width": 400, "height": 50}, (200, 50)),
        ({"width": 400, "height": 400}, (200, 100)),
        ({"width": 400}, (200, 100)),
        ({"width": 100, "height": 80}, (100, 80)),
        ({"width": 400, "height": 50, "fit": "cover"}, (200, 50)),
        ({"width": 60, "height": 400, "fit": "cover"}, (60, 100)),
        ({"width": 60, "height": 80, "fit": "cover"}, (60, 80)),
        ({"width": 400, "height": 400, "fit": "contain"}, (400, 400)),
        ({"width": 400, "height": 400, "fit": "inside"}, (200, 100)),
        ({"width": 400, "height": 20, "fit": "inside"}, (40, 20)),
        ({"width": 60, "height": 400, "fit": "outside"}, (200, 100)),
        ({"width": 60, "height": 50, "fit": "outside"}, (100, 50)),
        ({"scale": 0.5}, (100, 50)),
    ],
)
def test_without_enlargement_no_picture_becomes_larger(parameters: dict[str, Any], size: Size) -> None:
    image = drawing((200, 100))
    resize = Resize(enlarge=False, **parameters)
    assert transform(image, [resize], LIMIT).size == resize.output_size(image.size) == size


def test_without_enlargement_what_is_small_enough_stays_as_it_is() -> None:
    image = drawing((200, 100))
    for fit in ("fill", "inside", "outside"):
        result = transform(image, [Resize(width=300, height=300, fit=fit, enlarge=False)], LIMIT)
        assert result.tobytes() == image.tobytes()
    framed = transform(image, [Resize(width=300, height=300, fit="contain", enlarge=False)], LIMIT)
    assert framed.crop((50, 100, 250, 200)).tobytes() == image.tobytes()
    cut = transform(image, [Resize(width=60, height=300, fit="cover", enlarge=False, position="east")], LIMIT)
    assert cut.tobytes() == image.crop((140, 0, 200, 100)).tobytes()


@pytest.mark.parametrize(
    ("scale", "size"), [(0.5, (100, 50)), (2, (400, 200)), (0.333, (67, 33)), (4, (800, 400)), (0.000_01, (1, 1))]
)
def test_scale_multiplies_both_sides(scale: float, size: Size) -> None:
    result = transform(drawing((200, 100)), [Resize(scale=scale)], LIMIT)
    assert result.size == size
    if min(size) > 1:
        assert mean_difference(result, drawing(size)) < 8


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 21)])
def test_the_smallest_pictures_can_be_resized(size: Size, mode: str, fit: Any) -> None:
    wishes: list[dict[str, Any]] = [
        {},
        {"width": 3},
        {"height": 50},
        {"width": 5, "height": 90},
        {"width": 5, "enlarge": False},
    ]
    for parameters in wishes:
        for position in ("center", "southeast", "smart"):
            resize = Resize(fit=fit, position=position, **parameters)
            result = transform(drawing(size, mode), [resize], LIMIT)
            assert (result.size, result.mode) == (resize.output_size(size), mode)


@pytest.mark.parametrize("resample", ["lanczos", "bicubic", "bilinear", "hamming", "box", "nearest"])
def test_every_filter_is_pillows(resample: Any) -> None:
    """At any scale, also when a JPEG's decoder could have reduced the picture."""
    data = (PHOTOGRAPHS / "astronaut_tall.jpg").read_bytes()
    photograph = decoded(data)
    for size in ((20, 30), (60, 100), (65, 110), (150, 256), (400, 700)):
        resize = Resize(width=size[0], height=size[1], resample=resample)
        result = decoded(rendered(data, resize, format="png"))
        expected = photograph.resize(size, Image.Resampling[resample.upper()])
        assert psnr(result, expected) >= 47
        assert resample in SIMD_FILTERS or result.tobytes() == expected.tobytes()


def test_nearest_invents_no_color() -> None:
    image = drawing(mode="P").convert("RGB")
    result = transform(image, [Resize(width=333, height=77, resample="nearest")], LIMIT)
    assert set(result.get_flattened_data()) <= set(image.get_flattened_data())


@pytest.mark.parametrize("name", ["astronaut", "astronaut_tall", "cat", "coffee"])
@pytest.mark.parametrize("divisor", [5.45, 6, 7, 10.9, 11, 12])
def test_a_photograph_decoded_at_a_reduced_scale_is_within_47_db(name: str, divisor: float) -> None:
    """The first and the fourth are the worst: just reduced by 2 and 4."""
    data = (PHOTOGRAPHS / f"{name}.jpg").read_bytes()
    photograph = decoded(data)
    resize = Resize(width=int(photograph.width / divisor), height=int(photograph.height / divisor))
    decoded_size = decoding.decode_still(decoding.open_image(data, InputFormat.JPEG, LIMITS), [resize]).frames[0].size
    assert decoded_size < photograph.size
    result = decoded(rendered(data, resize, format="png"))
    assert psnr(result, photograph.resize(result.size, Image.Resampling.LANCZOS)) >= 47


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Peak signal-to-noise ratio in decibels; infinite where they are the same."""
    squares = ImageStat.Stat(ImageChops.difference(one, other)).sum2
    mean = sum(squares) / (one.width * one.height * len(squares))
    return 10 * math.log10(255**2 / mean) if mean else math.inf


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"width": "50", "scale": "0.5"}, ["width: cannot be combined with scale; set one of the two"]),
        (
            {"width": "50", "height": "50", "scale": "0.5", "fit": "cover"},
            [
                "width: cannot be combined with scale; set one of the two",
                "height: cannot be combined with scale; set one of the two",
                "fit: needs width or height; omit it with scale",
            ],
        ),
        ({"scale": "2", "enlarge": "false"}, ["scale: must be at most 1 if enlarge is false"]),
        ({"position": "north"}, ["position: needs fit=cover or fit=contain"]),
        ({"position": "north", "fit": "inside"}, ["position: needs fit=cover or fit=contain"]),
        ({"position": "smart", "fit": "contain"}, ["position: smart needs fit=cover"]),
        ({"background": "red", "fit": "cover"}, ["background: needs fit=contain"]),
        ({"scale": "0"}, ["scale: must be a number greater than 0 and at most 16; got '0'"]),
        ({"scale": "16.1"}, ["scale: must be a number greater than 0 and at most 16; got '16.1'"]),
        ({"enlarge": "maybe"}, ["enlarge: must be true or false; got 'maybe'"]),
        (
            {"resample": "cubic"},
            [
                "resample: must be one of bicubic, bilinear, box, hamming, lanczos, nearest; got 'cubic'; "
                "did you mean bicubic?"
            ],
        ),
    ],
)
def test_parameters_that_make_no_sense_are_problems(fields: dict[str, str], problems: list[str]) -> None:
    with pytest.raises(InvalidParameters) as caught:
        parse_plan({"operation": "resize", **fields}, InputFormat.PNG, 20)
    assert str(caught.value) == "; ".join(problems)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"scale": "1.5"},
        {"scale": "1", "enlarge": "false", "resample": "nearest"},
        {"fit": "contain", "background": "rebeccapurple", "position": "southwest", "width": "5"},
        {"fit": "cover", "position": "smart"},
        {"enlarge": "true", "height": "16383"},
    ],
)
def test_parameters_that_make_sense_are_taken(fields: dict[str, str]) -> None:
    parse_plan({"operation": "resize", **fields}, InputFormat.PNG, 20)


def test_resize_does_not_bleed_hidden_colors_through_the_edge_of_transparency() -> None:
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
    with pytest.raises(PictureError, match="pixels are too many; an image may have 1,000,000 pixels in total"):
        transform(drawing((100, 90)), [step], 1_000_000)
