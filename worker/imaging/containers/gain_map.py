"""Read and write the gain map of an Ultra HDR JPEG: a second JPEG after the picture that makes it HDR.

A Multi-Picture segment (CIPA DC-007) says where it is; XMP data (Ultra HDR Image Format 1.1) or a segment of
ISO 21496-1, in either JPEG, say what it means.
"""

import struct
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from worker.imaging.containers import jpeg, xmp
from worker.pixels.geometry import Size

_APP1, _APP2 = 0xE1, 0xE2
_XMP, _MPF, _ISO = b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0"

_MOST_BYTES = 65_533
"""Maximum size of the content of a segment (ITU-T T.81, B.1.1.4)."""

_MP_ENTRY_TAG = 0xB002

QUALITY = 90
"""Quality of the gain map in a result."""

_DIRECTORY = (
    '<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
    'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" hdrgm:Version="1.0">'
    "<Container:Directory><rdf:Seq>"
    '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
    '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" '
    'Item:Length="{length}"/></rdf:li></rdf:Seq></Container:Directory></rdf:Description>'
)


@dataclass(frozen=True)
class GainMap:
    """A gain map, and the segments of both JPEGs that say what it means."""

    image: Image.Image
    """In L or RGB, in the orientation in which it is stored, like the picture."""
    segments: tuple[bytes, ...]
    """Contents of the segments of the gain map: XMP with its parameters, or those of ISO 21496-1."""
    of_picture: tuple[bytes, ...]
    """Contents of the segments of ISO 21496-1 in the picture."""


def read_gain_map(data: bytes, most: Size) -> GainMap | None:
    """Return the gain map of a JPEG, or None if it is missing, damaged, or has more pixels than `most`."""
    try:
        second = _second_image(data)
        segments = tuple(
            content
            for marker, content in jpeg.segments(second)
            if (marker == _APP1 and content.startswith(_XMP) and b"hdrgm:GainMapMax" in content)
            or (marker == _APP2 and content.startswith(_ISO))
        )
        if not segments:
            return None
        file = Image.open(BytesIO(second), formats=["JPEG"])
        if file.width * file.height > most[0] * most[1]:
            return None
        image = file.copy() if file.mode == "L" else file.convert("RGB")
    except (OSError, SyntaxError, ValueError, struct.error, IndexError):
        return None
    image.info = {}
    of_picture = (part for marker, part in jpeg.segments(data) if marker == _APP2 and part.startswith(_ISO))
    return GainMap(image, segments, tuple(of_picture))


def _second_image(data: bytes) -> bytes:
    """Return the file from the start of the second image of its Multi-Picture index."""
    place = data.find(b"\xff\xe2", 2)
    while place >= 0 and data[place + 4 : place + 8] != _MPF:
        place = data.find(b"\xff\xe2", place + 2)
    if place < 0:
        return b""
    start = place + 8
    order = {b"II": "<", b"MM": ">"}.get(data[start : start + 2], "<")
    (directory,) = struct.unpack_from(f"{order}I", data, start + 4)
    (count,) = struct.unpack_from(f"{order}H", data, start + directory)
    for number in range(count):
        entry = start + directory + 2 + 12 * number
        tag, _, size, offset = struct.unpack_from(f"{order}HHII", data, entry)
        if tag == _MP_ENTRY_TAG and size >= 32:
            length, second = struct.unpack_from(f"{order}II", data, start + offset + 16 + 4)
            return data[start + second : start + second + length]
    return b""


def with_gain_map(picture: bytes, gain_map: GainMap) -> bytes:
    """Return an Ultra HDR JPEG of a plain JPEG and a gain map of the same part of the scene.

    Raises `ValueError` if the XMP data of the picture leave no room in their segment.
    """
    file = BytesIO()
    gain_map.image.save(file, "JPEG", quality=QUALITY)
    parts = [_segment(_APP1 if part.startswith(_XMP) else _APP2, part) for part in gain_map.segments]
    second = file.getvalue()[:2] + b"".join(parts) + file.getvalue()[2:]
    end, old_xmp = _application_segments(picture)
    added = b"".join(_segment(_APP2, part) for part in gain_map.of_picture)
    kept = picture[2:end]
    if any(part.startswith(_XMP) for part in gain_map.segments):
        packet = xmp.with_description(old_xmp, _DIRECTORY.format(length=len(second)))
        added = _segment(_APP1, _XMP + packet) + added
        kept = _without_xmp(kept)
    mpf_start = 2 + len(kept) + len(added) + 8  # after the marker, the length and the name
    index_bytes = 8 + 2 + 3 * 12 + 4 + 2 * 16
    size = mpf_start + index_bytes + len(picture) - end
    index = struct.pack("<2sHIH", b"II", 42, 8, 3)
    index += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHII", 0xB001, 4, 1, 2)
    index += struct.pack("<HHIII", _MP_ENTRY_TAG, 7, 32, 8 + 2 + 3 * 12 + 4, 0)
    index += struct.pack("<IIIHH", 0x030000, size, 0, 0, 0) + struct.pack(
        "<IIIHH", 0, len(second), size - mpf_start, 0, 0
    )
    return picture[:2] + kept + added + _segment(_APP2, _MPF + index) + picture[end:] + second


def _application_segments(data: bytes) -> tuple[int, bytes]:
    """Return where the APPn segments at the start of a JPEG end, and their XMP packet."""
    place, packet = 2, b""
    while data[place] == 0xFF and 0xE0 <= data[place + 1] <= 0xEF:
        (length,) = struct.unpack_from(">H", data, place + 2)
        content = data[place + 4 : place + 2 + length]
        if content.startswith(_XMP):
            packet = content[len(_XMP) :]
        place += 2 + length
    return place, packet


def _without_xmp(segments: bytes) -> bytes:
    kept, place = b"", 0
    while place < len(segments):
        (length,) = struct.unpack_from(">H", segments, place + 2)
        segment = segments[place : place + 2 + length]
        kept += b"" if segment[4:].startswith(_XMP) else segment
        place += 2 + length
    return kept


def _segment(marker: int, content: bytes) -> bytes:
    if len(content) > _MOST_BYTES:
        raise ValueError("a segment is too large")
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
