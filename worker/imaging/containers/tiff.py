"""Check the directories of a TIFF, one per page, before Pillow and libtiff allocate memory for them."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from PIL import Image, TiffImagePlugin

from worker.errors import TooLarge, UnsupportedVariant
from worker.pixels.geometry import Size

MAX_ENTRIES = 65_535
"""Maximum number of entries of all directories; Pillow takes 3 µs for each. A page has about twenty."""

MAX_PARTS = 2**18
"""Maximum number of strips or tiles of a page: 64 megapixels in the smallest tiles (16 x 16) are 250,000.

Pillow takes 200 bytes and 6 µs for each.
"""

_TILE_SIDES, _PART_OFFSETS = (322, 323), (273, 324)

_NUMBERS = {1: "B", 3: "H", 4: "L", 16: "Q"}
"""Type of an entry -> `struct` format of its integers (TIFF 6.0, section 2; BigTIFF)."""


@dataclass(frozen=True)
class _Layout:
    order: str
    first: str
    first_at: int
    count: str
    entry: str


_LAYOUTS = {
    b"II*\0": _Layout("<", "L", 4, "H", "HHL4s"),
    b"MM\0*": _Layout(">", "L", 4, "H", "HHL4s"),
    b"II+\0": _Layout("<", "Q", 8, "Q", "HHQ8s"),
}
"""First four bytes -> classic TIFF of either byte order, or BigTIFF; Pillow does not support big-endian BigTIFF."""


def check_directories(data: bytes, pages: int) -> Size:
    """Return the size of the largest tile in the first `pages` pages.

    A tile is always decoded in full. Raises `TooLarge` for too many entries, strips or tiles, and `KeyError` for an
    unknown kind of TIFF.
    """
    layout = _LAYOUTS[data[:4]]
    entries, largest = 0, (0, 0)
    for start, count in islice(_directories(data, layout), pages):
        entries += count
        if entries > MAX_ENTRIES:
            raise TooLarge(f"the directories of the file must have at most {MAX_ENTRIES:,} entries")
        tile = _check_tile(data, layout, start, count)
        largest = max(largest, tile, key=lambda size: size[0] * size[1])
    return largest


def page_count(data: bytes) -> int:
    """Return the number of pages; Pillow decodes all directories for it, which takes 1 s for 10,000."""
    return sum(1 for _ in _directories(data, _LAYOUTS[data[:4]]))


def tags(data: bytes) -> set[int]:
    """Return the tags of the first page. Raises `KeyError` for an unknown kind of TIFF."""
    layout = _LAYOUTS[data[:4]]
    start, count = next(_directories(data, layout), (0, 0))
    size = struct.calcsize(f"<{layout.entry}")
    table = data[start : start + count * size]
    return {entry[0] for entry in struct.iter_unpack(layout.order + layout.entry, table[: len(table) // size * size])}


def _directories(data: bytes, layout: _Layout) -> Iterator[tuple[int, int]]:
    """Yield the offset and the number of the entries of each directory, up to one that is missing or repeated."""
    visited = {0}
    (place,) = struct.unpack_from(layout.order + layout.first, data, layout.first_at)
    count_bytes, pointer_bytes = struct.calcsize(f"<{layout.count}"), struct.calcsize(f"<{layout.first}")
    entry_bytes = struct.calcsize(f"<{layout.entry}")
    while place not in visited and place + count_bytes <= len(data):
        visited.add(place)
        (count,) = struct.unpack_from(layout.order + layout.count, data, place)
        start = place + count_bytes
        yield start, count
        end = start + count * entry_bytes
        if end + pointer_bytes > len(data):
            return
        (place,) = struct.unpack_from(layout.order + layout.first, data, end)


def _check_tile(data: bytes, layout: _Layout, start: int, count: int) -> Size:
    sides = dict.fromkeys(_TILE_SIDES, 0)
    size = struct.calcsize(f"<{layout.entry}")
    table = data[start : start + count * size]
    for tag, kind, number, field in struct.iter_unpack(layout.order + layout.entry, table[: len(table) // size * size]):
        if tag in _PART_OFFSETS and number > MAX_PARTS:
            raise TooLarge(f"a page must have at most {MAX_PARTS:,} strips or tiles; got {number:,}")
        if tag in sides and kind in _NUMBERS and struct.calcsize(f"<{_NUMBERS[kind]}") <= len(field):
            sides[tag] = max(sides[tag], *struct.unpack_from(layout.order + _NUMBERS[kind], field))
    return sides[322], sides[323]


# Kinds of pixels that Pillow reads in the other byte order only: 16 bits with 0 for white, and 32 bits.
TiffImagePlugin.OPEN_INFO[(b"MM", 0, (1,), 1, (16,), ())] = ("I;16B", "I;16B")
TiffImagePlugin.OPEN_INFO[(b"MM", 1, (1,), 1, (32,), ())] = ("I", "I;32B")

_PHOTOMETRIC, _LOWEST, _HIGHEST = 262, 340, 341
_WHITE_IS_ZERO = 0


def scaled_samples(image: Image.Image) -> Image.Image:
    """Return a decoded page with black as 0, and floating-point samples as 16 bits; other images stay as they are.

    Floating-point samples go from SMinSampleValue to SMaxSampleValue, or else from 0 to 1 (TIFF 6.0, section 20).
    Raises `UnsupportedVariant` if they do not.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return image
    if image.mode == "F":
        return _float_samples(image)
    if image.mode.startswith("I;16") and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        # Pillow cannot compute with big-endian samples.
        return image.convert("I").point(lambda value: value * -1 + 65_535).convert("I;16")
    return image


