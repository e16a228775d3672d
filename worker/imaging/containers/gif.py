"""Convert images to palettes for GIF, and read GIFs within limits."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from PIL import GifImagePlugin, Image

from worker.pixels.geometry import Size

COLOURS = 256
TRANSPARENT = COLOURS - 1
"""The transparent palette index of images with alpha."""

SOLID = 128
"""Minimum alpha of an opaque pixel; GIF has no partial transparency."""


def gif_frames(frames: Sequence[Image.Image]) -> tuple[list[Image.Image], dict[str, Any]]:
    """Return frames in L or P, and options of `Image.save`; colors are exact in frames with up to 256 colors.

    Opaque frames contain only the changes from one to the next.
    """
    if frames[0].mode != "RGBA":
        return [frame if frame.mode == "L" else _index(frame, COLOURS) for frame in frames], {}
    indexed = []
    for frame in frames:
        solid = frame.getchannel("A").point(lambda alpha: 255 if alpha >= SOLID else 0)
        opaque = Image.new("RGB", frame.size, _solid_color(frame, solid))
        opaque.paste(frame.convert("RGB"), mask=solid)
        with_palette = _index(opaque, COLOURS - 1)
        with_palette.paste(TRANSPARENT, mask=solid.point(lambda value: 255 - value))
        indexed.append(with_palette)
    # Each frame is cleared before the next one, which would show it through transparent pixels.
    return indexed, {"transparency": TRANSPARENT, "disposal": 2}


def _solid_color(frame: Image.Image, solid: Image.Image) -> tuple[int, ...]:
    """Return a visible color for the transparent pixels, so that they need no further palette entry."""
    box = solid.getbbox()
    if box is None:
        return (0, 0, 0)
    upper = box[1]
    row = solid.crop((0, upper, solid.width, upper + 1)).getbbox()
    return frame.getpixel((row[0] if row else 0, upper))[:3]  # type: ignore[index]


def _index(image: Image.Image, colors: int) -> Image.Image:
    """Reduce to at most `colors` colors: exactly if there are no more, otherwise with dithering."""
    palette = image.quantize(colors, Image.Quantize.MEDIANCUT)
    if image.getcolors(colors) is not None:
        return palette
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


class BoundedGif(GifImagePlugin.GifImageFile):
    """A GIF whose screen size is passed to `check`, which may raise, before memory is allocated."""

    def __init__(self, data: bytes, check: Callable[[Size], None]) -> None:
        self._check = check
        super().__init__(BytesIO(data))

    @property
    def _size(self) -> Size:
        return self._bounded_size

    @_size.setter
    def _size(self, size: Size) -> None:
        self._check(size)
        self._bounded_size = size
