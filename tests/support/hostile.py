"""Files made to do harm, written by hand or by turning over what a good file says."""

import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any

import pillow_heif
from PIL import Image

from tests.support.animations import RAINBOW, animated, gif, gif_frame
from tests.support.pictures import Size, drawing, encoded
from tests.support.rendering import rendered
from tests.worker.imaging.test_formats import heic, icon, mpo
from worker.errors import PictureError
from worker.operations.base import Operation

Entry = tuple[int, int, int, int | bytes]
"""Tag, type, count, and the value or where it is."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: Size, *chunks: bytes, bits: int = 8, color: int = 0, pixels: bytes = b"\0\0") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, color, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(pixels, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + end


def directory(entries: Sequence[Entry], following: int = 0) -> bytes:
    table = b"".join(
        struct.pack("<HHI4s", tag, kind, count, value if isinstance(value, bytes) else struct.pack("<I", value))
        for tag, kind, count, value in sorted(entries, key=lambda entry: entry[0])
    )
    return struct.pack("<H", len(entries)) + table + struct.pack("<I", following)


def exif(entries: Sequence[Entry], following: int = 0, rest: bytes = b"") -> bytes:
    """Return Exif data; what comes after a directory of n entries is at 14 + 12 n."""
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory(entries, following) + rest


def tiff(size: Size, *entries: Entry, following: int = 0, rest: bytes = bytes(64)) -> bytes:
    """Return a grey TIFF; `entries` come before or in place of those of one strip, raw, at the file's beginning."""
    width, height = size
    usual = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: height, 279: width * height}
    given = {entry[0] for entry in entries}
    if given & {322, 324}:
        given |= {273, 278, 279}
    table = [*entries, *((tag, 4, 1, value) for tag, value in usual.items() if tag not in given)]
    return exif(table, following, rest)[6:]


def tiled(size: Size, tile: Size, data: bytes, compression: int = 8) -> bytes:
    parts = (322, tile[0]), (323, tile[1]), (324, 14 + 12 * 10), (325, len(data)), (259, compression)
    return tiff(size, *((tag, 4, 1, value) for tag, value in parts), rest=data)


def bmp(size: Size, runs: bytes) -> bytes:
    """Return a BMP of 8 bits in runs."""
    header = struct.pack("<IiiHHIIiiII", 40, *size, 1, 8, 1, len(runs), 0, 0, 256, 0) + bytes(4 * 256)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(runs), 0, 0, 14 + len(header)) + header + runs


def patched(data: bytes, old: bytes, new: bytes, count: int = -1) -> bytes:
    assert old in data
    return data.replace(old, new, count)


@cache
def good() -> dict[str, bytes]:
    """Return name -> a small good file, at least one of every format."""
    picture = drawing((64, 48))
    return {
        "jpeg": encoded(picture, "JPEG"),
        "jpeg progressive": encoded(picture, "JPEG", progressive=True),
        "jpeg mpo": mpo(),
        "png": encoded(picture, "PNG"),
        "apng": animated("PNG"),
        "webp": encoded(picture, "WEBP"),
        "webp animated": animated("WEBP"),
        "avif": encoded(picture, "AVIF"),
        "avif animated": animated("AVIF"),
        "gif": animated("GIF"),
        "tiff": encoded(picture, "TIFF"),
        "tiff deflate": encoded(picture, "TIFF", compression="tiff_adobe_deflate"),
        "bmp": encoded(picture, "BMP"),
        "ico png": icon((64, encoded(drawing((64, 64)), "PNG"))),
        "ico bmp": encoded(drawing((32, 32), "RGBA"), "ICO", sizes=[(32, 32)], bitmap_format="bmp"),
        "heic": heic(drawing((64, 64))),
        "jp2": encoded(picture, "JPEG2000"),
        "jp2 codestream": encoded(picture, "JPEG2000", no_jp2=True),
        "jxl": encoded(picture, "JXL"),
        "jxl container": encoded(picture, "JXL", use_container=True),
    }


def _overwritten(data: bytes, mark: bytes, offset: int, new: bytes) -> bytes:
    """Return `data` with `new` so many bytes behind the beginning of each `mark`."""
    assert mark in data
    head, *rest = data.split(mark)
    behind = offset - len(mark)
    return head + b"".join(mark + part[:behind] + new + part[behind + len(new) :] for part in rest)


