"""Convert images to palettes for GIF, and read GIFs within limits."""

from collections.abc import Callable, Sequence
from functools import reduce
from io import BytesIO
from typing import Any

from PIL import GifImagePlugin, Image, ImageChops, ImageStat

from worker.pixels.geometry import Size
from worker.pixels.palette import sample

COLOURS = 256
TRANSPARENT = COLOURS - 1
"""The transparent palette index of images with alpha."""

RESTORE_BACKGROUND, RESTORE_PREVIOUS = 2, 3
"""Disposal methods (GIF89a, 23)."""

COMPARED_PIXELS = 16_384
"""Pixels of a frame with which palettes are compared."""

GOOD_ERROR = 3 * 255**2 / 10**3.0
"""Sum of squared differences per pixel, without dithering, up to which a shared palette is taken: 30 dB."""

WORSE_BY = 3.0
"""Ratio to those with a palette of its own up to which it is taken: 5 dB, which disturbs less than flicker."""

SOLID = 128
"""Minimum alpha of an opaque pixel; GIF has no partial transparency."""


def gif_frames(
    frames: Sequence[Image.Image], source_palette: bytes | None = None
) -> tuple[list[Image.Image], dict[str, Any]]:
    """Return frames in L or P, and options of `Image.save`; colors are exact in frames with up to 256 colors.

    Frames share the palette of the GIF from which they come, or else one of their own, unless it is much worse for
    one of them. What does not change from one frame to the next does not change in the result. Opaque frames contain
    only the changes from one to the next.
    """
    if frames[0].mode == "L":
        return list(frames), {}
    if frames[0].mode != "RGBA":
        return _indexed(frames, COLOURS, source_palette), {}
    masks = [frame.getchannel("A").point(lambda alpha: 255 if alpha >= SOLID else 0) for frame in frames]
    opaque = []
    for frame, solid in zip(frames, masks, strict=True):
        canvas = Image.new("RGB", frame.size, _solid_color(frame, solid))
        canvas.paste(frame.convert("RGB"), mask=solid)
        opaque.append(canvas)
    indexed = _indexed(opaque, COLOURS - 1, source_palette)
    for image, solid in zip(indexed, masks, strict=True):
        image.paste(TRANSPARENT, mask=solid.point(lambda value: 255 - value))
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


def _indexed(frames: Sequence[Image.Image], colors: int, source_palette: bytes | None) -> list[Image.Image]:
    """Reduce frames in RGB to at most `colors` colors each: exactly if there are no more, otherwise with dithering."""
    inexact = [frame for frame in frames if frame.getcolors(colors) is None]
    shared = _shared_palette(inexact, colors, source_palette) if inexact else None
    indexed: list[Image.Image] = []
    last: Image.Image | None = None
    for number, frame in enumerate(frames):
        if frame.getcolors(colors) is not None:
            indexed.append(frame.quantize(colors, Image.Quantize.MEDIANCUT))  # exact, because there are no more
            last = None
            continue
        palette = (
            shared if shared is not None and _suffices(shared, frame, colors) else _palette(sample([frame]), colors)
        )
        image = frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        if palette is last:
            still = reduce(ImageChops.lighter, ImageChops.difference(frame, frames[number - 1]).split())
            image.paste(indexed[-1], mask=still.point([255] + [0] * 255))
        indexed.append(image)
        last = palette
    return indexed


def _shared_palette(frames: Sequence[Image.Image], colors: int, source_palette: bytes | None) -> Image.Image | None:
    """Return the palette of the source if it suffices for every frame, otherwise one for all if there are several."""
    if source_palette is not None:
        palette = _palette_of(source_palette[: 3 * colors])
        if all(_suffices(palette, frame, colors) for frame in frames):
            return palette
    return _palette(sample(frames), colors) if len(frames) > 1 else None


def _suffices(palette: Image.Image, frame: Image.Image, colors: int) -> bool:
    """Return whether a palette is good for a frame, or hardly worse than one of its own."""
    pixels = sample([frame], COMPARED_PIXELS)
    error = _error(pixels, palette)
    return error <= GOOD_ERROR or error <= WORSE_BY * _error(pixels, _palette(pixels, colors))


def _palette(image: Image.Image, colors: int) -> Image.Image:
    return image.quantize(colors, Image.Quantize.MEDIANCUT, kmeans=1)


def _palette_of(colors: bytes) -> Image.Image:
    image = Image.new("P", (1, 1))
    image.putpalette(colors + colors[:3] * (COLOURS - len(colors) // 3))  # Pillow would fill up with black
    return image


def _error(image: Image.Image, palette: Image.Image) -> float:
    """Return the mean squared difference of an image with a palette, without dithering."""
    reduced = image.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
    return float(sum(ImageStat.Stat(ImageChops.difference(image, reduced)).sum2)) / (image.width * image.height)


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

    @property
    def shared_palette(self) -> bytes | None:
        """The palette of the file, three bytes for each color; None if it only has palettes for single frames."""
        return None if self.global_palette is None else bytes(self.global_palette.palette)

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
