from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import Assets, Operation
from worker.pixels.colors import ALPHA_MODES, ANY_ALPHA
from worker.pixels.palette import sample


class Quantize(Operation, frozen=True, tag="quantize"):
    """Reduce the number of colors, with the same palette for all frames.

    An image with no more colors does not change. Transparency is preserved and not counted. An opaque PNG with few
    colors is written with a palette, which makes it small.
    """

    colors: Annotated[int, Meta(ge=2, le=256, description="Maximum number of colors of the result.")] = 256
    dither: Annotated[
        bool,
        Meta(description="Whether to dither (Floyd-Steinberg); if false, areas are flat."),
    ] = True

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:  # noqa: ARG002
        visible_frames = [visible for frame in frames if (visible := _visible(frame)) is not None]
        if not visible_frames or self._suffice(visible_frames):
            return _identity
        palette = sample(visible_frames).convert("RGB").quantize(self.colors, Image.Quantize.MEDIANCUT, kmeans=1)
        return partial(self._reduce, palette=palette)

    def _suffice(self, frames: list[Image.Image]) -> bool:
        """Return whether all frames together have at most `colors` colors."""
        colors = set()
        for frame in frames:
            counted = frame.getcolors(self.colors)
            if counted is None:
                return False
            colors |= {color for _, color in counted}
        return len(colors) <= self.colors

    def _reduce(self, frame: Image.Image, palette: Image.Image) -> Image.Image:
        visible = _visible(frame)
        if visible is None:
            return frame
        dither = Image.Dither.FLOYDSTEINBERG if self.dither else Image.Dither.NONE
        # Mapping grayscale images directly gives colors that are not in the palette.
        reduced = visible.convert("RGB").quantize(dither=dither, palette=palette).convert(visible.mode)
        if frame.mode in ALPHA_MODES:
            reduced.putalpha(frame.getchannel("A"))
        return reduced


def _identity(frame: Image.Image) -> Image.Image:
    return frame


def _visible(frame: Image.Image) -> Image.Image | None:
    """Return the image without alpha, with transparent pixels in a visible color; None if no pixel is visible."""
    if frame.mode not in ALPHA_MODES:
        return frame
    alpha = frame.getchannel("A")
    box = alpha.getbbox()
    if box is None:
        return None
    colors = frame.convert(frame.mode.removesuffix("A"))
    topmost = alpha.crop((0, box[1], frame.width, box[1] + 1)).getbbox() or box
    canvas = Image.new(colors.mode, colors.size, colors.getpixel((topmost[0], box[1])))
    canvas.paste(colors, mask=alpha.point(ANY_ALPHA))
    return canvas
