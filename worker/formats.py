"""The image formats that come in and go out: their names, marks and limits, in one table."""

import re
from enum import Enum


class ImageFormat(Enum):
    """A format: its name, its files' extension, its largest side, its quality when none is given, its first bytes."""

    JPEG = "jpeg", "jpg", 65_500, 80, rb"\xff\xd8\xff"
    PNG = "png", "png", 2**31 - 1, None, rb"\x89PNG\r\n\x1a\n"
    WEBP = "webp", "webp", 16_383, 80, rb"RIFF....WEBP"
    # ISO/IEC 23008-12: a `ftyp` box whose major or a compatible brand is avif (still) or avis (sequence).
    # libavif writes longer sides, but reads none over 32,768.
    AVIF = "avif", "avif", 32_768, 65, rb"....ftyp(?:....){0,12}?avi[fs]"

    extension: str
    max_side: int
    """Largest width or height in pixels that the encoder takes."""
    default_quality: int | None
    """None where the format has no quality."""
    mark: re.Pattern[bytes]

    def __new__(
        cls, name: str, extension: str, max_side: int, default_quality: int | None, mark: bytes
    ) -> "ImageFormat":
        member = object.__new__(cls)
        member._value_ = name
        member.extension = extension
        member.max_side = max_side
        member.default_quality = default_quality
        member.mark = re.compile(mark, re.DOTALL)
        return member

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"

    @property
    def pillow_name(self) -> str:
        return str(self.value).upper()


def sniff(head: bytes) -> ImageFormat | None:
    """Tell the format from a file's first bytes, or None when it is none of ours."""
    return next((image_format for image_format in ImageFormat if image_format.mark.match(head)), None)
