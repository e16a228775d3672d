"""Convert bitmaps whose bit masks Pillow does not read, and find their color profile."""

import struct
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageMath

from worker.errors import DamagedPicture
from worker.pixels.geometry import Size

_FILE_HEADER = 14
_V3, _V4, _V5 = 56, 108, 124
"""Sizes of headers: BITMAPV3INFOHEADER, BITMAPV4HEADER and BITMAPV5HEADER."""

_BITFIELDS, _ALPHA_BITFIELDS = 3, 6
_EMBEDDED = 0x4D424544
"""bV5CSType of a profile in the file (MBED)."""

_SRGB = 0x73524742

_READ_BY_PILLOW = {
    (32, 0xFF0000, 0xFF00, 0xFF), (32, 0xFF0000, 0xFF00, 0xFF, 0), (32, 0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    (32, 0xFF, 0xFF00, 0xFF0000, 0xFF000000), (16, 0xF800, 0x7E0, 0x1F), (16, 0x7C00, 0x3E0, 0x1F),
    (16, 0xF800, 0x7E0, 0x1F, 0), (16, 0x7C00, 0x3E0, 0x1F, 0),
}  # fmt: skip
"""Bits and masks of red, green, blue and alpha."""


def embedded_profile(data: bytes) -> bytes | None:
    """Return the ICC profile of a bitmap with a BITMAPV5HEADER."""
    if len(data) < _FILE_HEADER + _V5 or struct.unpack_from("<I", data, _FILE_HEADER)[0] != _V5:
        return None
    (kind,) = struct.unpack_from("<I", data, _FILE_HEADER + 56)
    start, size = struct.unpack_from("<II", data, _FILE_HEADER + 112)
    profile = data[_FILE_HEADER + start : _FILE_HEADER + start + size]
    return profile if kind == _EMBEDDED and len(profile) == size > 0 else None


def with_usual_masks(data: bytes, check: Callable[[Size], None]) -> bytes:
    """Return a bitmap whose bit masks Pillow does not read with 8 bits for each channel; others as they are.

    The size is passed to `check`, which may raise, before pixels are read. Raises `DamagedPicture` if they are missing,
    and `ValueError` for masks that overlap or have gaps.
    """
    if len(data) < _FILE_HEADER + 52:
        return data
    (offset,) = struct.unpack_from("<I", data, 10)
    header_size, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", data, _FILE_HEADER)
    if compression not in (_BITFIELDS, _ALPHA_BITFIELDS) or bits not in (16, 32) or header_size < 40:
        return data
    has_alpha = header_size >= _V3 or compression == _ALPHA_BITFIELDS
    masks = struct.unpack_from("<4I", data, _FILE_HEADER + 40)[: 4 if has_alpha else 3]
    if (bits, *masks) in _READ_BY_PILLOW:
        return data
    _check(masks, bits)
    size = width, abs(height)
    check(size)
    stride = (width * bits + 31) // 32 * 4
    rows = data[offset : offset + stride * size[1]]
    if width < 1 or len(rows) < stride * size[1]:
        raise DamagedPicture
    direction = -1 if height > 0 else 1
    mode, raw_mode = ("I;16", "I;16") if bits == 16 else ("I", "I;32")
    pixels = Image.frombytes(mode, size, rows, "raw", raw_mode, stride, direction).convert("I")
    channels = [_channel(pixels, mask) for mask in masks]
    if not any(masks[3:]):
        return _bitmap(Image.merge("RGB", channels[:3]))
    return _bitmap(Image.merge("RGBA", channels))


def _bitmap(image: Image.Image) -> bytes:
    """Return a bitmap in BGRX or BGRA with a BITMAPV4HEADER."""
    raw_mode, alpha = ("BGRA", 0xFF000000) if image.mode == "RGBA" else ("BGRX", 0)
    pixels = image.tobytes("raw", raw_mode, 0, -1)
    start = _FILE_HEADER + _V4
    head = struct.pack("<2sIII", b"BM", start + len(pixels), 0, start)
    head += struct.pack("<IiiHHIIiiII", _V4, *image.size, 1, 32, _BITFIELDS, len(pixels), 0, 0, 0, 0)
    return (head + struct.pack("<IIIII", 0xFF0000, 0xFF00, 0xFF, alpha, _SRGB)).ljust(start, b"\0") + pixels


def _check(masks: tuple[int, ...], bits: int) -> None:
    together = 0
    for mask in masks:
        lowest = mask & -mask
        has_gap = mask and (mask // lowest) & (mask // lowest + 1)
        if has_gap or mask & together or mask >> bits:
            raise ValueError("the masks of the bitmap overlap, have gaps or are too large")
        together |= mask


def _channel(pixels: Image.Image, mask: int) -> Image.Image:
    """Return the bits of a mask, scaled to 0 to 255."""
    if mask == 0:
        return Image.new("L", pixels.size)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    # The highest of 32 bits is a sign, which the second mask removes.
    more = max(0, most.bit_length() - 16)

    def scaled(values: dict[str, Any]) -> Any:
        value = ((values["pixels"] >> (shift + more)) & (most >> more)) * 255
        return (value + (most >> more) // 2) / (most >> more)

    levels: Image.Image = ImageMath.lambda_eval(scaled, pixels=pixels)
    return levels.convert("L")
