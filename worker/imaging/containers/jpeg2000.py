"""Read what Pillow does not read of a JPEG 2000 file (ISO/IEC 15444-1, annexes A and I)."""

import struct

from worker.imaging.containers.isobmff import boxes
from worker.pixels.geometry import Size

_START, _END = b"\xff\x4f\xff\x51", b"\xff\xd9"


def codestream_size(data: bytes) -> tuple[Size, int]:
    """Return the size in pixels and the number of components that the codestream itself declares (A.5.1).

    The header of the file may say something else. Raises ValueError or struct.error if there is none.
    """
    start = data.index(_START)
    right, lower, left, upper = struct.unpack_from(">4I", data, start + 8)
    (components,) = struct.unpack_from(">H", data, start + 40)
    return (right - left, lower - upper), components


def is_complete(data: bytes) -> bool:
    """Return whether the codestream has its end marker; OpenJPEG shows what it has without one, and says nothing."""
    if data.startswith(_START):
        return data.rstrip(b"\0").endswith(_END)
    content = next((content for kind, content in boxes(memoryview(data)) if kind == b"jp2c"), memoryview(b""))
    return bytes(content[-64:]).rstrip(b"\0").endswith(_END)


def embedded_profile(data: bytes) -> bytes | None:
    """Return the ICC profile of the header (I.5.3.3), or None."""
    if data.startswith(_START):
        return None
    header = next((content for kind, content in boxes(memoryview(data)) if kind == b"jp2h"), memoryview(b""))
    profiles = (content for kind, content in boxes(header) if kind == b"colr" and bytes(content[:1]) in (b"\2", b"\3"))
    return next((bytes(content[3:]) for content in profiles), None)
