"""Convert images between modes, with their transparency."""

from PIL import Image, ImageChops, ImageCms

_WIDER = {"L": ("LA", "RGB", "RGBA"), "LA": ("RGBA",), "RGB": ("RGBA",)}
"""Mode -> modes that can represent all its values, closest first."""


def normalize_mode(image: Image.Image) -> Image.Image:
    """Convert an image of any Pillow mode to one of `WORKING_MODES`, with its transparency in any form.

    32-bit integers are clipped to 0 to 65,535, and floating-point numbers to 0 to 255.
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
        case "1" | "L" | "La":
            return image.convert("LA" if has_alpha else "L")
        case "I":
            return image.convert("I;16")
        case "I;16B" | "I;16L" | "I;16N":
            return image.convert("I").convert("I;16")
        case "F":
            return image.convert("L")
        case "LAB":
            return _lab_to_rgb(image)
    return image.convert("RGBA" if has_alpha else "RGB")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    if converted is None:
        raise ValueError("the LAB colors of the image cannot be converted")
    return converted


def _key_out(image: Image.Image) -> Image.Image:
    """Convert a 16-bit image with a transparent gray value to 8 bits with alpha; no mode has both 16 bits and alpha."""
    # Pillow cannot compare 16-bit pixels: those above and below the key are computed as floats, clipped to L.
    floats, key = image.convert("F"), image.info["transparency"]
    over = floats.point(lambda value: value * 1 - key).convert("L")
    under = floats.point(lambda value: value * -1 + key).convert("L")
    grey = convert_to_modes(image, ("LA",))
    grey.putalpha(ImageChops.lighter(over, under).point([0] + [255] * 255))
    return grey


def convert_to_modes(image: Image.Image, modes: tuple[str, ...]) -> Image.Image:
    """Convert an image in a working mode to the closest of `modes`, without loss if one of them allows it.

    CMYK is converted by Pillow's simple formula; `worker.pixels.profiles.to_srgb` uses a profile.
    """
    if image.mode in modes:
        return image
    if image.mode == "I;16":
        return convert_to_modes(image.point(lambda value: value * (1 / 256)).convert("L"), modes)
    if image.mode == "CMYK":
        return convert_to_modes(image.convert("RGB"), modes)
    return image.convert(next(mode for mode in _WIDER[image.mode] if mode in modes))
