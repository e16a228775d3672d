"""The color space that a file declares without an ICC profile: by CICP (nclx, cICP), or by sRGB, gAMA and cHRM."""

import struct

from worker.imaging.containers.isobmff import primary_properties
from worker.imaging.containers.png import chunks_before_pixels
from worker.imaging.formats import InputFormat
from worker.pixels.icc import BT709, BT2020, DISPLAY_P3, SRGB_CURVE, ColorSpace, Primaries, Transfer

_C, _DCI = (0.310, 0.316), (0.314, 0.351)

PRIMARIES = {
    1: BT709,
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: Primaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: BT2020,
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: DISPLAY_P3,
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
"""ColourPrimaries (ITU-T H.273, table 2)."""

_EXPONENTS = {4: 2.2, 5: 2.8, 8: 1.0}
"""TransferCharacteristics (ITU-T H.273, table 3) of power curves. The video curves count as sRGB's, as in browsers."""

HDR_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}

_ENCODED_SRGB = 1 / 2.2

_NEARLY = 0.05
"""Relative difference of gamma that libpng, and so browsers, do not correct."""


def declared_space(data: bytes, source: InputFormat) -> ColorSpace | None:
    """Return the color space that a file declares besides an ICC profile, or None if it declares nothing known."""
    match source:
        case InputFormat.AVIF | InputFormat.HEIC:
            nclx = (
                content
                for kind, content in primary_properties(data)
                if kind == b"colr" and bytes(content[:4]) == b"nclx"
            )
            content = next(nclx, memoryview(b""))
            return None if len(content) < 8 else _by_code_points(*struct.unpack_from(">HH", content, 4))
        case InputFormat.PNG:
            return _of_png(data)
    return None


def _by_code_points(primaries: int, transfer: int, *, precedes_icc: bool = False) -> ColorSpace:
    """Return the space of ColourPrimaries and TransferCharacteristics; those that are unknown count as sRGB's."""
    return ColorSpace(
        PRIMARIES.get(primaries, BT709), _EXPONENTS.get(transfer, SRGB_CURVE), HDR_TRANSFERS.get(transfer), precedes_icc
    )


def _of_png(data: bytes) -> ColorSpace | None:
    chunks = {kind: content for kind, content in chunks_before_pixels(data) if kind in _PNG_SIZES}
    chunks = {kind: content for kind, content in chunks.items() if len(content) == _PNG_SIZES[kind]}
    if b"cICP" in chunks:
        return _by_code_points(*chunks[b"cICP"][:2], precedes_icc=True)
    if b"sRGB" in chunks or not chunks:
        return None
    exponent, primaries = SRGB_CURVE, BT709
    if b"gAMA" in chunks:
        gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000
        if gamma > 0 and abs(gamma / _ENCODED_SRGB - 1) > _NEARLY:
            exponent = 1 / gamma
    if b"cHRM" in chunks:
        values = [each / 100_000 for each in struct.unpack(">8I", chunks[b"cHRM"])]
        white, red, green, blue = zip(values[::2], values[1::2], strict=True)
        primaries = Primaries(red, green, blue, white)
    space = ColorSpace(primaries, exponent)
    try:
        space.profile_for("RGB")
    except ValueError:
        return ColorSpace(BT709, exponent)
    return space


_PNG_SIZES = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
