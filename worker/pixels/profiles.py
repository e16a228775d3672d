"""Convert images and colors between color spaces, by their ICC profiles, with littleCMS."""

from functools import lru_cache
from io import BytesIO
from itertools import product
from typing import Any

from PIL import Image, ImageChops, ImageCms

SRGB = ImageCms.createProfile("sRGB")

ICC_COLOUR_SPACES = {"L": b"GRAY", "LA": b"GRAY", "I;16": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}
"""Mode -> color space signature at byte 16 of its profiles (ICC.1:2022, 7.2.8)."""

_MODES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}

MAX_PROFILE_BYTES = 4 * 1024 * 1024
"""Maximum size of a profile. Those for printing have up to 3 MB, those of screens 4 KB; JPEG allows 16 MB."""


def fits(profile: bytes, mode: str) -> bool:
    """Return whether the profile matches an image of this mode."""
    return len(profile) <= MAX_PROFILE_BYTES and profile[16:20] == ICC_COLOUR_SPACES.get(mode)


def differs_from_srgb(profile: bytes | None, mode: str) -> bool:
    """Return whether an image of this mode with this profile has other colors than the same pixels in sRGB.

    Not if there is no profile, if it does not match the mode, or if littleCMS cannot use it.
    """
    return profile is not None and fits(profile, mode) and _differs(profile)


@lru_cache(maxsize=16)
def _differs(profile: bytes) -> bool:
    """Compare a grid of colors before and after the conversion to sRGB."""
    mode = _MODES[profile[16:20]]
    if mode == "L":
        samples = bytes(range(0, 256, 3))
    elif mode == "RGB":
        samples = bytes(value for color in product(range(0, 256, 51), repeat=3) for value in color)
    else:
        samples = bytes(4)
    grid = Image.frombytes(mode, (len(samples) // len(mode), 1), samples)
    converted = _convert(grid, profile, None, "RGB")
    if converted is None:
        return False
    if mode == "CMYK":
        return True
    difference = ImageChops.difference(converted, grid.convert("RGB"))
    return max(high for _, high in difference.getextrema()) > 1  # type: ignore[misc]


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an image in a working mode to L, LA, RGB or RGBA in sRGB.

    Without a matching, readable profile its colors are treated as sRGB, and CMYK is converted by Pillow's simple
    formula, which is inaccurate for print inks.
    """
    converted = _through(image, profile, None)
    if converted is not None:
        return converted
    return image.convert("RGB") if image.mode == "CMYK" else image


def to_rgb(image: Image.Image, profile: bytes | None, target: bytes) -> Image.Image:
    """Convert an image in a working mode to RGB or RGBA in the color space of the RGB profile `target`."""
    converted = _through(image, profile, target)
    return from_srgb(to_srgb(image, None), target) if converted is None else converted


def _through(image: Image.Image, profile: bytes | None, target: bytes | None) -> Image.Image | None:
    """Convert to RGB or RGBA; return None if there is no matching profile that littleCMS can use."""
    if profile is None or not fits(profile, image.mode):
        return None
    return _with_alpha_of(image, _convert(_colors(image), profile, target, "RGB"))


def from_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert an image in L, LA, RGB or RGBA from sRGB to the color space of a profile, for RGB, gray or CMYK.

    Alpha is kept, except for CMYK, which has none. The image is returned as it is if littleCMS cannot use the profile.
    """
    mode = _MODES.get(profile[16:20], "RGB")
    converted = _with_alpha_of(image, _convert(_colors(image).convert("RGB"), None, profile, mode))
    return image if converted is None else converted


def _colors(image: Image.Image) -> Image.Image:
    """Return the image in 8 bits and without alpha."""
    if image.mode == "I;16":
        image = image.point(lambda value: value * (1 / 256))  # `convert` alone would clip at 255
    return image.convert("L" if image.mode == "I;16" else image.mode.removesuffix("A"))


def _with_alpha_of(image: Image.Image, colors: Image.Image | None) -> Image.Image | None:
    if colors is not None and image.mode in ("LA", "RGBA") and colors.mode != "CMYK":
        colors.putalpha(image.getchannel("A"))
    return colors


def _convert(image: Image.Image, source: bytes | None, target: bytes | None, mode: str) -> Image.Image | None:
    """Convert between profiles, None for sRGB; return None if littleCMS cannot use one of them."""
    try:
        converted = ImageCms.profileToProfile(image, _opened(source), _opened(target), outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return None
    if converted is not None:
        converted.info = {}  # Pillow adds the profile
    return converted


def _opened(profile: bytes | None) -> Any:
    return SRGB if profile is None else ImageCms.ImageCmsProfile(BytesIO(profile))
