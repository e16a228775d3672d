from collections.abc import Callable, Sequence
from functools import partial
from math import sqrt
from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import Assets, Operation
from worker.pixels.colors import ALPHA_MODES, ANY_ALPHA

SAMPLED_PIXELS = 65_536
"""Pixels that the palette is made from: four times as many give photographs 0.2 dB at most, in four times the time."""


class Quantize(Operation, frozen=True, tag="quantize"):
    """Reduce the picture to a few colors, chosen from what is visible and the same in all frames.

    A picture that has no more of them stays as it is. Transparency stays, and its shades are not counted. An opaque PNG
    of few colors is written with a palette, which makes it small.
    """

    colors: Annotated[int, Meta(ge=2, le=256, description="The most colors that the result has.")] = 256
    dither: Annotated[
        bool,
        Meta(description="Whether colors in between are imitated by patterns of dots; else there are plain areas."),
    ] = True

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:  # noqa: ARG002
        shown = [seen for frame in frames if (seen := _visible(frame)) is not None]
        if not shown or self._suffice(shown):
            return _identity
        palette = _sample(shown).convert("RGB").quantize(self.colors, Image.Quantize.MEDIANCUT, kmeans=1)
        return partial(self._reduce, palette=palette)

    def _suffice(self, frames: list[Image.Image]) -> bool:
        """Whether all frames together have no more colors than there may be."""
        found = set()
        for frame in frames:
            counted = frame.getcolors(self.colors)
            if counted is None:
                return False
            found |= {color for _, color in counted}
        return len(found) <= self.colors

    def _reduce(self, frame: Image.Image, palette: Image.Image) -> Image.Image:
        seen = _visible(frame)
        if seen is None:
            return frame
        dither = Image.Dither.FLOYDSTEINBERG if self.dither else Image.Dither.NONE
        # Grey pictures, mapped as they are, come out with colors that are not in the palette.
        reduced = seen.convert("RGB").quantize(dither=dither, palette=palette).convert(seen.mode)
        if frame.mode in ALPHA_MODES:
            reduced.putalpha(frame.getchannel("A"))
        return reduced


def _identity(frame: Image.Image) -> Image.Image:
    return frame


def _visible(frame: Image.Image) -> Image.Image | None:
    """Return the picture without alpha, its transparent pixels in the color of a visible one; None: it has none."""
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


def _sample(frames: list[Image.Image]) -> Image.Image:
    """Return one picture with pixels from all over every frame, frame below frame."""
    width, height = frames[0].size
    scale = min(1, sqrt(SAMPLED_PIXELS / len(frames) / (width * height)))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    sheet = Image.new(frames[0].mode, (size[0], size[1] * len(frames)))
    for number, frame in enumerate(frames):
        sheet.paste(frame.resize(size, Image.Resampling.NEAREST), (0, size[1] * number))
    return sheet
