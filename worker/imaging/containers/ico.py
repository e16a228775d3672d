"""Find the best image of an icon: the largest, and of those of equal size the one with the most colors."""

import struct
from io import BytesIO

from PIL import BmpImagePlugin, IcoImagePlugin, PngImagePlugin

from worker.pixels.geometry import Size

_PNG_MARK = b"\x89PNG"

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Color type of a PNG -> number of its channels."""


def icon_of_best_image(data: bytes) -> bytes:
    """Return an icon with this image alone. Raises the errors of Pillow on damaged data."""
    entry = _best(data)
    picture = data[entry.offset : entry.offset + entry.size]
    place = 6 + 16
    head = struct.pack(
        "<HHHBBBBHHII", 0, 1, 1, entry.width & 0xFF, entry.height & 0xFF, 0, 0, 1, 32, len(picture), place
    )
    return head + picture


def icon_picture(data: bytes) -> bytes:
    """Return the file from the start of this image: a PNG, or a BMP without its file header."""
    return data[_best(data).offset :]


def icon_size(data: bytes) -> Size:
    """Return the size of this image, by its own header.

    The directory of the file has one byte per side and may be wrong. Raises the errors of Pillow on damaged data.
    """
    picture = icon_picture(data)
    if picture.startswith(_PNG_MARK):
        return PngImagePlugin.PngImageFile(BytesIO(picture)).size
    width, height = BmpImagePlugin.DibImageFile(BytesIO(picture)).size
    return width, height // 2  # the mask follows the colors


def _best(data: bytes) -> IcoImagePlugin.IconHeader:
    entries = IcoImagePlugin.IcoFile(BytesIO(data)).entry
    return max(entries, key=lambda entry: (entry.square, _bits_per_pixel(data[entry.offset : entry.offset + 26])))


def _bits_per_pixel(head: bytes) -> int:
    """Return the depth of an image by its own header; that of the directory is often 0."""
    if head.startswith(_PNG_MARK):
        return head[24] * _CHANNELS.get(head[25], 0) if len(head) > 25 else 0
    return struct.unpack_from("<H", head, 14)[0] if len(head) >= 16 else 0
