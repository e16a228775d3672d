"""Colors through ICC profiles, and kept as they are with them."""

from typing import Any

import pytest
from PIL import Image

from tests.support.pictures import decoded, drawing, encoded, mean_difference
from tests.support.profiles import (
    ADOBE,
    ADOBE_RGB,
    DISPLAY_P3,
    DISPLAY_P3_V2,
    P3,
    cmyk_profile,
    grey_profile,
    in_srgb,
    srgb_curve,
)
from tests.support.rendering import rendered
from worker.imaging.formats import WITHOUT_PROFILES, OutputFormat
from worker.operations.flip import Flip
from worker.operations.resize import Resize

WIDE = {
    "display p3": (DISPLAY_P3, P3, srgb_curve),
    "display p3, version 2": (DISPLAY_P3_V2, P3, srgb_curve),
    "adobe rgb": (ADOBE_RGB, ADOBE, lambda value: value ** (563 / 256)),
}

COLOURS = [
    (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128),
    (180, 90, 60), (60, 140, 90), (100, 110, 160), (200, 180, 150),
]  # fmt: skip


def fields(colors: list[Any], mode: str = "RGB") -> Image.Image:
    """Return a field of 16 x 16 pixels of each color."""
    image = Image.new(mode, (16 * len(colors), 16))
    for number, color in enumerate(colors):
        image.paste(color, (16 * number, 0, 16 * number + 16, 16))
    return image


def colors_of(image: Image.Image, count: int) -> list[Any]:
    return [image.getpixel((16 * number + 8, 8)) for number in range(count)]


def apart(one: Any, other: Any) -> int:
    return int(max(abs(a - b) for a, b in zip(one, other, strict=True)))


@pytest.mark.parametrize("target", list(OutputFormat))
@pytest.mark.parametrize("name", WIDE)
def test_wide_colors_become_srgb_as_computed_by_hand(name: str, target: OutputFormat) -> None:
    profile, matrix, curve = WIDE[name]
    data = encoded(fields(COLOURS), "PNG", icc_profile=profile)
    options: dict[str, Any] = {"quality": 100} if target.default_quality is not None else {}
    result = decoded(rendered(data, format=target.value, colorspace="srgb", **options))
    assert "icc_profile" not in result.info
    found = colors_of(result.convert("RGB"), len(COLOURS))
    tolerance = 2 if target.default_quality is None else 6
    for pixel, converted in zip(COLOURS, found, strict=True):
        assert apart(converted, in_srgb(pixel, matrix, curve)) <= tolerance, (pixel, converted)
    assert apart(found[0], (255, 0, 0)) <= tolerance
    assert apart(found[3], (255, 255, 255)) <= tolerance


@pytest.mark.parametrize("target", list(OutputFormat))
@pytest.mark.parametrize("name", WIDE)
def test_a_profile_is_kept_with_its_samples_where_the_format_holds_it(name: str, target: OutputFormat) -> None:
    profile, matrix, curve = WIDE[name]
    data = encoded(fields(COLOURS), "PNG", icc_profile=profile)
    options: dict[str, Any] = {"lossless": True} if "lossless" in target.options else {}
    result = decoded(rendered(data, format=target.value, **options))
    found = colors_of(result.convert("RGB"), len(COLOURS))
    if target in WITHOUT_PROFILES:  # which holds none: converted
        assert "icc_profile" not in result.info
        expected = [in_srgb(pixel, matrix, curve) for pixel in COLOURS]
        assert max(map(apart, found, expected)) <= 2
        return
    assert result.info["icc_profile"] == profile
    if target in (OutputFormat.PNG, OutputFormat.TIFF, OutputFormat.WEBP):
        assert found == COLOURS
    assert max(map(apart, found, COLOURS)) <= 12


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_profile_is_read_from_every_format_that_holds_one(source: str) -> None:
    data = encoded(drawing(), source, icc_profile=DISPLAY_P3)
    assert decoded(rendered(data, Resize(width=90), Flip(), format="png")).info["icc_profile"] == DISPLAY_P3
    converted = decoded(rendered(data, format="png", colorspace="srgb"))
    assert 2 < mean_difference(converted, decoded(data)) < 20


def test_an_animation_is_converted_frame_by_frame() -> None:
    frames = [fields(COLOURS), fields(COLOURS[::-1])]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50, icc_profile=DISPLAY_P3)
    for target in ("gif", "png"):
        result = decoded(rendered(data, format=target, colorspace="srgb"))
        for number, colors in enumerate((COLOURS, COLOURS[::-1])):
            result.seek(number)
            found = colors_of(result.convert("RGB"), len(COLOURS))
            assert max(map(apart, found, [in_srgb(pixel, P3, srgb_curve) for pixel in colors])) <= 2


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_conversion_leaves_alpha_as_it_is(mode: str) -> None:
    profile = grey_profile(1.0) if mode == "LA" else DISPLAY_P3
    image = drawing(mode=mode)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    for target in ("png", "tiff", "webp"):
        options: dict[str, Any] = {"lossless": True} if target == "webp" else {}
        data = encoded(image, "PNG", icc_profile=profile)
        result = decoded(rendered(data, format=target, colorspace="srgb", **options))
        assert result.getchannel("A").tobytes() == image.getchannel("A").tobytes()
        assert mean_difference(result, image) > 1


