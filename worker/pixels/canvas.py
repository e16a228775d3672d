"""Canvases for images, and their background."""

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
            "Color of the background. Default: white, or transparent if the image has transparency. "
            "A 16-bit image gets its gray value."
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
"""White in each working mode, transparent in modes with alpha."""


def able_to_show(image: Image.Image, background: str | None) -> Image.Image:
    """Return the image in a mode that supports `background`; 16 bits are kept unless alpha is needed."""
    if background is None:
        return image
    if image.mode == "I;16" and rgba(background)[3] < 255:
        return convert_to_modes(image, ("LA",))
    return promote_mode_for(image, background)


def canvas(image: Image.Image, size: Size, background: str | None) -> Image.Image:
    """Return an empty canvas in the mode of `image`, which must support `background`."""
    return Image.new(image.mode, size, WHITE[image.mode] if background is None else pixel_value(background, image.mode))


def place_on_canvas(image: Image.Image, size: Size, offset: tuple[int, int], background: str | None) -> Image.Image:
    """Place the image on a canvas of `size` with its upper left corner at `offset`, and crop the rest."""
    if image.size == size:
        return image
    image = able_to_show(image, background)
    framed = canvas(image, size, background)
    framed.paste(image, offset)
    return framed


def mix(image: Image.Image, paper: Image.Image, cover: Image.Image) -> Image.Image:
    """Composite the image over `paper` with the mask `cover`, 0 to 255."""
    return apply_premultiplied(
        image,
        lambda picture: Image.composite(
            picture, paper if paper.mode == picture.mode else paper.convert(picture.mode), cover
        ),
    )
