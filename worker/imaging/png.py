"""PNG's chunks: the checks that Pillow leaves out."""

import struct
import zlib
from collections.abc import Iterator

from worker.errors import DamagedPicture

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
