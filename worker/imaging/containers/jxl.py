"""Read the header of a JPEG XL file (ISO/IEC 18181-1, annex D; 18181-2 for the container)."""

from typing import NamedTuple

from worker.imaging.containers.isobmff import boxes
from worker.pixels.geometry import Size

_CONTAINER = b"\0\0\0\x0cJXL "

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
"""Width to height by the code of the ratio; 0 says that the width follows."""

_SWAPPED = {5, 6, 7, 8}
"""Orientations that exchange width and height, as in Exif."""


class _Bits:
    """The bits of a codestream, the lowest of each byte first; raises IndexError after the last one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def read(self, count: int) -> int:
        value = 0
        for number in range(count):
            value |= (self._data[self._place // 8] >> self._place % 8 & 1) << number
            self._place += 1
        return value


class Header(NamedTuple):
    """What the codestream says before its pixels."""

    size: Size
    """Size in pixels after its orientation is applied."""
    is_animated: bool


def read_header(data: bytes) -> Header:
    """Read the header; raise IndexError if the file ends before, and ValueError if it is no JPEG XL."""
    stream = bytes(_codestream(data)[:64])
    if stream[:2] != b"\xff\x0a":
        raise ValueError("there is no codestream")
    bits = _Bits(stream[2:])
    width, height = _size(bits)
    orientation, is_animated = 1, False
    has_defaults = bits.read(1)
    if not has_defaults and bits.read(1):
        orientation = 1 + bits.read(3)
        if bits.read(1):  # the intrinsic size
            _size(bits)
        has_preview = bits.read(1)
        is_animated = not has_preview and bits.read(1) == 1
    return Header((height, width) if orientation in _SWAPPED else (width, height), is_animated)


def upright_size(data: bytes) -> Size:
    """Return the size in pixels after the orientation of the codestream is applied; see `read_header`."""
    return read_header(data).size


def xmp_packet(data: bytes) -> bytes | None:
    """Return the XMP packet of a container, unless it is compressed."""
    if not data.startswith(_CONTAINER):
        return None
    return next((bytes(content) for kind, content in boxes(memoryview(data)) if kind == b"xml "), None)


def has_c2pa(data: bytes) -> bool:
    return data.startswith(_CONTAINER) and any(
        kind == b"jumb" and b"c2pa" in bytes(content[:120]) for kind, content in boxes(memoryview(data))
    )


def _codestream(data: bytes) -> memoryview:
    if not data.startswith(_CONTAINER):
        return memoryview(data)
    for kind, content in boxes(memoryview(data)):
        if kind == b"jxlc":
            return content
        if kind == b"jxlp":  # a part, after its number
            return content[4:]
    raise IndexError("the codestream is not in this part of the file")


def _size(bits: _Bits) -> Size:
    is_small = bits.read(1)

    def side() -> int:
        if is_small:
            return (bits.read(5) + 1) * 8
        return bits.read((9, 13, 18, 30)[bits.read(2)]) + 1

    height = side()
    ratio = bits.read(3)
    if ratio == 0:
        return side(), height
    across, down = _RATIOS[ratio]
    return height * across // down, height
