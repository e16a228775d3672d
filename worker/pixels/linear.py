"""Resample in linear light, as a projector at a distance would mix the pixels: fine patterns keep their brightness."""

from functools import lru_cache
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


@lru_cache(maxsize=4)
def _light_tables(most: int) -> tuple[list[int], list[int]]:
    """Return the low and the high byte of the light, 0 to 65,535, of each value from 0 to `most`."""
    lights = [round(_MOST * _light(value / most)) for value in range(most + 1)]
    return [light & 0xFF for light in lights], [light >> 8 for light in lights]


@lru_cache(maxsize=4)
def _value_tables(most: int) -> tuple[list[int], list[int]]:
    """Return the low and the high byte of the value, 0 to `most`, of each light from 0 to 65,535."""
    values = [round(most * _value(light / _MOST)) for light in range(_MOST + 1)]
    return [value & 0xFF for value in values], [value >> 8 for value in values]


def resample_in_linear_light(image: Image.Image, size: Size, by: Filter, box: Box | None = None) -> Image.Image:
    """Do the same as `worker.pixels.resampling.resample` for an image in L, LA, RGB, RGBA or I;16 in sRGB."""
    most = _MOST if image.mode == "I;16" else 255
    bands = (image,) if image.mode == "I;16" else image.split()
    has_alpha = image.mode in ("LA", "RGBA")
    lights = [_to_light(band) for band in (bands[:-1] if has_alpha else bands)]
    if not has_alpha:
        values = [_to_values(resample(light, size, by, box), most) for light in lights]
        return values[0] if len(values) == 1 else Image.merge(image.mode, values)
    cover = bands[-1].convert("F")
    resized_cover = resample(cover, size, by, box)
    resized = [resample(_math(_premultiplied, light, cover), size, by, box) for light in lights]
    colors = [_to_values(_math(_divided, light, resized_cover), most) for light in resized]
    return Image.merge(image.mode, [*colors, _rounded(resized_cover).convert("L")])


def _to_light(band: Image.Image) -> Image.Image:
    """Return the light of each pixel in L or I;16 as F, 0 to 65,535."""
    if band.mode == "L":
        return _pairs(*(band.point(table) for table in _light_tables(255))).convert("F")
    numbers = band.convert("I")
    return _pairs(*(numbers.point(table, "L") for table in _light_tables(_MOST))).convert("F")


def _to_values(light: Image.Image, most: int) -> Image.Image:
    numbers = _rounded(light).convert("I")
    low, high = (numbers.point(table, "L") for table in _value_tables(most))  # which clips
    return low if most == 255 else _pairs(low, high)


def _pairs(low: Image.Image, high: Image.Image) -> Image.Image:
    """Return numbers of 16 bits by their bytes."""
    return Image.frombytes("I;16", low.size, Image.merge("LA", [low, high]).tobytes())


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
