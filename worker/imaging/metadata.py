"""Select the Exif, XMP and IPTC data of a result."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from worker.errors import MetadataNotKept
from worker.imaging.containers import xmp as xmp_packets
from worker.imaging.containers.c2pa import has_manifest
from worker.imaging.formats import WITHOUT_PROFILES, InputFormat, OutputFormat
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

MAX_DPI = 65_535
"""Maximum resolution in a JPEG (JFIF 1.02)."""

DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
"""The directories that are kept besides the main one."""

STALE = (Tag.ExifImageWidth, Tag.ExifImageHeight, Tag.MakerNote, ExifTags.IFD.Interop)
"""Tags of the Exif directory about the old file; a maker note has offsets into it, and often a preview."""


def metadata_options(
    exif: Image.Exif | None, info: Mapping[Any, Any], output: Output, target: OutputFormat
) -> dict[str, Any]:
    """Return options of `Image.save` with the Exif, XMP and IPTC data and the resolution in the format `target`.

    The data are those of `exif`, for a TIFF, or else of `info`. Thumbnails are removed, because they show the original
    image. Raises `MetadataNotKept` if the data cannot be written.
    """
    return _resolution(info, output, target) | _kept(exif, info, output, target)


def _resolution(info: Mapping[Any, Any], output: Output, target: OutputFormat) -> dict[str, Any]:
    if "dpi" not in target.options:
        return {}
    if output.dpi is not None:
        return {"dpi": (output.dpi, output.dpi)}
    try:
        x, y = map(float, info["dpi"])
    except (KeyError, TypeError, ValueError):
        return {}
    is_kept = output.metadata == "keep" and 1 <= x <= MAX_DPI and 1 <= y <= MAX_DPI
    return {"dpi": (x, y)} if is_kept else {}


def _kept(exif: Image.Exif | None, info: Mapping[Any, Any], output: Output, target: OutputFormat) -> dict[str, Any]:
    if output.metadata == "none" or "metadata" not in target.options:
        return {}
    uri = xmp_packets.digital_source_type(xmp_packets.packet_of(info))
    if output.metadata == "strip":
        # That an image was made by an AI must stay visible, by law in some countries.
        return _options(Image.Exif(), xmp_packets.packet_of_source_type(uri), target) if uri is not None else {}
    if len(info.get("exif") or b"") > MAX_EXIF_BYTES:
        raise MetadataNotKept(f"the Exif data has more than {MAX_EXIF_BYTES:,} bytes and cannot be kept")
    try:
        exif = _read(info) if exif is None else exif
        if output.metadata == "keep":
            options = _options(
                _description(exif, output, target), xmp_packets.without_stale(xmp_packets.packet_of(info)), target
            )
        else:
            options = _options(
                _pick(exif, COPYRIGHT),
                xmp_packets.packet_of_rights(xmp_packets.packet_of(info), _iptc(exif, info)),
                target,
            )
    except Exception as exc:  # a damaged directory may raise any error in Pillow
        raise MetadataNotKept("the Exif data is damaged and cannot be kept; leave metadata at strip") from exc
    if target is OutputFormat.JPEG:
        _check_jpeg(options)
        if output.metadata == "keep":
            options |= _iptc_segment(info)
    return options


def provenance_warnings(data: bytes, source: InputFormat, info: Mapping[Any, Any], target: OutputFormat) -> list[str]:
    """Return a warning for each statement on how an image was made that its result cannot keep."""
    warnings = []
    if has_manifest(data, source):
        warnings.append("the C2PA manifest (Content Credentials) is removed; it would not be valid for the result")
    if "metadata" in target.options:
        return warnings
    if xmp_packets.digital_source_type(xmp_packets.packet_of(info)) is not None:
        warnings.append(
            f"DigitalSourceType, which says how the image was made, is removed; {target.value} has no XMP data"
        )
    return warnings


def _options(exif: Image.Exif, xmp: bytes, target: OutputFormat) -> dict[str, Any]:
    if target is OutputFormat.TIFF:
        if xmp:
            exif[Tag.XMLPacket] = xmp
        return {"exif": exif} if len(exif) and exif.tobytes() else {}
    options: dict[str, Any] = {"exif": exif.tobytes()} if len(exif) else {}
    if xmp and target is OutputFormat.PNG:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    elif xmp:
        options["xmp"] = xmp
    return options


_IPTC_RESOURCE = 0x0404
"""Photoshop's image resource that contains IPTC data."""

_IPTC_TAG = 33723


def _iptc(exif: Image.Exif, info: Mapping[Any, Any]) -> dict[tuple[int, int], Any]:
    """Return the IPTC datasets of a JPEG or TIFF (IPTC-IIM 4.2, chapter 3)."""
    data = exif.get(_IPTC_TAG) or _resources(info).get(_IPTC_RESOURCE)
    return _datasets(data) if isinstance(data, bytes) else {}


def _resources(info: Mapping[Any, Any]) -> Mapping[int, Any]:
    resources = info.get("photoshop")
    return resources if isinstance(resources, dict) else {}


def _datasets(data: bytes) -> dict[tuple[int, int], Any]:
    found: dict[tuple[int, int], list[bytes]] = {}
    place = 0
    while place + 5 <= len(data) and data[place] == 0x1C:
        record, dataset, length = struct.unpack_from(">BBH", data, place + 1)
        if length >= 0x8000:  # extended datasets are not texts
            break
        found.setdefault((record, dataset), []).append(data[place + 5 : place + 5 + length])
        place += 5 + length
    return found


def _iptc_segment(info: Mapping[Any, Any]) -> dict[str, bytes]:
    """Return the option of `Image.save` that writes the IPTC data of a JPEG again."""
    data = _resources(info).get(_IPTC_RESOURCE)
    if not isinstance(data, bytes) or len(data) > MAX_JPEG_BYTES["exif"] - 64:
        return {}
    resource = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(data)) + data + bytes(len(data) % 2)
    content = b"Photoshop 3.0\0" + resource
    return {"extra": b"\xff\xed" + struct.pack(">H", len(content) + 2) + content}


def _check_jpeg(options: Mapping[str, Any]) -> None:
    for name, most in MAX_JPEG_BYTES.items():
        if len(options.get(name, b"")) > most:
            raise MetadataNotKept(
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


def _description(exif: Image.Exif, output: Output, target: OutputFormat) -> Image.Exif:
    chosen = _pick(exif, DESCRIPTIVE)
    is_converted = output.colorspace != "keep" or target in WITHOUT_PROFILES
    stale = {*STALE, Tag.ColorSpace} if is_converted else STALE
    for directory in DIRECTORIES:
        entries = {tag: _as_written(value) for tag, value in exif.get_ifd(directory).items() if tag not in stale}
        if entries:
            chosen[directory] = entries
    return chosen
