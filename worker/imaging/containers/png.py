"""Check the chunks of a PNG, leave out faulty ones that the picture does not need, and read Apple's CgBI variant."""

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import reduce
from io import BytesIO

from PIL import Image, ImageChops

from worker.errors import DamagedPicture
from worker.pixels.geometry import Size
from worker.pixels.profiles import MAX_PROFILE_BYTES

MARK = b"\x89PNG\r\n\x1a\n"

_HEADER_END = len(MARK) + 25

_PIXELS = (b"IDAT", b"fdAT")
"""The chunks whose checksums Pillow does not verify."""

_OF_THE_PICTURE = (b"tRNS", b"acTL", b"fcTL", b"fdAT")
"""Ancillary chunks without which the picture would be another one: a fault in them is damage."""

_LENGTHS = {
    b"acTL": 8, b"cHRM": 32, b"cICP": 4, b"fcTL": 26, b"gAMA": 4, b"pHYs": 9, b"sRGB": 1, b"tIME": 7,
}  # fmt: skip
"""Lengths of data (PNG, third edition, 11.3)."""

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")

_METADATA = (b"eXIf", *_TEXTS)

_USED_TEXTS = (b"XML:com.adobe.xmp", b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp")
"""Keywords of texts that contain Exif or XMP data; the others are ignored."""

MAX_TEXT_BYTES = 1024 * 1024
"""Maximum size of an inflated text; Pillow has the same limit."""


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each complete chunk up to IEND, and the start and end of its data."""
    start = len(MARK) + 8
    while start <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start - 8)
        if kind == b"IEND" or start + length + 4 > len(data):
            return
        yield kind, start, start + length
        start += length + 12


def chunks_before_pixels(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and the data of each chunk before the pixels."""
    for kind, start, end in chunks(data):
        if kind == b"IDAT":
            return
        yield kind, data[start:end]


def check_pixel_chunks(data: bytes) -> None:
    """Raise `DamagedPicture` if the pixel data of a PNG does not match its checksums (PNG, third edition, 5.3).

    zlib's checksum is not sufficient, because Pillow stops at the last row, before it.
    """
    if not all(_is_intact(data, start, end) for kind, start, end in chunks(data) if kind in _PIXELS):
        raise DamagedPicture


def without_faulty_chunks(data: bytes, *, keeps_damaged: bool = False) -> bytes:
    """Return a PNG, or the start of one, without ancillary chunks that Pillow would fail on.

    These are chunks with a wrong checksum or length, and texts and color profiles that are damaged or too large when
    they are inflated. Texts without Exif or XMP data are left out as well. Exif and XMP data are moved before the
    pixels, so that reading them does not decode. Raises `DamagedPicture` if a chunk is faulty that the picture needs,
    unless `keeps_damaged`.
    """
    before: list[bytes] = []
    after: list[bytes] = []
    late: list[bytes] = []
    seen: set[bytes] = set()
    kept, rest = before, 0
    for kind, start, end in chunks(data):
        if kind == b"IDAT" and kept is before:
            before.append(data[rest : start - 8])
            kept, rest = after, start - 8
        if not kind[0] & 0x20:
            continue
        if _is_usable(data, kind, start, end, seen):
            if kept is before or kind not in _METADATA:
                continue
            late.append(data[start - 8 : end + 4])
        elif kind in _OF_THE_PICTURE and not keeps_damaged:
            raise DamagedPicture
        kept.append(data[rest : start - 8])
        rest = end + 4
    return b"".join((*before, *late, *after, data[rest:]))


def _is_usable(data: bytes, kind: bytes, start: int, end: int, seen: set[bytes]) -> bool:
    if kind == b"fdAT":  # its checksum is verified after decoding
        return True
    is_valid = end - start == _LENGTHS.get(kind, end - start) and _is_intact(data, start, end)
    if not is_valid:
        return False
    if kind == b"iCCP":
        name = data[start : start + 80].partition(b"\0")[0]
        is_first = kind not in seen
        seen.add(kind)
        return is_first and _inflates(data[start + len(name) + 2 : end], MAX_PROFILE_BYTES)
    if kind in _TEXTS:
        keyword, _, content = data[start:end].partition(b"\0")
        is_first = keyword not in seen
        seen.add(keyword)
        return keyword in _USED_TEXTS and is_first and _is_readable_text(kind, content)
    return True


def _is_readable_text(kind: bytes, content: bytes) -> bool:
    """Return whether the text after its keyword is well-formed, and not too large (PNG, third edition, 11.3.3)."""
    if kind == b"zTXt":
        return _inflates(content[1:], MAX_TEXT_BYTES)
    if kind == b"iTXt":
        _, _, text = content[2:].partition(b"\0")  # the language
        _, mark, text = text.partition(b"\0")  # the translated keyword
        if not mark:
            return False
        return _inflates(text, MAX_TEXT_BYTES) if content[:1] == b"\1" else len(text) <= MAX_TEXT_BYTES
    return len(content) <= MAX_TEXT_BYTES


def _inflates(data: bytes, max_bytes: int) -> bool:
    """Return whether zlib can inflate the data to at most `max_bytes`."""
    decompressor = zlib.decompressobj()
    try:
        size = len(decompressor.decompress(data, max_bytes + 1))
    except zlib.error:
        return False
    return size <= max_bytes and decompressor.eof


def _is_intact(data: bytes, start: int, end: int) -> bool:
    return bool(zlib.crc32(memoryview(data)[start - 4 : end]) == struct.unpack_from(">I", data, end)[0])


def is_cgbi(data: bytes) -> bool:
    """Return whether this is Apple's variant of PNG, as Xcode writes it for iOS: it begins with a CgBI chunk."""
    return data[12:16] == b"CgBI"


def from_cgbi(data: bytes, check: Callable[[Size], None]) -> bytes:
    """Convert Apple's variant to a PNG: raw deflate without zlib's header and checksum, and premultiplied BGRA.

    The size is passed to `check`, which may raise, before pixels are inflated. Raises `DamagedPicture`.
    """
    header = next((data[start:end] for kind, start, end in chunks(data) if kind == b"IHDR" and end - start == 13), None)
    if header is None:
        raise DamagedPicture
    width, height = struct.unpack_from(">II", header)
    check((width, height))
    packed = b"".join(data[start:end] for kind, start, end in chunks(data) if kind == b"IDAT")
    most = 8 * width * height + 8 * height + 64  # 16-bit RGBA, and a byte for the filter of each row of Adam7
    try:
        rows = zlib.decompressobj(-15).decompress(packed, most)
    except zlib.error as exc:
        raise DamagedPicture from exc
    others = b"".join(
        data[start - 8 : end + 4]
        for kind, start, end in chunks(data[: data.index(b"IDAT")] if packed else b"")
        if kind not in (b"CgBI", b"IHDR")
    )
    plain = MARK + _chunk(b"IHDR", header) + others + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")
    picture = _decoded(plain)
    if picture.mode not in ("RGB", "RGBA"):
        return plain
    blue, green, red, *alpha = picture.split()
    swapped = Image.merge("RGBa" if alpha else "RGB", [red, green, blue, *alpha])
    return _with_pixels(plain, swapped.convert("RGBA") if alpha else swapped)


def with_key_in_8_bits(data: bytes, check: Callable[[Size], None]) -> bytes:
    """Return a PNG whose transparent color (tRNS) Pillow can use: at the depth to which it decodes the pixels.

    Gray of 2 or 4 bits is scaled. RGB of 16 bits, which Pillow decodes to 8, is compared here and gets an alpha
    channel. The size is passed to `check` before. Raises `DamagedPicture`.
    """
    if len(data) < _HEADER_END:
        return data
    width, height, bits, color = struct.unpack_from(">IIBB", data, len(MARK) + 8)
    key = next(((start, end) for kind, start, end in chunks(data) if kind == b"tRNS"), None)
    if key is None or (bits, color) not in ((2, 0), (4, 0), (16, 2)):
        return data
    start, end = key
    if end - start != (2 if color == 0 else 6):
        raise DamagedPicture
    if color == 0:
        gray = struct.unpack_from(">H", data, start)[0] * 255 // (2**bits - 1)
        return data[: start - 8] + _chunk(b"tRNS", struct.pack(">H", gray & 0xFFFF)) + data[end + 4 :]
    check((width, height))
    opaque = data[: start - 8] + data[end + 4 :]
    high, low = _decoded(opaque), _decoded(opaque, "RGB;16L")  # of big-endian samples, that is their low byte
    differences = (
        ImageChops.difference(image, Image.new("RGB", image.size, tuple(data[start + first : end : 2])))
        for image, first in ((high, 0), (low, 1))
    )
    others = (band for difference in differences for band in difference.split())
    high.putalpha(reduce(ImageChops.lighter, others).point([0] + [255] * 255))
    return _with_pixels(opaque, high)


def _decoded(data: bytes, raw_mode: str | None = None) -> Image.Image:
    picture = Image.open(BytesIO(data), formats=["PNG"])
    if raw_mode is not None:
        picture.tile = [tile._replace(args=raw_mode) for tile in picture.tile]
    try:
        picture.load()
    except (OSError, SyntaxError) as exc:
        raise DamagedPicture from exc
    return picture


def _with_pixels(data: bytes, picture: Image.Image) -> bytes:
    """Return a PNG with other pixels and the chunks before those of `data`."""
    file = BytesIO()
    picture.info = {}
    picture.save(file, "PNG", compress_level=1)
    saved = file.getvalue()
    return saved[:_HEADER_END] + data[_HEADER_END : data.index(b"IDAT") - 4] + saved[_HEADER_END:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
