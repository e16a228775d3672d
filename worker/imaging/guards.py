"""PNG's chunks: the checks that Pillow leaves out."""

import re
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

from msgspec import Struct
from PIL import BmpImagePlugin, IcoImagePlugin, PngImagePlugin

from worker.errors import DamagedPicture, PictureError
from worker.pixels.geometry import Size


class Limits(Struct, frozen=True):
    """What a picture may have; pixels are counted over all frames that are decoded or written."""

    max_pixels: int
    max_frames: int
    max_output_pixels: int


class TooManyPixels(PictureError):
    def __init__(self, size: Size, frames: int, max_pixels: int) -> None:
        what = f"{size[0]} x {size[1]} pixels" + (f" in {frames} frames" if frames > 1 else "")
        super().__init__(f"{what} are too many; a picture may have {max_pixels:,} pixels in all")


def check_pixels(size: Size, frames: int, max_pixels: int) -> None:
    if size[0] * size[1] * frames > max_pixels:
        raise TooManyPixels(size, frames, max_pixels)


PNG_MARK = b"\x89PNG\r\n\x1a\n"

_PIXELS = (b"IDAT", b"fdAT")
"""The only chunks whose checksums Pillow does not compare."""


def check_pixel_chunks(data: bytes) -> None:
    """Raise `DamagedPicture` when the pixel data of a PNG does not match its checksums (PNG 3rd edition, 5.3).

    zlib's own checksum does not suffice: Pillow stops inflating at the last row, before it.
    """
    for kind, start, end in _chunks(data):
        if kind in _PIXELS and zlib.crc32(memoryview(data)[start - 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise DamagedPicture


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each whole chunk up to IEND, and where its data begin and end."""
    start = len(PNG_MARK) + 8
    while start <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start - 8)
        if kind == b"IEND" or start + length + 4 > len(data):
            return
        yield kind, start, start + length
        start += length + 12


def icon_picture(data: bytes) -> bytes:
    """Return the file from where its largest picture begins; that is a PNG, or a BMP without its first header."""
    return data[IcoImagePlugin.IcoFile(BytesIO(data)).entry[0].offset :]


def icon_size(data: bytes) -> Size:
    """Return the size of the picture that Pillow will decode, by that picture's own header.

    The file's directory, which has a byte for each side, may call a picture small that is not. Raises whatever Pillow
    raises on damaged data.
    """
    picture = icon_picture(data)
    if picture.startswith(PNG_MARK):
        return PngImagePlugin.PngImageFile(BytesIO(picture)).size
    width, height = BmpImagePlugin.DibImageFile(BytesIO(picture)).size
    return width, height // 2  # below the colors lies the mask


MAX_SCANS = 200
"""Encoders write ten for a progressive picture, optimizers up to some sixty. One takes 40 ms on 64 megapixels."""

# The marker with the only lengths that it may have, for one to four components (ITU-T T.81, B.2.3): of 50 MB of
# other data, one in 5,000 holds one of these by chance.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")


def check_scans(data: bytes) -> None:
    """Raise `PictureError` when the pictures of a file have more scans in all than any has that is meant to be seen."""
    scans = sum(1 for _ in _SCAN.finditer(data))
    if scans > MAX_SCANS:
        raise PictureError(f"the picture is in {scans:,} scans; at most {MAX_SCANS} are read")
