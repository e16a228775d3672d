"""Resampling in linear light, compared with a computation in floats."""

import pytest
from PIL import Image

from tests.support.pictures import decoded, drawing, encoded
from tests.support.profiles import DISPLAY_P3, P3, in_srgb, srgb_curve
from tests.support.rendering import rendered
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations.resize import Resize


def encoded_light(light: float) -> float:
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def mean_by_hand(pixels: list[tuple[int, ...]]) -> list[int]:
    """Return the mean of pixels in linear light, weighted by their alpha if they have one."""
    weights = [pixel[3] / 255 if len(pixel) == 4 else 1 for pixel in pixels]
    total = sum(weights)
    colors = [
        sum(srgb_curve(pixel[band] / 255) * weight for pixel, weight in zip(pixels, weights, strict=True)) / total
        for band in range(min(3, len(pixels[0])))
    ]
    return [round(255 * encoded_light(light)) for light in colors]


def pattern(*pixels: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (len(pixels) * 8, 8))
    for x in range(image.width):
        for y in range(image.height):
            image.putpixel((x, y), pixels[x % len(pixels)] if mode != "L" else pixels[x % len(pixels)][0])
    return image


def resized(image: Image.Image, **parameters: object) -> Image.Image:
    operation = Resize(width=image.width // 2, height=image.height // 2, resample="box", **parameters)  # type: ignore[arg-type]
    return decoded(rendered(encoded(image, "PNG"), operation, format="png")).convert(image.mode)


PATTERNS = [
    [(0, 0, 0), (255, 255, 255)],
    [(255, 0, 0), (0, 255, 0)],
    [(10, 200, 90), (240, 20, 180)],
    [(3, 5, 7), (9, 11, 13)],
]


@pytest.mark.parametrize("pixels", PATTERNS)
def test_two_pixels_become_their_mean_in_light(pixels: list[tuple[int, ...]]) -> None:
    expected = mean_by_hand(pixels)
    assert resized(pattern(*pixels), linear=True).getpixel((3, 3)) == pytest.approx(expected, abs=1)
    plain = [round(sum(band) / 2) for band in zip(*pixels, strict=True)]
    assert resized(pattern(*pixels)).getpixel((3, 3)) == pytest.approx(plain, abs=1)


def test_black_and_white_become_the_gray_that_is_half_as_bright() -> None:
    """188 is the value of half the light (IEC 61966-2-1)."""
    assert resized(pattern((0,), (255,), mode="L"), linear=True).getpixel((3, 3)) == 188


def test_transparent_pixels_do_not_bleed() -> None:
    pixels: list[tuple[int, ...]] = [(255, 0, 0, 255), (0, 255, 0, 64)]
    found = resized(pattern(*pixels, mode="RGBA"), linear=True).getpixel((3, 3))
    assert isinstance(found, tuple)
    assert found[:3] == pytest.approx(mean_by_hand(pixels), abs=1)
    assert found[3] == pytest.approx((255 + 64) / 2, abs=1)
    hidden = resized(pattern((255, 0, 0, 255), (0, 255, 0, 0), mode="RGBA"), linear=True).getpixel((3, 3))
    assert isinstance(hidden, tuple)
    assert hidden[:3] == (255, 0, 0)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("fit", ["fill", "contain", "cover", "inside"])
@pytest.mark.parametrize("by", ["lanczos", "bicubic", "bilinear", "hamming", "box"])
def test_it_stays_close_to_the_plain_result_in_flat_areas(mode: str, fit: str, by: str) -> None:
    value: object = {"L": 90, "LA": (90, 200), "RGB": (90, 20, 200), "RGBA": (90, 20, 200, 128), "I;16": 40_000}.get(
        mode, (10, 90, 30, 40)
    )
    data = encoded(Image.new(mode, (40, 30), value), "TIFF")  # type: ignore[arg-type]
    operation = {"width": 17, "height": 11, "fit": fit, "resample": by}
    linear, plain = (
        decoded(rendered(data, Resize(**operation, linear=linear), format="png"))  # type: ignore[arg-type]
        for linear in (True, False)
    )
    assert linear.size == plain.size
    one, other = (image.convert("RGBA").getpixel((image.width // 2, image.height // 2)) for image in (linear, plain))
    assert one == pytest.approx(other, abs=2)


def test_other_color_spaces_are_converted_first() -> None:
    pixels = [(200, 90, 60), (20, 60, 90)]
    data = encoded(pattern(*pixels), "PNG", icc_profile=DISPLAY_P3)
    operation = Resize(width=8, height=4, resample="box", linear=True)
    found = decoded(rendered(data, operation, format="png"))
    assert "icc_profile" not in found.info
    expected = mean_by_hand([in_srgb(pixel, P3, srgb_curve) for pixel in pixels])
    assert found.convert("RGB").getpixel((3, 3)) == pytest.approx(expected, abs=2)


def test_a_photograph_keeps_its_size_and_a_jpeg_is_decoded_in_full() -> None:
    data = encoded(drawing((1600, 1200)), "JPEG")
    assert decoded(rendered(data, Resize(width=100, linear=True), format="png")).size == (100, 75)
    assert Resize(width=100, linear=True).scaled_size((1600, 1200)) is None


def test_nearest_mixes_nothing() -> None:
    with pytest.raises(InvalidParameters, match="cannot be combined with resample=nearest"):
        parse_plan({"operation": "resize", "linear": "true", "resample": "nearest", "width": "9"}, None, 20)