def resized(name: str, size: Size) -> bytes:
    """Return a small file of a format that says that its picture has this size."""
    width, height = size
    data = good()[name]
    header = struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, 8, 1, 2, 0, 0, 1, 0)
    below = b"".join(((side - 1) % 2**24).to_bytes(3, "little") for side in size)
    # The size in full: not small, 30 bits for each side, no ratio, and defaults for the rest.
    bits = f"1{width - 1 & 2**30 - 1:030b}11000{height - 1 & 2**30 - 1:030b}110"
    jxl_header = b"\xff\x0a" + int(bits, 2).to_bytes(9, "little")
    jp2 = _overwritten(data, b"\xff\x4f\xff\x51", 8, struct.pack(">II", *size)) if "jp2" in name else b""
    makers: dict[str, Callable[[], bytes]] = {
        "jp2": lambda: _overwritten(jp2, b"ihdr", 4, struct.pack(">II", height, width)),
        "jp2 codestream": lambda: jp2,
        "jxl": lambda: jxl_header + data[12:],
        "jxl container": lambda: patched(data, data[data.index(b"\xff\x0a") :][:11], jxl_header),
        "jpeg": lambda: _overwritten(data, b"\xff\xc0\0\x11\x08", 5, struct.pack(">HH", height, width)),
        "jpeg mpo": lambda: _overwritten(data, b"\xff\xc0\0\x11\x08", 5, struct.pack(">HH", height, width)),
        "jpeg progressive": lambda: _overwritten(data, b"\xff\xc2\0\x11\x08", 5, struct.pack(">HH", height, width)),
        "png": lambda: png(size),
        "apng": lambda: patched(data, data[12:33], chunk(b"IHDR", struct.pack(">II", *size) + data[24:29])[4:]),
        "webp": lambda: _overwritten(data, b"\x9d\x01\x2a", 3, struct.pack("<HH", *size)),
        "webp animated": lambda: _overwritten(data, b"VP8X", 12, below),
        "avif": lambda: _overwritten(data, b"ispe", 8, struct.pack(">II", *size)),
        "avif animated": lambda: _overwritten(data, b"ispe", 8, struct.pack(">II", *size)),
        "heic": lambda: _overwritten(data, b"ispe", 8, struct.pack(">II", *size)),
        "gif": lambda: gif(size, [gif_frame((0, 0, *size), [1])], RAINBOW),
        "tiff": lambda: tiff(size),
        "tiff deflate": lambda: tiff(size, (259, 4, 1, 8)),
        "bmp": lambda: bmp(size, b"\0\1"),
        "ico png": lambda: icon((16, png(size))),
        "ico bmp": lambda: icon((16, header + bytes(4) + b"\0\1")),
    }
    return makers[name]()


@cache
def vast(name: str, side: int) -> bytes:
    """Return a small file of a black square."""
    black = Image.new("L", (side, side))
    made: dict[str, Callable[[], bytes]] = {
        "png": lambda: encoded(black.convert("1"), "PNG"),
        "png deep": lambda: png((side, side), bits=16, color=6, pixels=bytes((8 * side + 1) * side)),
        "gif": lambda: encoded(black, "GIF"),
        "tiff deflate": lambda: encoded(black, "TIFF", compression="tiff_adobe_deflate"),
        "bmp": lambda: bmp((side, side), b"\1\1\0\0" * side + b"\0\1"),
        "ico png": lambda: icon((16, encoded(black.convert("1"), "PNG"))),
        "heic": lambda: heic(black.convert("RGB")),
        "avif": lambda: encoded(black.convert("RGB"), "AVIF", quality=10, speed=10),
        "webp": lambda: encoded(black.convert("RGB"), "WEBP", method=0),
        "jxl": lambda: encoded(black, "JXL", effort=1),
        "jpeg": lambda: encoded(black.convert("RGB"), "JPEG"),
        "jpeg progressive": lambda: encoded(black.convert("RGB"), "JPEG", progressive=True),
    }
    return made[name]()


