"""What the numbers of a file mean: an untouched pixel looks the same after every operation, in every color space."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import msgspec
import pytest
from PIL import Image, ImageCms

from tests.support.hostile import chunk
from tests.support.pictures import decoded, encoded
from tests.support.profiles import (
    BT2020,
    DISPLAY_P3,
    P3,
    PROPHOTO,
    SRGB_D50,
    cmyk_profile_both_ways,
    gamma_curve,
    grey_profile,
    in_srgb,
    rgb_profile,
    seen_inks,
    srgb_curve,
)
from tests.support.rendering import LIMITS, result, upload
from tests.worker.imaging.test_formats import heic
from worker.imaging.plan import Output, Plan, Variant
from worker.imaging.render import render
from worker.operations import OPERATIONS

SIDE = 64

Rgb = tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """A file of one color in a color space."""

    pixel: Rgb
    gray: Rgb
    make: Callable[[Image.Image], bytes]
    look: Callable[[Rgb], Rgb]
    """Compute by hand how a pixel looks in sRGB."""
    mode: str = "RGB"

    def file(self, pixel: Rgb) -> bytes:
        return self.make(Image.new(self.mode, (SIDE, SIDE), pixel if len(pixel) > 1 else pixel[0]))


def with_profile(profile: bytes, image_format: str = "PNG") -> Callable[[Image.Image], bytes]:
    return partial(encoded, image_format=image_format, icc_profile=profile)


def png_with_gamma_1(image: Image.Image) -> bytes:
    data = encoded(image, "PNG")
    return data[:33] + chunk(b"gAMA", struct.pack(">I", 100_000)) + data[33:]


def avif_by_nclx(primaries: int, transfer: int, image: Image.Image) -> bytes:
    """Return a lossless AVIF without a profile, whose nclx property has other code points than the encoder wrote."""
    data = encoded(image, "AVIF", quality=100, subsampling="4:4:4")
    place = data.index(b"colrnclx") + 8
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


def linear(value: float) -> float:
    return value


SPACES = {
    "prophoto": Space(
        (120, 90, 60),
        (128, 128, 128),
        with_profile(rgb_profile(PROPHOTO, gamma_curve(1.8))),
        lambda pixel: in_srgb(pixel, PROPHOTO, lambda value: value**1.8),
    ),
    "display p3": Space(
        (200, 90, 60),
        (128, 128, 128),
        with_profile(DISPLAY_P3),
        lambda pixel: in_srgb(pixel, P3, srgb_curve),
    ),
    "rec.2020": Space(
        (150, 120, 90),
        (128, 128, 128),
        with_profile(rgb_profile(BT2020, gamma_curve(2.4))),
        lambda pixel: in_srgb(pixel, BT2020, lambda value: value**2.4),
    ),
    "linear": Space(
        (120, 60, 30),
        (60, 60, 60),
        with_profile(rgb_profile(SRGB_D50, gamma_curve(1.0)), "TIFF"),
        lambda pixel: in_srgb(pixel, SRGB_D50, linear),
    ),
    "cmyk with profile": Space(
        (51, 102, 153, 51),
        (0, 0, 0, 102),
        with_profile(cmyk_profile_both_ways(), "TIFF"),
        seen_inks,
        "CMYK",
    ),
    "gray with gamma 1.8": Space(
        (100,),
        (100,),
        with_profile(grey_profile(1.8)),
        lambda pixel: in_srgb(pixel * 3, SRGB_D50, lambda value: value**1.8),
        "L",
    ),
    "png gAMA 1.0": Space(
        (120, 60, 30), (60, 60, 60), png_with_gamma_1, lambda pixel: in_srgb(pixel, SRGB_D50, linear)
    ),
    "nclx p3": Space(
        (200, 90, 60),
        (128, 128, 128),
        partial(avif_by_nclx, 12, 13),
        lambda pixel: in_srgb(pixel, P3, srgb_curve),
    ),
}

COLOR = "#dc5014"
MARGINS = dict.fromkeys(("left", "top", "right", "bottom"), 13)

LEAVE: dict[str, list[dict[str, Any]]] = {
    "adjust": [{}],
    "autocontrast": [],
    "blur": [{"sigma": 3}],
    "border": [{"width": 9}, {"width": 9, "color": COLOR}, {"width": 9, "color": "#00000040"}],
    "crop": [{"left": 10, "top": 10, "width": 40, "height": 40}],
    "duotone": [],
    "equalize": [],
    "flatten": [{}, {"background": COLOR}],
    "flip": [{}],
    "inspect": [],
    "invert": [],
    "median": [{}],
    "opacity": [{"amount": 1}],
    "pad": [
        MARGINS,
        {**MARGINS, "background": COLOR},
        {**MARGINS, "background": "transparent"},
    ],
    "pixelate": [{}],
    "posterize": [],
    "quantize": [{}],
    "redact": [{"boxes": [{"left": 0, "top": 0, "width": 9, "height": 9}], "color": COLOR}],
    "resize": [
        {"width": 30},
        {"width": 90, "height": 40, "fit": "contain", "background": COLOR},
        {"width": 90, "height": 40, "fit": "contain", "background": "transparent"},
    ],
    "rotate": [
        {"angle": 90},
        {"angle": 30, "background": COLOR},
        {"angle": 30, "background": "transparent"},
    ],
    "round_corners": [{}, {"background": COLOR}],
    "sepia": [{"amount": 0}],
    "sharpen": [{}],
    "solarize": [{"threshold": 255}],
    "trim": [{}],
    "watermark": [{"text": "A", "size": 6, "position": "northwest", "color": COLOR}],
}
"""Operation -> parameters that leave the pixel in the middle as it is; none for those that change every pixel."""

CHANGE_EVERY_PIXEL = {"autocontrast", "duotone", "equalize", "inspect", "invert", "posterize", "grayscale"}


def look(image: Image.Image, place: tuple[int, int]) -> Rgb:
    """Return the color of a pixel in sRGB, by littleCMS and the profile of the file."""
    image = image.crop((*place, place[0] + 1, place[1] + 1))
    profile = image.info.get("icc_profile")
    plain = {"P": "RGB", "RGBA": "RGB", "1": "L", "LA": "L"}
    pixel = image.convert(plain.get(image.mode, image.mode))
    if profile is not None:
        converted = ImageCms.profileToProfile(
            pixel, ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        assert converted is not None
        pixel = converted
    color = pixel.convert("RGB").getpixel((0, 0))
    assert isinstance(color, tuple)
    return color


def apart(one: Rgb, other: Rgb) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


CASES = [(name, parameters) for name, several in LEAVE.items() for parameters in several]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_an_untouched_pixel_looks_the_same(space: str, name: str, parameters: dict[str, Any]) -> None:
    made = SPACES[space]
    operation = msgspec.convert({"operation": name, **parameters}, OPERATIONS[name])
    expected = made.look(made.pixel)
    found = decoded(result(made.file(made.pixel), operation, format="png").data)
    assert apart(look(found, (found.width // 2, found.height // 2)), expected) <= 2


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("output", ["png", "jpeg", "webp", "avif", "gif", "tiff"])
@pytest.mark.parametrize("colorspace", ["keep", "srgb", "p3"])
def test_every_format_and_color_space_of_the_result_looks_the_same(space: str, output: str, colorspace: str) -> None:
    if (output, colorspace) == ("gif", "p3"):
        assert Output(format="gif", colorspace="p3").problems(None)
        return
    made = SPACES[space]
    options: dict[str, Any] = {"quality": 100} if output in ("jpeg", "webp", "avif") else {}
    found = decoded(result(made.file(made.pixel), format=output, colorspace=colorspace, **options).data)
    assert apart(look(found, (9, 9)), made.look(made.pixel)) <= (4 if options else 2)
    if colorspace == "srgb":
        assert "icc_profile" not in found.info
    if colorspace == "p3":
        assert found.mode.removesuffix("A") in ("RGB", "P")
        assert found.info["icc_profile"][16:20] == b"RGB "


@pytest.mark.parametrize("space", SPACES)
def test_gray_looks_as_light_as_before(space: str) -> None:
    made = SPACES[space]
    operation = OPERATIONS["grayscale"]()
    found = decoded(result(made.file(made.gray), operation, format="png").data)
    assert apart(look(found, (9, 9)), made.look(made.gray)) <= 2


COLORED = [
    ("pad", {**MARGINS, "background": COLOR}, (3, 3)),
    ("border", {"width": 9, "color": COLOR}, (3, 3)),
    ("resize", {"width": 90, "height": 40, "fit": "contain", "background": COLOR}, (3, 3)),
    ("rotate", {"angle": 45, "background": COLOR}, (3, 3)),
    ("round_corners", {"background": COLOR}, (1, 1)),
    ("redact", {"boxes": [{"left": 0, "top": 0, "width": 9, "height": 9}], "color": COLOR}, (3, 3)),
]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("name", "parameters", "place"), COLORED)
def test_colors_of_parameters_are_srgb(
    space: str, name: str, parameters: dict[str, Any], place: tuple[int, int]
) -> None:
    operation = msgspec.convert({"operation": name, **parameters}, OPERATIONS[name])
    found = decoded(result(SPACES[space].file(SPACES[space].pixel), operation, format="png").data)
    # Inks do not reach every color, and a profile's table of them is coarse.
    tolerance = 40 if space == "cmyk with profile" else 2
    assert apart(look(found, place), (0xDC, 0x50, 0x14)) <= tolerance


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("of_overlay", ["none", "p3"])
def test_an_overlay_has_its_own_colors(space: str, of_overlay: str) -> None:
    made, color = SPACES[space], (200, 90, 60)
    overlay = encoded(
        Image.new("RGB", (9, 9), color), "PNG", **({"icc_profile": DISPLAY_P3} if of_overlay == "p3" else {})
    )
    expected = in_srgb(color, P3, srgb_curve) if of_overlay == "p3" else color
    operation = OPERATIONS["watermark"](scale=1.0, opacity=1.0, position="center", margin=0)
    plan = Plan({"": Variant((operation,), Output(format="png"))})
    found = decoded(render(upload(made.file(made.pixel)), plan, LIMITS, overlay=upload(overlay))[""].data)
    assert apart(look(found, (30, 30)), expected) <= 2


@pytest.mark.parametrize("space", SPACES)
def test_inspect_reports_srgb(space: str) -> None:
    made = SPACES[space]
    report = msgspec.json.decode(result(made.file(made.pixel), OPERATIONS["inspect"]()).data)
    assert apart(tuple(bytes.fromhex(report["average_color"][1:])), made.look(made.pixel)) <= 2


def test_every_operation_is_tried() -> None:
    assert set(LEAVE) | CHANGE_EVERY_PIXEL == set(OPERATIONS)
    assert {name for name, several in LEAVE.items() if not several} <= CHANGE_EVERY_PIXEL


def png_by_cicp(primaries: int, transfer: int, image: Image.Image, **options: Any) -> bytes:
    data = encoded(image, "PNG", **options)
    return data[:33] + chunk(b"cICP", bytes([primaries, transfer, 0, 1])) + data[33:]


@pytest.mark.parametrize("make", [png_by_cicp, avif_by_nclx])
@pytest.mark.parametrize("output", ["png", "avif", "jpeg", "gif"])
def test_hdr_becomes_srgb_and_nothing_says_otherwise(
    make: Callable[[int, int, Image.Image], bytes], output: str
) -> None:
    """PQ of 0.44 is 50 cd/m2 (SMPTE ST 2084), of which white has 203: see tests/worker/pixels/test_tone_mapping.py."""
    data = make(9, 16, Image.new("RGB", (SIDE, SIDE), (112, 112, 112)))
    made = result(data, OPERATIONS["resize"](width=32), format=output).data
    found = decoded(made)
    assert apart(look(found, (9, 9)), (136, 136, 136)) <= 2
    assert "icc_profile" not in found.info
    assert b"cICP" not in made
    if output == "avif":
        place = made.index(b"colrnclx") + 8
        assert struct.unpack_from(">HH", made, place) == (1, 13)


def test_animations_are_hdr_too() -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), (level,) * 3) for level in (112, 30)]
    data = png_by_cicp(9, 16, frames[0], save_all=True, append_images=frames[1:], duration=50)
    found = decoded(result(data, format="png").data)
    assert look(found, (9, 9))[0] == pytest.approx(136, abs=2)
    found.seek(1)
    assert look(found, (9, 9))[0] < 10


def test_cicp_precedes_a_profile_in_a_png() -> None:
    """PNG, third edition, 4.3: cICP, iCCP, sRGB, gAMA and cHRM, in this order."""
    made, pixel = SPACES["prophoto"], (200, 90, 60)
    data = made.file(pixel)
    found = decoded(result(data[:33] + chunk(b"cICP", bytes([12, 13, 0, 1])) + data[33:], format="png").data)
    assert apart(look(found, (9, 9)), in_srgb(pixel, P3, srgb_curve)) <= 2
    marked = png_with_gamma_1(Image.new("RGB", (SIDE, SIDE), pixel))
    marked = marked[:33] + chunk(b"sRGB", b"\0") + marked[33:]
    assert look(decoded(result(marked, format="png").data), (9, 9)) == pixel


@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (1, 1), (2, 2), (1, 6), (99, 99)])
def test_what_is_srgb_or_unknown_stays_as_it_is(primaries: int, transfer: int) -> None:
    data = png_by_cicp(primaries, transfer, Image.new("RGB", (SIDE, SIDE), (200, 90, 60)))
    found = decoded(result(data, format="png").data)
    assert "icc_profile" not in found.info
    assert look(found, (9, 9)) == (200, 90, 60)


@pytest.mark.parametrize(
    "chromaticities",
    [bytes(32), b"\xff" * 32, struct.pack(">8I", *[31_270, 32_900] * 4)],
    ids=["zero", "huge", "point"],
)
def test_impossible_chromaticities_are_ignored(chromaticities: bytes) -> None:
    data = encoded(Image.new("RGB", (SIDE, SIDE), (200, 90, 60)), "PNG")
    data = data[:33] + chunk(b"cHRM", chromaticities) + data[33:]
    assert look(decoded(result(data, format="png").data), (9, 9)) == (200, 90, 60)


def test_chromaticities_of_a_png_count() -> None:
    pixel = (200, 90, 60)
    data = encoded(Image.new("RGB", (SIDE, SIDE), pixel), "PNG")
    p3 = struct.pack(">8I", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)
    found = decoded(result(data[:33] + chunk(b"cHRM", p3) + data[33:], format="png").data)
    assert apart(look(found, (9, 9)), in_srgb(pixel, P3, srgb_curve)) <= 2


def heic_by_nclx(primaries: int, transfer: int, image: Image.Image) -> bytes:
    data = heic(image)
    place = data.index(b"colrnclx") + 8
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


@pytest.mark.parametrize("make", [avif_by_nclx, heic_by_nclx, png_by_cicp])
@pytest.mark.parametrize(
    ("primaries", "transfer", "matrix", "curve"),
    [(12, 13, P3, srgb_curve), (9, 13, BT2020, srgb_curve), (9, 1, BT2020, srgb_curve), (9, 8, BT2020, linear)],
)
def test_code_points_count_in_every_format_that_has_them(
    make: Callable[[int, int, Image.Image], bytes],
    primaries: int,
    transfer: int,
    matrix: Any,
    curve: Callable[[float], float],
) -> None:
    pixel = (150, 120, 90)
    data = make(primaries, transfer, Image.new("RGB", (SIDE, SIDE), pixel))
    for output in ("png", "jpeg", "gif"):
        options: dict[str, Any] = {"quality": 100} if output == "jpeg" else {}
        found = decoded(result(data, format=output, **options).data)
        # HEIC is not lossless here: its colors may be off by one before.
        assert apart(look(found, (9, 9)), in_srgb(pixel, matrix, curve)) <= 4
