"""Read the properties of the primary image of an AVIF or HEIC file (ISO/IEC 14496-12 and 23008-12)."""

import struct
from collections.abc import Iterator
from fractions import Fraction

MAX_BOXES = 10_000
"""Maximum number of boxes and associations that are read; a phone's grid of tiles has about a hundred."""

Box = tuple[bytes, memoryview]
"""Type and content."""


def primary_properties(data: bytes) -> list[Box]:
    """Return the properties of the primary image, such as colr, clap and irot, or an empty list for a damaged file."""
    try:
        return _primary_properties(data)
    except (struct.error, IndexError, KeyError):
        return []


def clean_aperture(properties: list[Box], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return the box in pixels to which an image of `size` is cropped before it is rotated (clap; 14496-12, 12.1.4).

    Returns None if the property is missing, or is not a box of whole pixels within the image.
    """
    content = next((content for kind, content in properties if kind == b"clap"), memoryview(b""))
    if len(content) < 32:
        return None
    numbers = struct.unpack_from(">IIIIiIiI", content)
    if 0 in numbers[1::2]:
        return None
    width, height, x, y = (Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
    left, upper = (size[0] - width) / 2 + x, (size[1] - height) / 2 + y
    box = left, upper, left + width, upper + height
    if any(edge.denominator > 1 for edge in box) or not (
        0 <= left < box[2] <= size[0] and 0 <= upper < box[3] <= size[1]
    ):
        return None
    return int(left), int(upper), int(box[2]), int(box[3])


def _primary_properties(data: bytes) -> list[Box]:
    meta = dict(boxes(dict(boxes(memoryview(data)))[b"meta"][4:]))
    wide_id = meta[b"pitm"][0] > 0
    (primary,) = struct.unpack_from(">I" if wide_id else ">H", meta[b"pitm"], 4)
    properties = list(boxes(meta[b"iprp"]))
    container = list(boxes(dict(properties)[b"ipco"]))
    numbers = [
        number
        for kind, content in properties
        if kind == b"ipma"
        for item, number in _associations(content)
        if item == primary
    ]
    return [container[number - 1] for number in numbers if 0 < number <= len(container)]


def boxes(data: memoryview) -> Iterator[Box]:
    """Yield the boxes one after the other; the last may be cut off."""
    start = 0
    for _ in range(MAX_BOXES):
        if start + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        elif size == 0:
            size = len(data) - start
        if size < head:
            return
        yield kind, data[start + head : start + size]
        start += size


def _associations(content: memoryview) -> Iterator[tuple[int, int]]:
    """Yield pairs of an item and the number of one of its properties, from 1."""
    item_layout, item_bytes = (">I", 4) if content[0] else (">H", 2)
    layout, most = (">H", 0x7FFF) if content[3] & 1 else (">B", 0x7F)
    (count,) = struct.unpack_from(">I", content, 4)
    start = 8
    for _ in range(min(count, MAX_BOXES)):
        (item,) = struct.unpack_from(item_layout, content, start)
        start += item_bytes + 1
        for _ in range(content[start - 1]):
            (number,) = struct.unpack_from(layout, content, start)
            yield item, number & most
            start += struct.calcsize(layout)
