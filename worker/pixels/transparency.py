"""What can be seen of pictures with alpha: transparent pixels have no say in what becomes of the others."""

from collections.abc import Callable, Sequence

from PIL import Image, ImageFilter, ImageStat

from worker.pixels.colours import ALPHA_MODES, premultiplied

ANY_ALPHA = [0] + [255] * 255
"""Point table: an alpha channel -> the mask of all that is visible."""

_NEAR_ENOUGH = [min(255, 8 * alpha) for alpha in range(256)]
"""Premultiplied colours of little alpha have few bits; as they give way to the mean, rounding adds up to 4 at most."""


def visible_histograms(frames: Sequence[Image.Image]) -> list[list[int]]:
    """Return a histogram of 256 counts for each band of colour, over the visible pixels of all frames together."""
    counts = [_visible_histogram(frame) for frame in frames]
    total = [sum(each) for each in zip(*counts, strict=True)]
    return [total[start : start + 256] for start in range(0, len(total), 256)]


def on_visible_colours(image: Image.Image, reach: float, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply `change`, which looks at neighbours some `reach` pixels around, to the colours; alpha stays as it is.

    Where nothing is visible, `change` meets the colours of what is visible nearby.
    """
    if image.mode not in ALPHA_MODES:
        return change(image)
    changed = change(_underpainted(image, reach))
    changed.putalpha(image.getchannel("A"))
    return changed


def _visible_histogram(frame: Image.Image) -> list[int]:
    if frame.mode not in ALPHA_MODES:
        return frame.histogram()
    return frame.convert(frame.mode.removesuffix("A")).histogram(frame.getchannel("A"))


def _underpainted(image: Image.Image, reach: float) -> Image.Image:
    colours = image.convert(image.mode.removesuffix("A"))
    alpha = image.getchannel("A")
    lowest, highest = alpha.getextrema()
    if lowest or not highest:
        return colours
    mean = tuple(round(value) for value in ImageStat.Stat(colours, alpha).mean)
    canvas = Image.new(colours.mode, image.size, mean)
    near = premultiplied(image, lambda picture: picture.filter(ImageFilter.GaussianBlur(reach)))
    canvas.paste(near.convert(colours.mode), mask=near.getchannel("A").point(_NEAR_ENOUGH))
    canvas.paste(colours, mask=alpha.point(ANY_ALPHA))
    return canvas
