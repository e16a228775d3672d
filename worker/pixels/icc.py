"""Write ICC profiles for color spaces that a file declares by numbers: primaries, white point and transfer curve."""

import struct
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

Row = tuple[float, float, float]
Matrix = tuple[Row, Row, Row]
Point = tuple[float, float]
"""CIE 1931 xy chromaticity."""

D50: Row = (0.9642, 1.0, 0.8249)
"""The white point of ICC profiles in XYZ (ICC.1:2022, 7.2.16)."""

_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
"""Cone response of the Bradford transform (ICC.1:2022, Annex E)."""

D65: Point = (0.3127, 0.3290)


@dataclass(frozen=True)
class Primaries:
    """Chromaticities of the primaries and of white."""

    red: Point
    green: Point
    blue: Point
    white: Point = D65


BT709 = Primaries((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
BT2020 = Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
DISPLAY_P3 = Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))

Transfer = Literal["pq", "hlg"]
"""A transfer function of HDR (ITU-R BT.2100), which no profile here describes; see `worker.pixels.tone_mapping`."""

SRGB_CURVE = None
"""The transfer curve of sRGB (IEC 61966-2-1), in place of the exponent of a power curve."""


@lru_cache(maxsize=32)
def rgb_profile(primaries: Primaries, exponent: float | None, name: str) -> bytes:
    """Return an RGB profile (ICC.1:2022): linear light is the value, 0 to 1, to the power of `exponent`.

    `exponent` is `SRGB_CURVE` for the curve of sRGB. Raises `ValueError` if the primaries are not a triangle.
    """
    adaptation = _adaptation(_xyz(primaries.white))
    columns = zip(*multiply(adaptation, xyz_of_rgb(primaries)), strict=True)
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), (_xyz_tag(*column) for column in columns), strict=True))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve_tag(exponent))
    tags[b"chad"] = b"sf32" + bytes(4) + _fixed(*(value for row in adaptation for value in row))
    return _profile(b"RGB ", name, tags)


@lru_cache(maxsize=32)
def gray_profile(exponent: float | None, name: str) -> bytes:
    """Return a profile for gray with the curve of `rgb_profile`."""
    return _profile(b"GRAY", name, {b"kTRC": _curve_tag(exponent)})


@dataclass(frozen=True)
class ColorSpace:
    """What the numbers of an image mean."""

    primaries: Primaries
    exponent: float | None
    """As in `rgb_profile`; without meaning for HDR."""
    hdr: Transfer | None = None
    precedes_icc: bool = False
    """Whether it counts more than an ICC profile (PNG, third edition, 4.3, table 1)."""

    def profile_for(self, mode: str) -> bytes | None:
        """Return an ICC profile for an image of this mode; None for sRGB, for HDR, and for CMYK."""
        is_gray = mode in ("L", "LA", "I;16")
        if mode == "CMYK" or self.hdr is not None:
            return None
        if self.exponent is SRGB_CURVE and (is_gray or self.primaries == BT709):
            return None
        make = gray_profile if is_gray else partial(rgb_profile, self.primaries)
        return make(self.exponent, "Declared by the file")


def xyz_of_rgb(primaries: Primaries) -> Matrix:
    """Return the matrix from linear RGB to XYZ, with a luminance of 1 for white; raise `ValueError` for no triangle."""
    columns = [_xyz(point) for point in (primaries.red, primaries.green, primaries.blue)]
    unscaled: Matrix = tuple(zip(*columns, strict=True))  # type: ignore[assignment]
    scales = apply(invert(unscaled), _xyz(primaries.white))
    return tuple(tuple(a * b for a, b in zip(row, scales, strict=True)) for row in unscaled)  # type: ignore[return-value]


def apply(matrix: Matrix, vector: Row) -> Row:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)  # type: ignore[return-value]


def multiply(left: Matrix, right: Matrix) -> Matrix:
    columns = [apply(left, column) for column in zip(*right, strict=True)]
    return tuple(zip(*columns, strict=True))  # type: ignore[return-value]


def invert(matrix: Matrix) -> Matrix:
    """Return the inverse, or raise `ValueError` if the matrix is singular."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if abs(determinant) < 1e-9:
        raise ValueError("the matrix has no inverse")
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return tuple(tuple(each / determinant for each in row) for row in cofactors)  # type: ignore[return-value]


def _adaptation(white: Row) -> Matrix:
    """Return the Bradford adaptation from a white point to D50."""
    ratios = [target / own for target, own in zip(apply(_BRADFORD, D50), apply(_BRADFORD, white), strict=True)]
    scaled: Matrix = tuple(  # type: ignore[assignment]
        tuple(ratio * value for value in row) for ratio, row in zip(ratios, _BRADFORD, strict=True)
    )
    return multiply(invert(_BRADFORD), scaled)


def _xyz(point: Point) -> Row:
    x, y = point
    if y <= 0:
        raise ValueError("a chromaticity has no luminance")
    return x / y, 1.0, (1 - x - y) / y


def _fixed(*numbers: float) -> bytes:
    """Write s15Fixed16Numbers (ICC.1:2022, 4.6); raise `ValueError` for numbers out of range."""
    try:
        return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)
    except struct.error as exc:
        raise ValueError("a number does not fit into a profile") from exc


def _xyz_tag(*numbers: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*numbers)


def _curve_tag(exponent: float | None) -> bytes:
    """Write a parametricCurveType (ICC.1:2022, 10.18)."""
    if exponent is SRGB_CURVE:
        numbers = _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + numbers
    return b"para" + bytes(4) + struct.pack(">HH", 0, 0) + _fixed(exponent)


def _text_tag(text: str) -> bytes:
    """Write a multiLocalizedUnicodeType (ICC.1:2022, 10.15)."""
    return (
        b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2 * len(text), 28) + text.encode("utf-16be")
    )


def _profile(space: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": _text_tag(name), b"cprt": _text_tag("Public domain"), b"wtpt": _xyz_tag(*D50), **tags}
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x04400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
