"""The image formats that come in and go out: their names, marks and limits, in two tables."""

import re
from collections.abc import Collection
from enum import Enum


class OutputFormat(Enum):
    """A format that results may have: its name, its files' extension, its largest side, its options.

    `options` are those fields of `worker.imaging.plan.Output` that not every format has.
    """

    JPEG = "jpeg", "jpg", 65_500, 80, False, {"quality", "progressive", "metadata"}
    PNG = "png", "png", 2**31 - 1, None, True, {"effort", "metadata"}
    WEBP = "webp", "webp", 16_383, 80, True, {"quality", "lossless", "effort", "metadata"}
    # libavif writes longer sides, but reads none over 32,768.
    AVIF = "avif", "avif", 32_768, 65, True, {"quality", "effort", "metadata"}
    GIF = "gif", "gif", 65_535, None, True, set[str]()
    TIFF = "tiff", "tif", 2**31 - 1, None, False, {"metadata"}

    extension: str
    max_side: int
    """Largest width or height in pixels that the encoder takes."""
    default_quality: int | None
    """None where the format has no quality."""
    is_animated: bool
    """Whether it can hold an animation; TIFF's pages are none."""
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
        return f"image/{self.value}"

    @property
    def pillow_name(self) -> str:
        return str(self.value).upper()


class InputFormat(Enum):
    """A format that is read: its name, Pillow's, its first bytes, and the format of results when none is asked for."""

    # Phones' MPO files are JPEGs with more pictures behind the first.
    JPEG = "jpeg", "JPEG", rb"\xff\xd8\xff", OutputFormat.JPEG
    PNG = "png", "PNG", rb"\x89PNG\r\n\x1a\n", OutputFormat.PNG
    WEBP = "webp", "WEBP", rb"RIFF....WEBP", OutputFormat.WEBP
    # ISO/IEC 23008-12: a `ftyp` box whose major or a compatible brand is avif (still) or avis (sequence).
    AVIF = "avif", "AVIF", rb"....ftyp(?:....){0,12}?avi[fs]", OutputFormat.AVIF
    GIF = "gif", "GIF", rb"GIF8[79]a", OutputFormat.GIF
    TIFF = "tiff", "TIFF", rb"II[*+]\0|MM\0[*+]", OutputFormat.TIFF
    # Two bytes are common in text: the size of one of the known headers must follow.
    BMP = "bmp", "BMP", rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", OutputFormat.PNG
    ICO = "ico", "ICO", rb"\x00\x00\x01\x00[^\x00]\x00", OutputFormat.PNG
    HEIC = "heic", "HEIF", rb"....ftyp(?:....){0,12}?he(?:ic|ix|im|is|vc|vx)", OutputFormat.JPEG

    pillow_name: str
    mark: re.Pattern[bytes]
    default_output: OutputFormat
    """What `format=keep` gives: itself where it is written too."""

    def __new__(cls, name: str, pillow_name: str, mark: bytes, default_output: OutputFormat) -> "InputFormat":
        member = object.__new__(cls)
        member._value_ = name
        member.pillow_name = pillow_name
        member.mark = re.compile(mark, re.DOTALL)
        member.default_output = default_output
        return member


def sniff(head: bytes, allowed: Collection[InputFormat] = tuple(InputFormat)) -> InputFormat | None:
    """Return the format by the first bytes of a file, or None if it is not one of `allowed`."""
    return next((known for known in InputFormat if known in allowed and known.mark.match(head)), None)
