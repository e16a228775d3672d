"""Convert images to palettes for GIF, and read GIFs within limits."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from PIL import GifImagePlugin, Image, ImageChops

from worker.pixels.geometry import Size

COLOURS = 256
TRANSPARENT = COLOURS - 1
"""The transparent palette index of images with alpha."""

RESTORE_BACKGROUND, RESTORE_PREVIOUS = 2, 3
"""Disposal methods (GIF89a, 23)."""

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


class GifReader(GifImagePlugin.GifImageFile):
    """A GIF as browsers show it: what no frame has painted is transparent, whatever the background color is.

    The size of its screen is passed to `check`, which may raise, before memory is allocated.
    """

    def __init__(self, data: bytes, check: Callable[[Size], None]) -> None:
        self._check = check
        self._painted: Image.Image | None = None
        self._before: Image.Image | None = None
        super().__init__(BytesIO(data))

    @property
    def _size(self) -> Size:
        return self._bounded_size

    @_size.setter
    def _size(self, size: Size) -> None:
        self._check(size)
        self._bounded_size = size

    def _seek(self, frame: int, update_image: bool = True) -> None:
        method, extent = (self.disposal_method, self.dispose_extent) if frame else (0, None)
        if update_image:
            if self.tile:
                self.load()
            self.disposal_method = 0  # Pillow would keep that of the frame before
        super()._seek(frame, update_image)
        if not update_image:
            return
        if frame == 0:
            self._painted = None if self._covers_screen() else Image.new("L", self.size)
        elif method == RESTORE_PREVIOUS:
            self._painted = self._before
        elif method == RESTORE_BACKGROUND:
            self._painted = self._mask()
            self._painted.paste(0, extent)
        self._before = self._painted

    def load_end(self) -> None:
        if self._painted is not None and self.dispose_extent is not None:
            cover = Image.new("L", self.im.size, 255)
            if self._frame_transparency is not None:
                indices = self._new(self.im).tobytes()
                cover = Image.frombytes("L", self.im.size, indices).point(_all_but(self._frame_transparency))
            self._painted = self._mask()
            self._painted.paste(255, self.dispose_extent, cover.crop(self.dispose_extent))
        super().load_end()

    def _covers_screen(self) -> bool:
        left, upper, right, lower = self.dispose_extent or (0, 0, 0, 0)
        return left == upper == 0 and right >= self.size[0] and lower >= self.size[1]

    def _mask(self) -> Image.Image:
        """Return a copy of the mask of painted pixels, in the current size of the screen."""
        if self._painted is None:
            return Image.new("L", self.size, 255)
        return self._painted.crop((0, 0, *self.size))

    def with_unpainted_transparent(self, frame: Image.Image) -> Image.Image:
        """Return the current frame, given in L, LA, RGB or RGBA, with alpha 0 where nothing has been painted."""
        if self._painted is None or self._painted.getextrema() == (255, 255):
            return frame
        mask = self._painted.crop((0, 0, *frame.size))
        if frame.mode in ("LA", "RGBA"):
            mask = ImageChops.darker(mask, frame.getchannel("A"))
        frame = frame.copy()
        frame.putalpha(mask)
        return frame


def _all_but(index: int) -> list[int]:
    return [0 if each == index else 255 for each in range(256)]
