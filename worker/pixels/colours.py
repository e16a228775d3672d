"""Colours as clients write them, and in the modes of pictures; colours beside alpha."""

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta
from PIL import Image, ImageColor

Rgba = tuple[int, int, int, int]
"""Red, green, blue and alpha, 0 to 255 each."""

ALPHA_MODES = ("LA", "RGBA")

_PREMULTIPLIED = {"LA": "La", "RGBA": "RGBa"}


def rgba(colour: str) -> Rgba:
    """Read a `Colour`, or raise `ValueError`."""
    if colour == "transparent":
        return 0, 0, 0, 0
    return ImageColor.getcolor(colour, "RGBA")  # type: ignore[return-value]


Colour = Annotated[
    str,
    Meta(
        pattern=r"^(#[0-9a-fA-F]{3,4}|#[0-9a-fA-F]{6}|#[0-9a-fA-F]{8}|[a-z]+)$",
        examples=["white", "transparent", "#f80", "#ff880080"],
        extra_json_schema={"format": "color"},
        # The pattern leaves open which names there are.
        extra={"allowed": "a CSS colour name, transparent, #rgb, #rgba, #rrggbb or #rrggbbaa", "check": rgba},
    ),
]
"""Text; `rgba` reads it."""


def ink(colour: str, mode: str) -> float | tuple[int, ...]:
    """Return a `Colour` as a pixel of a working mode, where need be in grey or without its alpha."""
    pixel = Image.new("RGBA", (1, 1), rgba(colour))
    if mode == "I;16":
        grey = pixel.convert("L").getpixel((0, 0))
        return int(grey) * 257  # type: ignore[arg-type]
    if mode == "CMYK":
        pixel = pixel.convert("RGB")
    return pixel.convert(mode).getpixel((0, 0))  # type: ignore[return-value]


def holding(image: Image.Image, *colours: str) -> Image.Image:
    """Return a picture in a working mode brought to one that can show `colours`: with colour, with alpha, or both.

    A 16-bit one stays as it is, and so does CMYK but for alpha: `ink` brings the colour to it.
    """
    pixels = [rgba(colour) for colour in colours]
    needs_alpha = any(alpha < 255 for *_, alpha in pixels)
    needs_colour = any(not red == green == blue for red, green, blue, _ in pixels)
    match image.mode:
        case "L" | "LA":
            has_alpha = needs_alpha or image.mode == "LA"
            target = {(False, False): "L", (False, True): "LA", (True, False): "RGB", (True, True): "RGBA"}[
                needs_colour, has_alpha
            ]
        case "RGB" | "CMYK" if needs_alpha:
            target = "RGBA"
        case _:
            return image
    if image.mode == "CMYK":
        image = image.convert("RGB")
    return image if image.mode == target else image.convert(target)


def on_colours(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply `change` to the L or RGB part of a picture, whose alpha stays as it is."""
    if image.mode not in ALPHA_MODES:
        return change(image)
    changed = change(image.convert(image.mode.removesuffix("A")))
    changed.putalpha(image.getchannel("A"))
    return changed


def premultiplied(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply `change`, which mixes neighbours, so that transparent pixels lend nobody their colour.

    `change` meets L, RGB, La or RGBa; Pillow's own resize and rotate do this by themselves.
    """
    if image.mode not in ALPHA_MODES:
        return change(image)
    return change(image.convert(_PREMULTIPLIED[image.mode])).convert(image.mode)
