"""Canvases larger than the picture, and what shows where it does not reach."""

from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.pixels.colors import Color, apply_premultiplied, pixel_value, promote_mode_for, rgba
from worker.pixels.geometry import Size
from worker.pixels.modes import convert_to_modes

Background = Annotated[
    Color,
    Meta(
        description=(
            "Color around the picture. Not given: white, or transparent where the picture has transparency. "
            "A 16-bit picture shows it as grey."
        )
    ),
]

WHITE: dict[str, float | tuple[int, ...]] = {
    "L": 255,
    "LA": (255, 0),
    "RGB": (255, 255, 255),
    "RGBA": (255, 255, 255, 0),
    "CMYK": (0, 0, 0, 0),
    "I;16": 65_535,
}
"""White for each working mode, transparent where the mode has alpha."""


def able_to_show(image: Image.Image, background: str | None) -> Image.Image:
    """Return the picture in a mode that holds `background`; a 16-bit one keeps its depth unless it needs alpha."""
    if background is None:
        return image
    if image.mode == "I;16" and rgba(background)[3] < 255:
        return convert_to_modes(image, ("LA",), None)
    return promote_mode_for(image, background)


def canvas(image: Image.Image, size: Size, background: str | None) -> Image.Image:
    """Return an empty picture in the mode of `image`, which is able to show `background`."""
    return Image.new(image.mode, size, WHITE[image.mode] if background is None else pixel_value(background, image.mode))


def place_on_canvas(image: Image.Image, size: Size, offset: tuple[int, int], background: str | None) -> Image.Image:
    """Lay the picture on a canvas of `size` with its upper left corner at `offset`; what reaches over is cut off."""
    if image.size == size:
        return image
    image = able_to_show(image, background)
    framed = canvas(image, size, background)
    framed.paste(image, offset)
    return framed


def mix(image: Image.Image, paper: Image.Image, cover: Image.Image) -> Image.Image:
    """Return the picture where `cover` is 255, `paper` of the same mode where it is 0, and mixtures between."""
    return apply_premultiplied(
        image,
        lambda picture: Image.composite(
            picture, paper if paper.mode == picture.mode else paper.convert(picture.mode), cover
        ),
    )
