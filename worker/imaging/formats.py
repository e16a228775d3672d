"""The input and output formats: names, signatures and limits, and the timing of animations."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec

ALIASES = {"jpg": "jpeg", "tif": "tiff", "jpeg2000": "jp2", "jpegxl": "jxl", "heif": "heic"}
"""Usual names of formats -> ours."""


class OutputFormat(Enum):
    """An output format: its name, file extension, maximum side and options.

    `options` are the fields of `worker.imaging.plan.Output` that not all formats have.
    """

    JPEG = "jpeg", "jpg", 65_500, 80, False, {"quality", "progressive", "subsampling", "metadata", "dpi", "hdr"}
    PNG = "png", "png", 2**31 - 1, None, True, {"effort", "metadata", "dpi"}
    WEBP = "webp", "webp", 16_383, 80, True, {"quality", "lossless", "effort", "metadata"}
    # libavif writes longer sides, but cannot read more than 32,768.
    AVIF = "avif", "avif", 32_768, 65, True, {"quality", "effort", "subsampling", "metadata"}
    GIF = "gif", "gif", 65_535, None, True, set[str]()
    TIFF = "tiff", "tif", 2**31 - 1, None, False, {"metadata", "dpi"}
    # Lossless: at a given PSNR, OpenJPEG ruins flat areas and alpha.
    JPEG2000 = "jp2", "jp2", 2**31 - 1, None, False, set[str]()
    JXL = "jxl", "jxl", 2**30, 80, False, {"quality", "lossless", "effort", "metadata"}

    extension: str
    max_side: int
    """Maximum width and height in pixels."""
    default_quality: int | None
    """Default quality; None if the format has none."""
    is_animated: bool
    """Whether the format supports animations; the pages of a TIFF are not an animation."""
    options: frozenset[str]

    def __new__(  # noqa: PLR0913 - a row of the table
        cls, name: str, extension: str, max_side: int, default_quality: int | None, is_animated: bool, options: set[str]
    ) -> "OutputFormat":
        member = object.__new__(cls)
        member._value_ = name
        member.extension = extension
        member.max_side = max_side
        member.default_quality = default_quality
        member.is_animated = is_animated
        member.options = frozenset(options)
        return member

    @property
    def media_type(self) -> str:
        return media_type_of(self.value)

    @property
    def pillow_name(self) -> str:
        return "JPEG2000" if self is OutputFormat.JPEG2000 else str(self.value).upper()


WITHOUT_PROFILES = {OutputFormat.GIF, OutputFormat.JPEG2000, OutputFormat.JXL}
"""Formats that are written without an ICC profile: their images are sRGB. JPEG XL and JPEG 2000 could hold one, but
Pillow and its plugin do not write it."""


def media_type_of(format_name: str) -> str:
    """Return the media type of a result in an output format, or in JSON."""
    return "application/json" if format_name == "json" else f"image/{format_name}"


class InputFormat(Enum):
    """An input format: its name, Pillow's name, its signature, and the default format of results."""

    # MPO files of phones are JPEGs with further images after the first.
    JPEG = "jpeg", "JPEG", rb"\xff\xd8\xff", OutputFormat.JPEG
    PNG = "png", "PNG", rb"\x89PNG\r\n\x1a\n", OutputFormat.PNG
    WEBP = "webp", "WEBP", rb"RIFF....WEBP", OutputFormat.WEBP
    # ISO/IEC 23008-12: a `ftyp` box whose major or a compatible brand is avif (still) or avis (sequence).
    AVIF = "avif", "AVIF", rb"....ftyp(?:....){0,12}?avi[fs]", OutputFormat.AVIF
    GIF = "gif", "GIF", rb"GIF8[79]a", OutputFormat.GIF
    TIFF = "tiff", "TIFF", rb"II[*+]\0|MM\0[*+]", OutputFormat.TIFF
    # Two bytes also occur in text: the size of a known header must follow.
    BMP = "bmp", "BMP", rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", OutputFormat.PNG
    ICO = "ico", "ICO", rb"\x00\x00\x01\x00[^\x00]\x00", OutputFormat.PNG
    HEIC = "heic", "HEIF", rb"....ftyp(?:....){0,12}?he(?:ic|ix|im|is|vc|vx)", OutputFormat.JPEG
    # A JP2 file, or a codestream alone.
    JPEG2000 = "jp2", "JPEG2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", OutputFormat.JPEG2000
    JXL = "jxl", "JXL", rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a", OutputFormat.JXL

    pillow_name: str
    mark: re.Pattern[bytes]
    default_output: OutputFormat
    """The output format of `format=keep`."""

    def __new__(cls, name: str, pillow_name: str, mark: bytes, default_output: OutputFormat) -> "InputFormat":
        member = object.__new__(cls)
        member._value_ = name
        member.pillow_name = pillow_name
        member.mark = re.compile(mark, re.DOTALL)
        member.default_output = default_output
        return member