def scans(count: int, side: int) -> bytes:
    """Return a progressive JPEG whose last scan is repeated so often."""
    data = encoded(Image.new("L", (side, side)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


def overlapping_pages(count: int) -> bytes:
    """Return a TIFF whose directories lie in one another, each with thousands of entries."""
    start = 14 + 12 * 9
    entries = 5000
    pages = b"".join(struct.pack("<H", entries) + bytes(8) for _ in range(count))
    follow = bytearray(pages + bytes(12 * entries + 20))
    for number in range(count):
        at = 10 * number + 2 + 12 * entries
        follow[at : at + 4] = struct.pack("<I", start + 10 * (number + 1))
    return tiff((8, 8), following=start, rest=bytes(follow))


ORIENTATION, EXIF, GPS, INTEROP, COPYRIGHT, TITLE = 0x112, 0x8769, 0x8825, 0xA005, 0x8298, 0x9C9B

ABSURD_EXIF = {
    "64 KB of rationals": exif([(TITLE, 5, 7000, 38), (COPYRIGHT, 2, 4, b"abc\0")], rest=bytes(56_100)),
    "thousands of entries": exif([(tag, 5, 1, 8) for tag in range(5000)]),
    "a count of 4 thousand million": exif([(COPYRIGHT, 2, 2**32 - 1, 8)]),
    "an offset beyond the end": exif([(COPYRIGHT, 2, 100, 2**32 - 1)]),
    "a directory that is its own": exif([(EXIF, 4, 1, 8), (GPS, 4, 1, 8), (INTEROP, 4, 1, 8)], following=8),
    "a directory beyond the end": exif([(EXIF, 4, 1, 2**31), (GPS, 4, 1, 2**32 - 1)], following=2**32 - 1),
    "directories that are texts": exif([(EXIF, 2, 4, b"abc\0"), (GPS, 12, 1, 0)]),
    "negative directories": exif([(EXIF, 9, 1, 2**32 - 5), (GPS, 8, 2, b"\xff" * 4)]),
    "an author who is a number by zero": exif([(0x13B, 5, 1, 26)], rest=bytes(8)),
    "turned and self-referring": exif(
        [(ORIENTATION, 3, 1, 6), (EXIF, 4, 1, 8), (TITLE, 5, 7000, 38)], following=8, rest=bytes(60_000)
    ),
    "no more than a mark": b"Exif\0\0II*\0",
    "no TIFF": b"Exif\0\0" + b"\xff" * 400,
    "nothing": b"Exif\0\0",
    "a BigTIFF of 2^60 entries": b"Exif\0\0II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60),
}

ODD_ORIENTATIONS: dict[str, bytes] = {
    **{f"{value}": exif([(ORIENTATION, 3, 1, value)]) for value in (0, 9, 65_535)},
    "a text": exif([(ORIENTATION, 2, 4, b"six\0")]),
    "two": exif([(ORIENTATION, 3, 2, b"\6\0\7\0")]),
    "a fraction by zero": exif([(ORIENTATION, 5, 1, 26)], rest=struct.pack("<II", 6, 0)),
    "not a number": exif([(ORIENTATION, 11, 1, struct.pack("<f", float("nan")))]),
    "bytes": exif([(ORIENTATION, 7, 4, b"\6\6\6\6")]),
}


def with_metadata(name: str, exif_data: bytes = b"", profile: bytes | None = None) -> bytes:
    """Return a small file of a format with Exif data, no matter which, and an ICC profile."""
    picture = drawing((64, 48))
    if name == "heic":
        buffer = BytesIO()
        pillow_heif.from_pillow(picture).save(buffer, exif=exif_data or None, icc_profile=profile)
        return buffer.getvalue()
    if name == "avif" and exif_data:
        # Pillow would read it to write it: it takes the place of a text as long.
        exif_data = exif_data.ljust(64, b"\0")
        text = exif([(COPYRIGHT, 2, len(exif_data) - 32, 26)], rest=b"x" * (len(exif_data) - 32))
        return patched(encoded(picture, "AVIF", exif=text), text[6:], exif_data[6:])
    return encoded(picture, name.upper(), exif=exif_data[6:] if name == "png" else exif_data, icc_profile=profile)


LIMIT_S = 5.0
"""What no hostile file of this size may take, on a busy machine; a refusal takes milliseconds."""


@contextmanager
def in_time() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < LIMIT_S


def tried(data: bytes, *operations: Operation, **output: Any) -> str | None:
    """Return the sentence of a refusal, or None for a picture; anything else is an error."""
    sentence = None
    with in_time():
        try:
            rendered(data, *operations, **output)
        except PictureError as exc:
            sentence = str(exc)
    assert sentence is None or len(sentence) > 20
    return sentence
