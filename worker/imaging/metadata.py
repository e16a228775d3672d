"""Select the Exif and XMP data of a result."""

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
"""Tags of the main directory that are kept; the others describe the layout of the old file."""

MAX_EXIF_BYTES = 1024 * 1024
"""Maximum size of Exif data. Cameras write about 20 KB, JPEG allows 64; Pillow takes 0.3 s to parse 1 MB of numbers."""

MAX_JPEG_BYTES = {"exif": 65_533, "xmp": 65_504}
"""Maximum size in a JPEG segment (ITU-T T.81, B.1.1.4; for XMP without its signature)."""

DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
"""The directories that are kept besides the main one."""

STALE = (Tag.ExifImageWidth, Tag.ExifImageHeight, Tag.MakerNote, ExifTags.IFD.Interop)
"""Tags of the Exif directory about the old file; a maker note has offsets into it, and often a preview."""

STALE_XMP = re.compile(
    rb"""tiff:Orientation=["']\d["']|<tiff:Orientation>\d</tiff:Orientation>"""
    rb"|<(xmp|xap):Thumbnails\b.*?(?:</\1:Thumbnails>|\Z)",  # `|\Z`, or a file of opening tags takes hours
    re.DOTALL,
)
"""XMP properties about the old file: its orientation and thumbnails."""


def metadata_options(
    exif: Image.Exif | None, info: Mapping[Any, Any], output: Output, target: OutputFormat
) -> dict[str, Any]:
    """Return options of `Image.save` with the Exif and XMP data to keep in the format `target`.

    The data are those of `exif`, for a TIFF, or else of `info`. Thumbnails are removed, because they show the original
    image. Raises `PictureError` if the data cannot be written.
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
    except Exception as exc:  # a damaged directory may raise any error in Pillow
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
                f"the {name} data has {len(options[name]):,} bytes; jpeg allows at most {most:,}; "
                "leave metadata at strip, or choose another format"
            )


def _read(info: Mapping[Any, Any]) -> Image.Exif:
    """Parse Exif data again, because Pillow ignores errors in them when it opens an image."""
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
    """Convert non-ASCII text, which Pillow reads as Latin-1 and cannot write, back to bytes."""
    return value.encode("latin-1") if isinstance(value, str) and not value.isascii() else value


def _description(exif: Image.Exif, output: Output) -> Image.Exif:
    chosen = _pick(exif, DESCRIPTIVE)
    stale = {*STALE, Tag.ColorSpace} if output.colorspace != "keep" else STALE
    for directory in DIRECTORIES:
        entries = {tag: _as_written(value) for tag, value in exif.get_ifd(directory).items() if tag not in stale}
        if entries:
            chosen[directory] = entries
    return chosen


def _xmp(info: Mapping[Any, Any]) -> bytes:
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    return STALE_XMP.sub(b"", xmp.encode() if isinstance(xmp, str) else xmp)
