"""Exif and XMP: what of them goes with a result."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from worker.errors import PictureError
from worker.imaging.formats import OutputFormat
from worker.imaging.plan import Output

Tag = ExifTags.Base

COPYRIGHT = (Tag.Artist, Tag.Copyright)

DESCRIPTIVE = (
    *COPYRIGHT, Tag.ImageDescription, Tag.Make, Tag.Model, Tag.Software, Tag.DateTime, Tag.HostComputer, Tag.XPTitle,
    Tag.XPComment, Tag.XPAuthor, Tag.XPKeywords, Tag.XPSubject, Tag.Rating,
)  # fmt: skip
"""What the main directory says of the picture; the rest says how its pixels lay in its file, which is no longer so."""

MAX_EXIF_BYTES = 1024 * 1024
"""Cameras write some 20 KB and JPEG holds 64; Pillow takes 0.3 s to read a megabyte of numbers."""

MAX_JPEG_BYTES = {"exif": 65_533, "xmp": 65_504}
"""What one segment of a JPEG holds of each (ITU-T T.81, B.1.1.4; XMP with its mark before it)."""

DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
"""What is kept beside the main directory."""

STALE = (Tag.ExifImageWidth, Tag.ExifImageHeight, Tag.MakerNote, ExifTags.IFD.Interop)
"""What the Exif directory says of the old file; a maker's note holds offsets into it, often a preview too."""

STALE_XMP = re.compile(
    rb"""tiff:Orientation=["']\d["']|<tiff:Orientation>\d</tiff:Orientation>"""
    rb"|<(xmp|xap):Thumbnails\b.*?(?:</\1:Thumbnails>|\Z)",  # without the last, a file of beginnings would take hours
    re.DOTALL,
)
"""The same in XMP: how the picture lay, and how it looked."""


def metadata_options(
    exif: Image.Exif | None, info: Mapping[Any, Any], output: Output, target: OutputFormat
) -> dict[str, Any]:
    """Return Pillow's options for saving in the format `target` with the Exif and XMP data that are to stay.

    Without `exif`, `info` has them, as Pillow found them in the file.
    For TIFF, `exif` is what `worker.imaging.tiff` writes. Without thumbnails, which stand in a directory of their
    own and would show the picture as it was. Raises `PictureError` when the data cannot be written again.
    """
    if output.metadata == "strip":
        return {}
    if len(info.get("exif") or b"") > MAX_EXIF_BYTES:
        raise PictureError(f"the Exif data has more than {MAX_EXIF_BYTES:,} bytes and cannot be kept")
    try:
        exif = _read(info) if exif is None else exif
        is_whole = output.metadata == "keep"
        chosen, xmp = (_description(exif, output), _xmp(info)) if is_whole else (_pick(exif, COPYRIGHT), b"")
        if xmp and target is OutputFormat.TIFF:
            chosen[Tag.XMLPacket] = xmp
        written = chosen.tobytes() if len(chosen) else b""
    except Exception as exc:  # whatever a damaged directory makes Pillow raise
        raise PictureError("the Exif data is damaged and cannot be kept; leave metadata at strip") from exc
    if target is OutputFormat.TIFF:
        return {"exif": chosen} if written else {}
    options: dict[str, Any] = {"exif": written} if written else {}
    if xmp and target is OutputFormat.PNG:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    elif xmp:
        options["xmp"] = xmp
    if target is OutputFormat.JPEG:
        _check_jpeg(options)
    return options


def _check_jpeg(options: Mapping[str, Any]) -> None:
    for name, most in MAX_JPEG_BYTES.items():
        if len(options.get(name, b"")) > most:
            raise PictureError(
                f"the {name} data has {len(options[name]):,} bytes; jpeg holds at most {most:,}; "
                "leave metadata at strip, or choose another format"
            )


def _read(info: Mapping[Any, Any]) -> Image.Exif:
    """Read Exif data, or raise; the picture itself may have swallowed what is wrong with them when it was opened."""
    carrier = Image.Image()
    carrier.info = dict(info)
    return carrier.getexif()


def _pick(exif: Image.Exif, tags: Sequence[int]) -> Image.Exif:
    chosen = Image.Exif()
    for tag in tags:
        if tag in exif:
            chosen[tag] = _as_written(exif[tag])
    return chosen


def _as_written(value: Any) -> Any:
    """Return a text with more than ASCII, which Pillow reads as Latin-1 and would not write, as the bytes it was."""
    return value.encode("latin-1") if isinstance(value, str) and not value.isascii() else value


def _description(exif: Image.Exif, output: Output) -> Image.Exif:
    chosen = _pick(exif, DESCRIPTIVE)
    stale = {*STALE, Tag.ColorSpace} if output.colorspace == "srgb" else STALE
    for directory in DIRECTORIES:
        entries = {tag: _as_written(value) for tag, value in exif.get_ifd(directory).items() if tag not in stale}
        if entries:
            chosen[directory] = entries
    return chosen


def _xmp(info: Mapping[Any, Any]) -> bytes:
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    return STALE_XMP.sub(b"", xmp.encode() if isinstance(xmp, str) else xmp)