def _float_samples(image: TiffImagePlugin.TiffImageFile) -> Image.Image:
    low, high = (_number(image.tag_v2.get(tag)) for tag in (_LOWEST, _HIGHEST))
    if low is None or high is None or not low < high:
        lowest, highest = image.getextrema()
        if not (lowest >= 0 and highest <= 1):  # type: ignore[operator] # also if they are no numbers
            raise UnsupportedVariant(
                f"the samples of the TIFF are floating-point numbers from {lowest:g} to {highest:g}; "
                "they must be from 0 to 1, or the file must have SMinSampleValue and SMaxSampleValue"
            )
        low, high = 0.0, 1.0
    scale, offset = 65_535 / (high - low), 0.5 - low * 65_535 / (high - low)
    return image.point(lambda value: value * scale + offset).convert("I").convert("I;16")


def _number(value: Any) -> float | None:
    """Return the value of a tag, or the first of several."""
    value = value[0] if isinstance(value, tuple) and value else value
    return float(value) if isinstance(value, int | float) else None


_ENTRY_BYTES = 12

_HEAD_BYTES = 14
"""The prefix of Exif data in Pillow: a name, and the header of a TIFF."""


def with_exif(tiff: bytes, exif: Image.Exif) -> bytes:
    """Return a one-page TIFF with the entries of `exif` in its directory (TIFF 6.0, section 2).

    libtiff, as used by Pillow, does not write nested directories (Exif, GPS) and non-ASCII text.
    """
    exif.endian = {b"II": "<", b"MM": ">"}[tiff[:2]]
    tiff = _even(tiff)
    added = _even(exif.tobytes(len(tiff))[_HEAD_BYTES:])
    (start,) = struct.unpack_from(f"{exif.endian}L", tiff, 4)
    entries = _entries(tiff, start, exif.endian) | _entries(added, 0, exif.endian)
    directory = struct.pack(f"{exif.endian}H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
    return tiff[:4] + struct.pack(f"{exif.endian}L", len(tiff + added)) + tiff[8:] + added + directory + bytes(4)


def _entries(data: bytes, start: int, order: str) -> dict[int, bytes]:
    """Return the entries of a directory by tag, undecoded."""
    (count,) = struct.unpack_from(f"{order}H", data, start)
    places = range(start + 2, start + 2 + count * _ENTRY_BYTES, _ENTRY_BYTES)
    return {struct.unpack_from(f"{order}H", data, at)[0]: data[at : at + _ENTRY_BYTES] for at in places}


def _even(data: bytes) -> bytes:
    return data + bytes(len(data) % 2)
