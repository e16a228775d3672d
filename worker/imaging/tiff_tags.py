"""Exif data in TIFF files, where they are part of the file's own directory."""

import struct

from PIL import Image

_ENTRY_BYTES = 12

_HEAD_BYTES = 14
"""What Pillow puts before Exif data: a name, and the head of a TIFF."""


def with_exif(tiff: bytes, exif: Image.Exif) -> bytes:
    """Return a TIFF of one page with the entries of `exif` in its directory (TIFF 6.0, section 2).

    libtiff, as Pillow calls it, writes no directories within this one (Exif, GPS), and of texts only ASCII.
    """
    exif.endian = {b"II": "<", b"MM": ">"}[tiff[:2]]
    tiff = _even(tiff)
    added = _even(exif.tobytes(len(tiff))[_HEAD_BYTES:])
    (start,) = struct.unpack_from(f"{exif.endian}L", tiff, 4)
    entries = _entries(tiff, start, exif.endian) | _entries(added, 0, exif.endian)
    directory = struct.pack(f"{exif.endian}H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
    return tiff[:4] + struct.pack(f"{exif.endian}L", len(tiff + added)) + tiff[8:] + added + directory + bytes(4)


def _entries(data: bytes, start: int, order: str) -> dict[int, bytes]:
    """Return a directory's entries by tag, as they are."""
    (count,) = struct.unpack_from(f"{order}H", data, start)
    places = range(start + 2, start + 2 + count * _ENTRY_BYTES, _ENTRY_BYTES)
    return {struct.unpack_from(f"{order}H", data, at)[0]: data[at : at + _ENTRY_BYTES] for at in places}


def _even(data: bytes) -> bytes:
    return data + bytes(len(data) % 2)
