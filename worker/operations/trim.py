from collections.abc import Callable, Sequence
from functools import reduce
from typing import Annotated

from msgspec import Meta
from PIL import Image, ImageChops

from worker.operations.base import WORKING_MODES, Assets, Operation
from worker.pixels.canvas import able_to_show
from worker.pixels.colors import ALPHA_MODES, Color, pixel_value

Bounds = tuple[int, int, int, int]


class Trim(Operation, frozen=True, tag="trim"):
    """Remove margins of one color, and transparent ones; an image that is only margin does not change."""

    modes = WORKING_MODES

    threshold: Annotated[
        int,
        Meta(
            ge=0,
            le=255,
            description=(
                "Maximum difference of each channel, 0 to 255, from the color of the margin. "
                "In animations, only the common margin of all frames is removed."
            ),
        ),
    ] = 10
    color: Annotated[Color, Meta(description="Color of the margin. Default: that of the upper left pixel.")] | None = (
        None
    )

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:  # noqa: ARG002
        shown = self._comparable(frames[0])
        margin = shown.getpixel((0, 0)) if self.color is None else pixel_value(self.color, shown.mode)
        boxes = [box for frame in frames if (box := self._content(self._comparable(frame), margin)) is not None]
        if not boxes:
            return lambda image: image
        lefts, uppers, rights, lowers = zip(*boxes, strict=True)
        bounds = min(lefts), min(uppers), max(rights), max(lowers)
        return lambda image: image if bounds == (0, 0, *image.size) else image.crop(bounds)

    def _comparable(self, image: Image.Image) -> Image.Image:
        """Return the image in a mode in which its pixels can be compared with `color`."""
        # CMYK has many blacks, which are equal in RGB.
        if self.color is not None and image.mode == "CMYK":
            image = image.convert("RGB")
        return able_to_show(image, self.color)

    def _content(self, image: Image.Image, margin: float | tuple[int, ...] | None) -> Bounds | None:
        """Return the box around all pixels that are neither of the color `margin` nor transparent."""
        if image.mode == "I;16":
            return _content_of_16_bit(image, margin, self.threshold * 257)  # type: ignore[arg-type]
        counts = [0] * (self.threshold + 1) + [255] * (255 - self.threshold)
        difference = ImageChops.difference(image, Image.new(image.mode, image.size, margin))
        content = reduce(ImageChops.lighter, difference.split()).point(counts)
        if image.mode in ALPHA_MODES:
            content = ImageChops.darker(content, image.getchannel("A").point(counts))
        return content.getbbox()


def _content_of_16_bit(image: Image.Image, margin: float, threshold: int) -> Bounds | None:
    # Pillow's difference has 8 bits: values outside of the margin's range are computed as floats, clipped to L.
    floats = image.convert("F")
    over = floats.point(lambda value: value * 1 - (margin + threshold)).convert("L")
    under = floats.point(lambda value: value * -1 + (margin - threshold)).convert("L")
    return ImageChops.lighter(over, under).getbbox()