def grey_in_srgb(value: float, gamma: float) -> int:
    """Convert a grey sample, 0 to 1, by hand."""
    linear = float(value**gamma)
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))


GREYS = [0, 20, 64, 128, 200, 255]


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_is_converted_by_its_profile_of_whatever_depth(mode: str) -> None:
    values: list[Any] = [value * 257 if mode == "I;16" else (value, 255) if mode == "LA" else value for value in GREYS]
    data = encoded(fields(values, mode), "PNG", icc_profile=grey_profile(1.0))
    result = decoded(rendered(data, format="png", colorspace="srgb")).convert("RGB")
    expected = [(grey_in_srgb(value / 255, 1.0),) * 3 for value in GREYS]
    assert max(map(apart, colors_of(result, len(GREYS)), expected)) <= 2


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
@pytest.mark.parametrize("target", list(OutputFormat))
def test_grey_keeps_its_profile_or_is_converted_where_it_has_to_become_rgb(target: OutputFormat, mode: str) -> None:
    values: list[Any] = [value * 257 if mode == "I;16" else (value, 255) if mode == "LA" else value for value in GREYS]
    profile = grey_profile(1.0)
    data = encoded(fields(values, mode), "PNG", icc_profile=profile)
    options: dict[str, Any] = {"quality": 100} if target.default_quality is not None else {}
    result = decoded(rendered(data, format=target.value, **options))
    is_kept = result.mode in ("L", "LA", "I;16") and target not in WITHOUT_PROFILES
    assert (result.info.get("icc_profile") == profile) is is_kept
    if not is_kept:
        expected = [(grey_in_srgb(value / 255, 1.0),) * 3 for value in GREYS]
        assert max(map(apart, colors_of(result.convert("RGB"), len(GREYS)), expected)) <= 5


def pink(c: int, m: int, y: int, k: int) -> tuple[int, int, int]:
    """Pretend that cyan ink is pink and no other ink shows."""
    return (150, 180, 128) if c and not k else (255, 128, 128) if not k else (0, 128, 128)


def test_cmyk_goes_through_the_table_of_its_profile_where_it_has_to_become_rgb() -> None:
    inks = [(255, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 255), (0, 255, 255, 0)]
    profile = cmyk_profile(pink)
    for source in ("TIFF", "JPEG"):
        data = encoded(
            fields(inks, "CMYK"), source, icc_profile=profile, **({"quality": 100} if source == "JPEG" else {})
        )
        for target in ("png", "webp", "gif", "avif"):
            result = decoded(rendered(data, format=target)).convert("RGB")
            cyan, none, black, red = colors_of(result, 4)
            assert apart(none, (255, 255, 255)) <= 4
            assert apart(black, (0, 0, 0)) <= 12
            assert apart(red, (255, 255, 255)) <= 4
            assert cyan[0] > cyan[1] + 60
            assert cyan[0] > cyan[2] + 20
            assert "icc_profile" not in decoded(rendered(data, format=target)).info
        kept = decoded(rendered(data, format="tiff"))
        assert (kept.mode, kept.info["icc_profile"]) == ("CMYK", profile)
        assert max(map(apart, colors_of(kept, 4), inks)) <= 3
        converted = decoded(rendered(data, format="jpeg", colorspace="srgb", quality=100))
        assert converted.mode == "RGB"
        assert apart(colors_of(converted, 4)[0], cyan) <= 6


ABSURD = {
    "empty": b"",
    "short": DISPLAY_P3[:100],
    "cut off": DISPLAY_P3[:200],
    "without tags": DISPLAY_P3[:128] + bytes(4),
    "a million tags": DISPLAY_P3[:128] + b"\x00\x10\x00\x00" + DISPLAY_P3[132:],
    "wrong offsets": DISPLAY_P3[:132] + b"rXYZ\xff\xff\xff\x00\xff\xff\xff\x00" * 9 + DISPLAY_P3[240:],
    "no profile": b"\x00" * 16 + b"RGB " + b"nonsense" * 100,
    "of inks": cmyk_profile(pink),
    "zero matrix": DISPLAY_P3.replace(DISPLAY_P3[-400:], bytes(400)),
    "five megabytes": DISPLAY_P3 + bytes(5_000_000),
}


@pytest.mark.parametrize("colorspace", ["keep", "srgb"])
@pytest.mark.parametrize("target", list(OutputFormat))
@pytest.mark.parametrize("name", ABSURD)
def test_an_absurd_profile_does_no_harm(name: str, target: OutputFormat, colorspace: str) -> None:
    data = encoded(drawing(), "TIFF", icc_profile=ABSURD[name])
    result = decoded(rendered(data, Resize(width=100), format=target.value, colorspace=colorspace))
    if name not in ("zero matrix", "wrong offsets"):  # which can be read, and say black
        assert mean_difference(result, drawing((100, 75))) < 9
    assert len(result.info.get("icc_profile", b"")) < 4_200_000
