"""Parse colors, convert them to modes, and apply functions to the colors of images with alpha."""

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Meta
from PIL import Image, ImageColor, ImageFilter, ImageStat

from worker.pixels.profiles import from_srgb
from worker.validation.fields import Problem

Rgba = tuple[int, int, int, int]
"""Red, green, blue and alpha, 0 to 255 each."""

ALPHA_MODES = ("LA", "RGBA")

_PREMULTIPLIED = {"LA": "La", "RGBA": "RGBa"}


_INKS = "device-cmyk"
"""CSS Color 5's function for CMYK values, here 0 to 255; clients cannot send it, see `in_space_of`."""


def rgba(color: str) -> Rgba:
    """Parse a `Color`, or raise `ValueError`."""
    if color == "transparent":
        return 0, 0, 0, 0
    if color.startswith(_INKS):
        return Image.new("CMYK", (1, 1), _inks(color)).convert("RGBA").getpixel((0, 0))  # type: ignore[return-value]
    return ImageColor.getcolor(color, "RGBA")  # type: ignore[return-value]


Color = Annotated[
    str,
    Meta(
        pattern=r"^(#[0-9a-fA-F]{3,4}|#[0-9a-fA-F]{6}|#[0-9a-fA-F]{8}|[a-z]+)$",
        examples=["white", "transparent", "#f80", "#ff880080"],
        extra_json_schema={"format": "color"},
        # The pattern allows any name.
        extra={"allowed": "a CSS color name, transparent, #rgb, #rgba, #rrggbb or #rrggbbaa", "check": rgba},
    ),
]
"""A color as text; `rgba` parses it."""


def _inks(color: str) -> tuple[int, ...]:
    return tuple(int(value) for value in color.removeprefix(_INKS)[1:-1].split())


def in_space_of(profile: bytes, color: str) -> str:
    """Convert a `Color`, which is in sRGB, to the space of an ICC profile for RGB, gray or CMYK."""
    red, green, blue, alpha = rgba(color)
    pixel = from_srgb(Image.new("RGB", (1, 1), (red, green, blue)), profile)
    if pixel.mode == "CMYK":
        return f"{_INKS}({' '.join(map(str, pixel.getpixel((0, 0))))})"  # type: ignore[arg-type]
    return "#" + bytes([*pixel.convert("RGB").getpixel((0, 0)), alpha]).hex()  # type: ignore[misc]


def pixel_value(color: str, mode: str) -> float | tuple[int, ...]:
    """Convert a `Color` to a pixel of a working mode, if necessary to gray or without its alpha."""
    if mode == "CMYK" and color.startswith(_INKS):
        return _inks(color)
    pixel = Image.new("RGBA", (1, 1), rgba(color))
    if mode == "I;16":
        grey = pixel.convert("L").getpixel((0, 0))
        return int(grey) * 257  # type: ignore[arg-type]
    if mode == "CMYK":
        pixel = pixel.convert("RGB")
    return pixel.convert(mode).getpixel((0, 0))  # type: ignore[return-value]


def promote_mode_for(image: Image.Image, *colors: str) -> Image.Image:
    """Convert an image in a working mode to one that supports `colors`: with color, with alpha, or both.

    16-bit images stay as they are, and CMYK changes only for alpha: `pixel_value` converts the color instead.
    """
    pixels = [rgba(color) for color in colors]
    needs_alpha = any(alpha < 255 for *_, alpha in pixels)
    needs_color = any(not red == green == blue for red, green, blue, _ in pixels)
    match image.mode:
        case "L" | "LA":
            has_alpha = needs_alpha or image.mode == "LA"
            target = {(False, False): "L", (False, True): "LA", (True, False): "RGB", (True, True): "RGBA"}[
                needs_color, has_alpha
            ]
        case "RGB" | "CMYK" if needs_alpha:
            target = "RGBA"
        case _:
            return image
    if image.mode == "CMYK":
        image = image.convert("RGB")
    return image if image.mode == target else image.convert(target)


def apply_to_colors(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply `change` to the L or RGB part of an image and keep its alpha."""
    if image.mode not in ALPHA_MODES:
        return change(image)
    changed = change(image.convert(image.mode.removesuffix("A")))
    changed.putalpha(image.getchannel("A"))
    return changed


def apply_premultiplied(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply `change`, which mixes neighbors, with premultiplied alpha, so that transparent pixels do not affect others.

    `change` gets L, RGB, La or RGBa. Pillow's resize and rotate do the same themselves.
    """
    if image.mode not in ALPHA_MODES:
        return change(image)
    return change(image.convert(_PREMULTIPLIED[image.mode])).convert(image.mode)


ANY_ALPHA = [0] + [255] * 255
"""Point table from an alpha channel to the mask of visible pixels."""

_NEAR_ENOUGH = [min(255, 8 * alpha) for alpha in range(256)]
"""Premultiplied colors with low alpha have few bits; replacing them by the mean limits rounding errors to 4."""


def visible_histograms(frames: Sequence[Image.Image]) -> list[list[int]]:
    """Return a histogram of 256 counts for each band of color, over the visible pixels of all frames together."""
    counts = [_visible_histogram(frame) for frame in frames]
    total = [sum(each) for each in zip(*counts, strict=True)]
    return [total[start : start + 256] for start in range(0, len(total), 256)]


def on_visible_colors(image: Image.Image, reach: float, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply `change`, which reads neighbors within `reach` pixels, to the colors and keep the alpha.

    Transparent pixels get the colors of visible ones nearby.
    """
    if image.mode not in ALPHA_MODES:
        return change(image)
    changed = change(_with_underpaint(image, reach))
    changed.putalpha(image.getchannel("A"))
    return changed


def _visible_histogram(frame: Image.Image) -> list[int]:
    if frame.mode not in ALPHA_MODES:
        return frame.histogram()
    return frame.convert(frame.mode.removesuffix("A")).histogram(frame.getchannel("A"))


def _with_underpaint(image: Image.Image, reach: float) -> Image.Image:
    colors = image.convert(image.mode.removesuffix("A"))
    alpha = image.getchannel("A")
    lowest, highest = alpha.getextrema()
    if lowest or not highest:
        return colors
    mean = tuple(round(value) for value in ImageStat.Stat(colors, alpha).mean)
    canvas = Image.new(colors.mode, image.size, mean)
    near = apply_premultiplied(image, lambda picture: picture.filter(ImageFilter.GaussianBlur(reach)))
    canvas.paste(near.convert(colors.mode), mask=near.getchannel("A").point(_NEAR_ENOUGH))
    canvas.paste(colors, mask=alpha.point(ANY_ALPHA))
    return canvas


def translucent_problems(**colors: str) -> list[Problem]:
    """Return a problem for each parameter whose color is not opaque."""
    return [
        Problem(name, f"must be a color without alpha; got '{color}'")
        for name, color in colors.items()
        if rgba(color)[3] < 255
    ]
