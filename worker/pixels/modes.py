"""Convert images between modes, with ICC profiles and transparency."""

from io import BytesIO

from PIL import Image, ImageChops, ImageCms

from worker.errors import PictureError

SRGB = ImageCms.createProfile("sRGB")

ICC_COLOUR_SPACES = {"L": b"GRAY", "LA": b"GRAY", "I;16": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}
"""Mode -> color space signature at byte 16 of its profiles (ICC.1:2022, 7.2.8)."""


MAX_PROFILE_BYTES = 4 * 1024 * 1024
"""Maximum size of a profile. Those for printing have up to 3 MB, those of screens 4 KB; JPEG allows 16 MB."""


def fits(profile: bytes, mode: str) -> bool:
    """Return whether the profile matches an image of this mode."""
    return len(profile) <= MAX_PROFILE_BYTES and profile[16:20] == ICC_COLOUR_SPACES.get(mode)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an image in a working mode to L, LA, RGB or RGBA in sRGB.

    Without a matching, readable profile its colors are treated as sRGB, and CMYK is converted by Pillow's simple
    formula, which is inaccurate for print inks.
    """
    converted = None
    if profile is not None and fits(profile, image.mode):
        converted = _through(image, profile)
    if converted is not None:
        return converted
    return image.convert("RGB") if image.mode == "CMYK" else image


def _through(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return the image in sRGB, or None if littleCMS cannot use the profile."""
    has_alpha = image.mode in ("LA", "RGBA")
    if image.mode == "I;16":
        image = image.point(lambda value: value * (1 / 256))  # `convert` alone would clip at 255
    colors = image.convert("L" if image.mode == "I;16" else image.mode.removesuffix("A"))
    try:
        converted = ImageCms.profileToProfile(
            colors, ImageCms.ImageCmsProfile(BytesIO(profile)), SRGB, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    if converted is not None and has_alpha:
        converted.putalpha(image.getchannel("A"))
    return converted


_WIDER = {"L": ("LA", "RGB", "RGBA"), "LA": ("RGBA",), "RGB": ("RGBA",)}
"""Mode -> modes that can represent all its values, closest first."""


def normalize_mode(image: Image.Image) -> Image.Image:
    """Convert an image of any Pillow mode to one of `WORKING_MODES`, with its transparency in any form.

    32-bit samples are clipped: I to 0 to 65,535, F to 0 to 255.
    """
    # A palette or a color key (tRNS of PNG) stores transparency outside of the mode.
    has_alpha = image.has_transparency_data
    match image.mode:
        case "I;16" if has_alpha:
            return _key_out(image)
        case "LA" | "RGBA" | "CMYK" | "I;16":
            return image
        case "L" | "RGB" if not has_alpha:
            return image
        case "1" | "L":
            return image.convert("LA" if has_alpha else "L")
        case "I":
            return image.convert("I;16")
        case "I;16B" | "I;16L" | "I;16N":
            return image.convert("I").convert("I;16")
        case "F":
            return image.convert("L")
        case "LAB":
            lab_to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), SRGB, "LAB", "RGB")
            converted = ImageCms.applyTransform(image, lab_to_rgb)
            if converted is None:
                raise PictureError("the LAB colors of the image cannot be converted")
            return converted
    return image.convert("RGBA" if has_alpha else "RGB")


def _key_out(image: Image.Image) -> Image.Image:
    """Convert a 16-bit image with a transparent gray value to 8 bits with alpha; no mode has both 16 bits and alpha."""
    # Pillow cannot compare 16-bit pixels: those above and below the key are computed as floats, clipped to L.
    floats, key = image.convert("F"), image.info["transparency"]
    over = floats.point(lambda value: value * 1 - key).convert("L")
    under = floats.point(lambda value: value * -1 + key).convert("L")
    grey = convert_to_modes(image, ("LA",), None)
    grey.putalpha(ImageChops.lighter(over, under).point([0] + [255] * 255))
    return grey


def convert_to_modes(image: Image.Image, modes: tuple[str, ...], profile: bytes | None) -> Image.Image:
    """Convert an image in a working mode to the closest of `modes`, without loss if one of them allows it.

    CMYK is converted with its ICC profile `profile`, if that can be used.
    """
    if image.mode in modes:
        return image
    if image.mode == "I;16":
        return convert_to_modes(image.point(lambda value: value * (1 / 256)).convert("L"), modes, profile)
    if image.mode == "CMYK":
        return convert_to_modes(to_srgb(image, profile), modes, profile)
    return image.convert(next(mode for mode in _WIDER[image.mode] if mode in modes))
