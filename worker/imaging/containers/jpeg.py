"""Read the segments of JPEG files, and files whose end is missing."""

import hashlib
import struct
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

END = b"\xff\xd9"
"""The marker EOI (ITU-T T.81, B.1.1.3)."""

_JUNK = (b"", b"\xa5\x5a" * 32, b"\x5a\xa5" * 32)
"""Entropy-coded data that decoders ignore after the last block, but use in place of blocks that are missing."""


_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}
_START_OF_SCAN = 0xDA


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker and the content of each segment before the first scan (ITU-T T.81, B.1.1)."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:  # a fill byte, or a marker alone
            place += 1 if marker == 0xFF else 2
            continue
        if marker == _START_OF_SCAN:
            return
        (length,) = struct.unpack_from(">H", data, place + 2)
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + length


def with_end(data: bytes) -> bytes:
    """Return the file with an end marker; decoders then fill what is missing with gray."""
    return data.removesuffix(b"\xff") + END


def lacks_only_its_end(data: bytes) -> bool:
    """Return whether a file without its end marker has every pixel: data that follow then make no difference.

    Raises the errors of Pillow.
    """
    data = data.removesuffix(b"\xff")
    pixels = set()
    for rest in _JUNK:
        with Image.open(BytesIO(data + rest + END), formats=["JPEG"]) as image:
            pixels.add(hashlib.sha256(image.tobytes()).digest())
    return len(pixels) == 1
