"""Find a C2PA manifest (Content Credentials) in a file (C2PA Technical Specification 2.1, A.3)."""

import struct

from worker.imaging.containers import isobmff, jpeg, jxl, png, tiff
from worker.imaging.formats import InputFormat

_BMFF_ID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_TIFF_TAG = 0xCD41
_GIF_EXTENSION = b"\x21\xff\x0bC2PA_GIF"


def has_manifest(data: bytes, source: InputFormat) -> bool:
    """Return whether the file has a manifest, valid or not; False if the file is damaged."""
    try:
        return _has_manifest(data, source)
    except (struct.error, IndexError, KeyError):
        return False


def _has_manifest(data: bytes, source: InputFormat) -> bool:
    match source:
        case InputFormat.JPEG:  # APP11 with a JUMBF box
            segments = jpeg.segments(data)
            return any(kind == 0xEB and part[:2] == b"JP" and b"c2pa" in part[:120] for kind, part in segments)
        case InputFormat.PNG:
            return any(kind == b"caBX" for kind, _, _ in png.chunks(data))
        case InputFormat.WEBP:
            return b"C2PA" in (kind for kind, _ in _riff_chunks(data))
        case InputFormat.AVIF | InputFormat.HEIC:
            return any(
                kind == b"uuid" and content[:16] == _BMFF_ID for kind, content in isobmff.boxes(memoryview(data))
            )
        case InputFormat.JXL:
            return jxl.has_c2pa(data)
        case InputFormat.TIFF:
            return _TIFF_TAG in tiff.tags(data)
        case InputFormat.GIF:
            return _GIF_EXTENSION in data
    return False


def _riff_chunks(data: bytes) -> list[tuple[bytes, int]]:
    """Return the type and the size of each chunk."""
    found, start = [], 12
    while start + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, start)
        found.append((kind, size))
        start += 8 + size + size % 2
    return found
