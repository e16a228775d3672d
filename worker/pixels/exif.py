"""Exif: what a camera wrote of its picture, read no further than is asked.

Pillow decodes every entry of the Exif directory at once: 0.3 s and 25 MB for each megabyte of rationals that somebody
put there. Here an entry is looked at when it is asked for, and of it the first number or some characters.
"""

import math
import struct
from collections.abc import Callable
from datetime import datetime
from typing import IO, Any

from PIL import ExifTags, Image

Tag = ExifTags.Base

Fact = str | int | float

MAX_CHARACTERS = 200
"""How long a text may be; what is longer ends in dots."""

MAX_BYTES = MAX_CHARACTERS * 4
"""How much of a text is read."""

LAYOUTS = {1: "s", 2: "s", 3: "H", 4: "L", 5: "LL", 7: "s", 9: "l", 10: "ll", 11: "f", 12: "d", 13: "L"}
"""Type of an entry -> how one of its values is packed (TIFF 6.0, section 2); those of s are read together."""


def camera_facts(exif: Image.Exif) -> dict[str, Fact]:
    """Return those of `FACTS` that are there and make sense."""
    entries = _entries(exif)
    facts = {name: read(entries[tag]) for name, (tag, read) in FACTS.items() if tag in entries}
    return {name: fact for name, fact in facts.items() if fact is not None}


def has_gps(exif: Image.Exif) -> bool:
    """Whether there is a GPS directory, readable or not."""
    return ExifTags.IFD.GPSInfo in exif


def clean_text(text: str) -> str | None:
    """Return a text from a file fit for people and JSON: one line, bounded, and None when nothing is left."""
    text = " ".join("".join(char if char.isprintable() else " " for char in text[:MAX_BYTES]).split())
    return (text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 3] + "...") or None


def _entries(exif: Image.Exif) -> dict[int, Any]:
    """Return the entries of the main and the Exif directory that can be read: bytes, an int, a float or a pair."""
    stream: IO[bytes] | None = getattr(exif, "fp", None)  # there when Pillow read it from a file
    entries: dict[int, Any] = {}
    try:
        if stream is not None:
            stream.seek(0)
            order = {b"II*\0": "<", b"MM\0*": ">"}[stream.read(4)]  # BigTIFF is laid out differently
            entries |= _directory(stream, order, *struct.unpack(f"{order}L", stream.read(4)))
            if isinstance(start := entries.get(ExifTags.IFD.Exif), int):
                entries |= _directory(stream, order, start)
    except (KeyError, struct.error, OSError, ValueError):  # ValueError: the file is closed
        pass
    return entries


def _directory(stream: IO[bytes], order: str, start: int) -> dict[int, Any]:
    stream.seek(start)
    (count,) = struct.unpack(f"{order}H", stream.read(2))
    table = stream.read(count * 12)
    entries: dict[int, Any] = {}
    for tag, kind, number, field in struct.iter_unpack(f"{order}HHL4s", table[: len(table) // 12 * 12]):
        if tag in WANTED and tag not in entries and kind in LAYOUTS and number:
            is_text = LAYOUTS[kind] == "s"
            layout = order + (f"{min(number, MAX_BYTES)}s" if is_text else LAYOUTS[kind])
            needed = struct.calcsize(layout)
            if (number if is_text else needed * number) > 4:
                stream.seek(*struct.unpack(f"{order}L", field))
                field = stream.read(needed)  # noqa: PLW2901 - the four bytes held its place
            if len(field) >= needed:
                first, *rest = struct.unpack_from(layout, field)
                entries[tag] = (first, *rest) if rest else first
    return entries


def _text(value: Any) -> str | None:
    if not isinstance(value, bytes):
        return None
    value = value.split(b"\0", 1)[0]
    # The standard says ASCII; what goes beyond it is UTF-8 mostly, and perhaps cut in the middle of a character.
    is_cut = len(value) == MAX_BYTES
    try:
        text = value.decode(errors="ignore" if is_cut else "strict")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return clean_text(text)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _number(value: Any) -> float | None:
    """Read a number greater than zero, of six digits; zero stands for unknown in all that is asked for."""
    numerator, denominator = value if isinstance(value, tuple) else (value, 1)
    if not isinstance(numerator, int | float) or not denominator:
        return None
    number = numerator / denominator
    return float(f"{number:.6g}") if math.isfinite(number) and number > 0 else None


def _time(value: Any) -> str | None:
    """Bring "2024:05:06 07:08:09" to ISO 8601, without a zone: cameras seldom tell theirs."""
    try:
        return datetime.strptime(_text(value) or "", "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None


FACTS: dict[str, tuple[int, Callable[[Any], Fact | None]]] = {
    "make": (Tag.Make, _text),
    "model": (Tag.Model, _text),
    "lens": (Tag.LensModel, _text),
    "software": (Tag.Software, _text),
    "orientation": (Tag.Orientation, _whole),
    "datetime_original": (Tag.DateTimeOriginal, _time),
    "exposure_time": (Tag.ExposureTime, _number),
    "f_number": (Tag.FNumber, _number),
    "iso": (Tag.ISOSpeedRatings, _whole),
    "focal_length": (Tag.FocalLength, _number),
    "artist": (Tag.Artist, _text),
    "copyright": (Tag.Copyright, _text),
}
"""Name -> its entry and how to read that."""

WANTED = {ExifTags.IFD.Exif, *(tag for tag, _ in FACTS.values())}
