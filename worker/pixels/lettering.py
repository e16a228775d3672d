"""A line of text as a picture of its own."""

from collections.abc import Callable
from math import ceil, floor

from PIL import Image, ImageDraw, ImageFont

from worker.errors import PictureError
from worker.pixels.colors import rgba
from worker.pixels.geometry import Size

LEAST_SIZE = 6
"""Smallest legible font size in pixels."""

_SHARE = 20
"""The part of the picture's shorter side that letters have when no size is asked for."""

_OUTLINE_SHARE = 24
"""The part of the font size that the outline has: thin, yet there on light and on dark ground."""

_NO_CHARACTER = "\U0010ffff"
"""What Unicode will never assign, so that fonts show what stands for all that they lack."""


class Lettering:
    """A font for one text."""

    def __init__(self, text: str, font_path: str | None) -> None:
        """Raise `PictureError` if the font lacks one of the characters."""
        self.text, self.font_path = text, font_path
        font = self._font(64)
        missing = bytes(font.getmask(_NO_CHARACTER))
        lacks = [char for char in dict.fromkeys(text) if char != " " and bytes(font.getmask(char)) == missing]
        if lacks:
            names = " ".join(char if char.isprintable() else f"U+{ord(char):04X}" for char in lacks)
            raise PictureError(
                f"the font {font.getname()[0]} cannot show {names}; choose other characters, "
                "or send the text as a picture"
            )
        if font.getmask(text).getbbox() is None:
            raise PictureError("the text has no character that can be seen")

    def fitting_size(self, picture: Size, room: tuple[float, float], turned: Callable[[Size], Size]) -> int:
        """Return a font size that suits a picture, or the largest with which the `turned` text still fits `room`."""
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
        """Return the text, with a thin outline in black or white, on transparent ground; LA if its color is grey."""
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