_PACKAGES = {"heic": ("pillow_heif", "heif"), "jxl": ("pillow_jxl", "jxl")}
"""Format -> the module that Pillow needs for it, and the extra of this project that installs it."""


def missing_extra(name: str) -> str | None:
    """Return the name of the extra that must be installed to read and write a format, or None."""
    module, extra = _PACKAGES.get(name, (None, None))
    return None if module is None or find_spec(module) is not None else extra


READABLE = tuple(known for known in InputFormat if missing_extra(known.value) is None)
WRITABLE = tuple(known for known in OutputFormat if missing_extra(known.value) is None)
"""The formats whose packages are installed."""

ANIMATED = {InputFormat.PNG, InputFormat.WEBP, InputFormat.AVIF, InputFormat.GIF}
"""Formats whose frames are an animation; those of TIFF and of multi-picture JPEGs are separate images."""


def sniff(head: bytes, allowed: Collection[InputFormat] = tuple(InputFormat)) -> InputFormat | None:
    """Detect the format by the first bytes of a file; return None if it is not one of `allowed`."""
    return next((known for known in InputFormat if known in allowed and known.mark.match(head)), None)


_UNREAD = {
    "a Photoshop document (PSD)": rb"8BPS",
    "SVG": rb"(?:\xef\xbb\xbf)?\s{0,64}(?:<\?xml[^>]{0,200}>\s{0,64})?(?i:<!doctype\s{1,64}svg|<svg)\b",
    "a PDF document": rb"%PDF-",
    "PostScript": rb"%!PS",
    "a raw file of a camera": rb"FUJIFILMCCD-RAW|FOVb|....ftypcrx |II(?:RO|U\0)",
    "a video": rb"\x1a\x45\xdf\xa3|....ftyp(?:isom|iso[2-9]|mp4[12]|M4V |qt  |avc1|3gp)|RIFF....AVI ",
    "an icon of macOS (ICNS)": rb"icns",
    "a ZIP archive": rb"PK\x03\x04",
    "a web page": rb"(?i:\s{0,64}<(?:!doctype html|html))",
}
"""Formats that are recognized but not read, and how their files begin."""

_UNREAD_MARKS = {name: re.compile(mark, re.DOTALL) for name, mark in _UNREAD.items()}


def describe_unread(head: bytes) -> str:
    """Say what a file is that is in none of the accepted formats, or return an empty string if that is not known."""
    known = sniff(head)
    if known is not None:
        return f"{known.name}, which this server reads only if INPUT_FORMATS contains {known.value}"
    return next((name for name, mark in _UNREAD_MARKS.items() if mark.match(head)), "")


class UnreadFormat(Exception):
    """A file is in none of the accepted formats; `what` says what it is, if that is known."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True)
class Timing:
    """Durations of the frames in milliseconds, and number of loops (0 for infinite)."""

    durations_ms: tuple[float, ...]
    loops: int
