"""Map HDR images (PQ and HLG, ITU-R BT.2100) to sRGB.

Light is computed in cd/m2 as a display of 1,000 cd/m2 would show it, compressed to the 203 cd/m2 of reference white
(ITU-R BT.2408) by the curve of ITU-R BT.2390, 5.4.1, at the largest of red, green and blue, which preserves hue, and
converted to the primaries of sRGB, where it is clipped.
"""

from functools import lru_cache

from PIL import Image, ImageFilter

from worker.pixels.icc import BT709, Primaries, Row, Transfer, apply, invert, multiply, xyz_of_rgb
from worker.pixels.modes import convert_to_modes

PEAK = 1000.0
"""Luminance in cd/m2 of the display for which HDR is graded."""

REFERENCE_WHITE = 203.0
"""Luminance in cd/m2 of white in an SDR image shown beside HDR (ITU-R BT.2408, 2.1)."""

POINTS = 49
"""Grid points of the lookup table per channel. Computing it takes 0.7 s, once for each process and color space."""


def tone_mapped(image: Image.Image, primaries: Primaries, transfer: Transfer) -> Image.Image:
    """Convert an HDR image in a working mode to L, LA, RGB or RGBA in sRGB."""
    image = convert_to_modes(image, ("L", "LA", "RGB", "RGBA"))
    if image.mode in ("L", "LA"):
        gray, *alpha = image.split()
        table = [round(255 * to_sdr((value / 255,) * 3, BT709, transfer)[0]) for value in range(256)]
        return Image.merge(image.mode, [gray.point(table), *alpha])
    return image.filter(_table(primaries, transfer))


@lru_cache(maxsize=4)
def _table(primaries: Primaries, transfer: Transfer) -> ImageFilter.Color3DLUT:
    return ImageFilter.Color3DLUT.generate(POINTS, lambda *color: to_sdr(color, primaries, transfer))


def to_sdr(color: Row, primaries: Primaries, transfer: Transfer) -> Row:
    """Convert one color from HDR to sRGB, both with values from 0 to 1."""
    light = _pq_light(color) if transfer == "pq" else _hlg_light(color, primaries)
    most = max(*light, 1e-6)
    scale = _compressed(most) / most / REFERENCE_WHITE
    shown = apply(_to_bt709(primaries), (light[0] * scale, light[1] * scale, light[2] * scale))
    return tuple(_srgb_encoded(min(1.0, max(0.0, value))) for value in shown)  # type: ignore[return-value]


@lru_cache(maxsize=4)
def _to_bt709(primaries: Primaries) -> tuple[Row, Row, Row]:
    return multiply(invert(xyz_of_rgb(BT709)), xyz_of_rgb(primaries))


_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _pq_light(color: Row) -> Row:
    """Return the luminance of each channel in cd/m2 (ITU-R BT.2100, table 4)."""
    return tuple(_pq_decoded(value) for value in color)  # type: ignore[return-value]


def _pq_decoded(value: float) -> float:
    power = value ** (1 / _M2)
    return float(10_000 * (max(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1))


def _pq_encoded(luminance: float) -> float:
    power = (luminance / 10_000) ** _M1
    return float(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


_A = 0.17883277
_B, _C = 1 - 4 * _A, 0.55991073


def _hlg_light(color: Row, primaries: Primaries) -> Row:
    """Return the luminance of each channel in cd/m2, with the system gamma of `PEAK` (ITU-R BT.2100, table 5)."""
    scene = [
        value * value / 3 if value <= 0.5 else (2.718281828459045 ** ((value - _C) / _A) + _B) / 12 for value in color
    ]
    weights = xyz_of_rgb(primaries)[1]
    luma = sum(weight * value for weight, value in zip(weights, scene, strict=True))
    gain = PEAK * max(luma, 1e-9) ** 0.2
    return tuple(gain * value for value in scene)


_LARGEST = _pq_encoded(REFERENCE_WHITE) / _pq_encoded(PEAK)
_KNEE = 1.5 * _LARGEST - 0.5


def _compressed(luminance: float) -> float:
    """Return the luminance for a display of `REFERENCE_WHITE` (EETF of ITU-R BT.2390, 5.4.1)."""
    value = min(1.0, _pq_encoded(luminance) / _pq_encoded(PEAK))
    if value > _KNEE:
        t = (value - _KNEE) / (1 - _KNEE)
        value = (
            (2 * t**3 - 3 * t**2 + 1) * _KNEE + (t**3 - 2 * t**2 + t) * (1 - _KNEE) + (-2 * t**3 + 3 * t**2) * _LARGEST
        )
    return _pq_decoded(value * _pq_encoded(PEAK))


def _srgb_encoded(value: float) -> float:
    return float(12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055)
