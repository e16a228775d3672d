from typing import Annotated, Literal

from msgspec import Meta
from PIL import Image

from worker.geometry import MAX_SIDE, Box, Size
from worker.operations.base import WORKING_MODES, Operation

DEFAULT_SIDE = 100

REDUCING_GAP = 2.5
"""How much larger than the result any picture stays when whole pixels are averaged first: 48 to 50 dB."""

WHITE: dict[str, float | tuple[int, ...]] = {
    "L": 255,
    "LA": (255, 0),
    "RGB": (255, 255, 255),
    "RGBA": (255, 255, 255, 0),
    "CMYK": (0, 0, 0, 0),
    "I;16": 65_535,
}
"""White for each working mode, transparent where the mode has alpha."""


class Resize(Operation, frozen=True, tag="resize"):
    """Change the size; 100 x 100 pixels when neither width nor height is given, in proportion when only one is."""

    modes = WORKING_MODES

    width: Annotated[int, Meta(ge=1, le=MAX_SIDE, description="Width in pixels.")] | None = None
    height: Annotated[int, Meta(ge=1, le=MAX_SIDE, description="Height in pixels.")] | None = None
    fit: Annotated[
        Literal["fill", "contain", "cover", "inside", "outside"],
        Meta(
            description=(
                "How the picture meets width x height: fill stretches it; contain fits it in and pads with white, "
                "or with transparency where it has some; cover fills the box and crops around the centre; inside "
                "and outside keep proportions and make it as large as fits, or as small as covers, the box."
            )
        ),
    ] = "fill"

    def output_size(self, size: Size) -> Size:
        return self.scaled_size(size) if self.fit in ("inside", "outside") else self._box_size(size)

    def scaled_size(self, size: Size) -> Size:
        """Return the size to which the whole picture is scaled, before it is cropped or framed."""
        box = self._box_size(size)
        if self.fit == "fill":
            return box
        scales = box[0] / size[0], box[1] / size[1]
        scale = min(scales) if self.fit in ("inside", "contain") else max(scales)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def apply(self, image: Image.Image) -> Image.Image:
        return self.apply_reduced(image, (0, 0, *image.size), image.size)

    def apply_reduced(self, image: Image.Image, box: Box, size: Size) -> Image.Image:
        target = self.output_size(size)
        if self.fit == "cover":
            return _resized(image, target, _centred(box, target))
        if self.fit == "contain":
            return _framed(_resized(image, self.scaled_size(size), box), target)
        return _resized(image, target, box)

    def _box_size(self, size: Size) -> Size:
        if self.width is not None and self.height is not None:
            return self.width, self.height
        if self.width is not None:
            return self.width, max(1, round(size[1] * self.width / size[0]))
        if self.height is not None:
            return max(1, round(size[0] * self.height / size[1])), self.height
        return DEFAULT_SIDE, DEFAULT_SIDE


def _resized(image: Image.Image, size: Size, box: Box) -> Image.Image:
    # Pillow cannot average 16-bit pixels ahead of the filter.
    gap = None if image.mode == "I;16" else REDUCING_GAP
    return image.resize(size, Image.Resampling.LANCZOS, box, gap)


def _centred(box: Box, size: Size) -> Box:
    """Return the largest box in the middle of `box` that has the proportions of `size`."""
    left, upper, right, lower = box
    scale = min((right - left) / size[0], (lower - upper) / size[1])
    over_x, over_y = (right - left - size[0] * scale) / 2, (lower - upper - size[1] * scale) / 2
    return left + over_x, upper + over_y, right - over_x, lower - over_y


def _framed(image: Image.Image, size: Size) -> Image.Image:
    canvas = Image.new(image.mode, size, WHITE[image.mode])
    canvas.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return canvas
