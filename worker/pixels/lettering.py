"""Render a line of text to an image."""

from collections.abc import Callable
from math import ceil, floor

from PIL import Image, ImageDraw, ImageFont

from worker.errors import PictureError
from worker.pixels.colors import rgba
from worker.pixels.geometry import Size

LEAST_SIZE = 6
"""Smallest legible font size in pixels."""

_SHARE = 20
"""Default font size as a fraction of the shorter side of the image."""

_OUTLINE_SHARE = 24
"""Width of the outline as a fraction of the font size."""

_NO_CHARACTER = "\U0010ffff"
"""A character that Unicode never assigns, for which fonts show their glyph of missing characters."""


class Lettering:
    """A font for one text."""

    def __init__(self, text: str, font_path: str | None) -> None:
        """Raise `PictureError` if the font does not have one of the characters."""
        self.text, self.font_path = text, font_path
        font = self._font(64)
        missing = bytes(font.getmask(_NO_CHARACTER))
        lacks = [char for char in dict.fromkeys(text) if char != " " and bytes(font.getmask(char)) == missing]
        if lacks:
            names = " ".join(char if char.isprintable() else f"U+{ord(char):04X}" for char in lacks)
            raise PictureError(
                f"the font {font.getname()[0]} does not have {names}; choose other characters, "
                "or send the text as an image in overlay"
            )
        if font.getmask(text).getbbox() is None:
            raise PictureError("the text has no visible character")

    def fitting_size(self, picture: Size, room: tuple[float, float], turned: Callable[[Size], Size]) -> int:
        """Return the default font size for an image, or the largest with which the rotated text fits `room`."""
        size = max(LEAST_SIZE, min(picture) // _SHARE)
        while (excess := max(side / most for side, most in zip(turned(self.extent(size)), room, strict=True))) > 1:
            size = min(size - 1, floor(size / excess))
            if size < LEAST_SIZE:
                raise PictureError(f"the text does not fit into {picture[0]} x {picture[1]} pixels; shorten it")
        return size

    def extent(self, size: int) -> Size:
        left, upper, right, lower = self._bounds(size)
        return right - left, lower - upper

    def draw_text(self, size: int, color: str) -> Image.Image:
        """Return the text with a thin black or white outline on a transparent background, in LA if it is gray."""
        red, green, blue, alpha = rgba(color)
        is_light = red * 299 + green * 587 + blue * 114 > 127_000
        letters = self._mask(size, outline=0)
        shape = self._mask(size, outline=_outline(size))
        is_grey = red == green == blue
        drawn = Image.new("L" if is_grey else "RGB", letters.size, "black" if is_light else "white")
        drawn.paste(red if is_grey else (red, green, blue), (0, 0), letters)
        drawn.putalpha(shape if alpha == 255 else shape.point(lambda cover: cover * alpha // 255))
        return drawn

    def _mask(self, size: int, outline: int) -> Image.Image:
        left, upper, _, _ = self._bounds(size)
        mask = Image.new("L", self.extent(size))
        ImageDraw.Draw(mask).text((-left, -upper), self.text, 255, self._font(size), stroke_width=outline)
        return mask

    def _bounds(self, size: int) -> tuple[int, int, int, int]:
        left, upper, right, lower = self._font(size).getbbox(self.text, stroke_width=_outline(size))
        return floor(left), floor(upper), max(floor(left) + 1, ceil(right)), max(floor(upper) + 1, ceil(lower))

    def _font(self, size: int) -> ImageFont.FreeTypeFont:
        if self.font_path is not None:
            return ImageFont.truetype(self.font_path, size)
        font = ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise TypeError("Pillow was built without FreeType")
        return font


def _outline(size: int) -> int:
    return max(1, round(size / _OUTLINE_SHARE))
