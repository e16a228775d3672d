"""Resample in linear light, as a projector at a distance would mix the pixels: fine patterns keep their brightness."""

from typing import Any

from PIL import Image, ImageMath

from worker.pixels.geometry import Box, Size
from worker.pixels.resampling import Filter, resample

_MOST = 65_535


def _light(value: float) -> float:
    """Return the linear light of a value of sRGB, both from 0 to 1 (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _value(light: float) -> float:
    return 12.92 * light if light <= 0.0031308 else float(1.055 * light ** (1 / 2.4) - 0.055)


_LIGHT_OF_BYTE = [round(_MOST * _light(value / 255)) for value in range(256)]
_LOW_BYTE, _HIGH_BYTE = [light & 0xFF for light in _LIGHT_OF_BYTE], [light >> 8 for light in _LIGHT_OF_BYTE]
_BYTE_OF_LIGHT = [round(255 * _value(light / _MOST)) for light in range(_MOST + 1)]


def resample_in_linear_light(image: Image.Image, size: Size, by: Filter, box: Box | None = None) -> Image.Image:
    """Do the same as `worker.pixels.resampling.resample` for an image in L, LA, RGB or RGBA whose colors are sRGB."""
    bands = image.split()
    lights = [_to_light(band) for band in bands[: len(image.mode.removesuffix("A"))]]
    if len(lights) == len(bands):
        return Image.merge(image.mode, [_to_bytes(resample(light, size, by, box)) for light in lights])
    cover = bands[-1].convert("F")
    resized_cover = resample(cover, size, by, box)
    resized = [resample(_math(_premultiplied, light, cover), size, by, box) for light in lights]
    colors = [_to_bytes(_math(_divided, light, resized_cover)) for light in resized]
    return Image.merge(image.mode, [*colors, _rounded(resized_cover).convert("L")])


def _to_light(band: Image.Image) -> Image.Image:
    """Return the light of each pixel in F, 0 to 65,535."""
    pairs = Image.merge("LA", [band.point(_LOW_BYTE), band.point(_HIGH_BYTE)])  # little-endian numbers of 16 bits
    return Image.frombytes("I;16", band.size, pairs.tobytes()).convert("F")


def _to_bytes(light: Image.Image) -> Image.Image:
    return _rounded(light).convert("I").point(_BYTE_OF_LIGHT, "L")  # which clips


def _rounded(image: Image.Image) -> Image.Image:
    return image.point(lambda value: value * 1 + 0.5)


def _premultiplied(values: dict[str, Any]) -> Any:
    return values["light"] * values["cover"] / 255


def _divided(values: dict[str, Any]) -> Any:
    # Filters overshoot, so that the cover may be below 0; where it is almost 0, the color does not matter.
    return values["light"] * 255 / values["max"](values["cover"], 0.01)


def _math(formula: Any, light: Image.Image, cover: Image.Image) -> Image.Image:
    computed: Image.Image = ImageMath.lambda_eval(formula, light=light, cover=cover)
    return computed
