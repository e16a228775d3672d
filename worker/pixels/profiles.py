"""Colours through ICC profiles."""

from io import BytesIO

from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")

ICC_COLOUR_SPACES = {"L": b"GRAY", "LA": b"GRAY", "I;16": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}
"""Mode -> the colour space signature at byte 16 of a profile that may go with it (ICC.1:2022, 7.2.8)."""


MAX_PROFILE_BYTES = 4 * 1024 * 1024
"""Those of printing presses have up to 3 MB, those of screens 4 KB; JPEG holds 16 MB."""


def fits(profile: bytes, mode: str) -> bool:
    """Whether a picture of this mode may carry the profile."""
    return len(profile) <= MAX_PROFILE_BYTES and profile[16:20] == ICC_COLOUR_SPACES.get(mode)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture in a working mode to L, LA, RGB or RGBA in sRGB.

    Without a profile that fits and can be read its colours are taken as sRGB; CMYK then goes by Pillow's plain formula,
    which is far off for print inks.
    """
    converted = None
    if profile is not None and fits(profile, image.mode):
        converted = _through(image, profile)
    if converted is not None:
        return converted
    return image.convert("RGB") if image.mode == "CMYK" else image


def _through(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return the picture in sRGB, or None when littleCMS cannot use the profile."""
    has_alpha = image.mode in ("LA", "RGBA")
    if image.mode == "I;16":
        image = image.point(lambda value: value * (1 / 256))  # `convert` alone would clip at 255
    colours = image.convert("L" if image.mode == "I;16" else image.mode.removesuffix("A"))
    try:
        converted = ImageCms.profileToProfile(
            colours, ImageCms.ImageCmsProfile(BytesIO(profile)), SRGB, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    if converted is not None and has_alpha:
        converted.putalpha(image.getchannel("A"))
    return converted
