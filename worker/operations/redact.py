from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct
from PIL import Image

from worker.errors import PictureError
from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.colors import Color, pixel_value, promote_mode_for, rgba
from worker.pixels.geometry import MAX_SIDE, Size
from worker.pixels.resampling import resample
from worker.validation.fields import Problem

BLOCKS = 3
"""Maximum number of blocks along the longer side of a box: a digit needs five to be readable."""

LEAST_BLOCK = 8
"""Minimum side of a block in pixels, except for smaller boxes."""

MOST_COVER = 8
"""Maximum area of all boxes in images: 100 would take 20 s for 12 megapixels of RGBA with pixelate and blur."""

Bounds = tuple[int, int, int, int]

Edge = Annotated[int, Meta(ge=-MAX_SIDE, le=MAX_SIDE)]
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]


class Area(Struct, frozen=True, kw_only=True):
    """A rectangle in pixels, from the upper left corner of the image."""

    left: Edge
    top: Edge
    width: Side
    height: Side

    def within(self, size: Size) -> Bounds | None:
        """Return the edges of the part within an image of `size`; None if there is none."""
        left, upper = max(0, self.left), max(0, self.top)
        right, lower = min(size[0], self.left + self.width), min(size[1], self.top + self.height)
        return (left, upper, right, lower) if left < right and upper < lower else None


class Redact(Operation, frozen=True, tag="redact"):
    """Make parts of the image unreadable. Only fill is safe; the other methods leave traces of the content."""

    modes = WORKING_MODES
    example: ClassVar[Mapping[str, Any]] = {"boxes": [{"left": 10, "top": 20, "width": 100, "height": 40}]}

    boxes: Annotated[
        tuple[Area, ...],
        Meta(
            min_length=1,
            max_length=100,
            description=(
                "The rectangles to redact, in pixels, such as "
                '[{"left": 10, "top": 20, "width": 200, "height": 40}]. A box that extends beyond '
                "the image is cut off at its edge; a box completely outside of the image is an error."
            ),
        ),
    ]
    method: Annotated[
        Literal["fill", "pixelate", "blur"],
        Meta(
            description=(
                "fill paints each box in one color. pixelate keeps blocks of mean color, at most 3 along the longer "
                "side of the box and at least 8 pixels large; blur keeps the same means with smooth transitions. "
                "Means can be compared with guesses of the content, so use fill for secrets."
            )
        ),
    ] = "fill"
    color: Annotated[Color, Meta(description="Color for fill; must be opaque. A 16-bit image gets its gray value.")] = (
        "black"
    )

    def problems(self) -> list[Problem]:
        if self.method != "fill" and self.color != "black":
            return [Problem("color", f"cannot be combined with {self.method}; it needs method=fill")]
        if rgba(self.color)[3] < 255:
            return [Problem("color", "must be opaque, or the content would show through")]
        return []

    def output_size(self, size: Size) -> Size:
        boxes = self._within(size)
        cover = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
        if self.method != "fill" and cover > MOST_COVER * size[0] * size[1]:
            raise PictureError(f"the boxes cover the image more than {MOST_COVER} times; merge overlapping boxes")
        return size

    def _within(self, size: Size) -> list[Bounds]:
        boxes = []
        for number, area in enumerate(self.boxes):
            box = area.within(size)
            if box is None:
                raise PictureError(
                    f"boxes[{number}] is completely outside of the image of {size[0]} x {size[1]} pixels"
                )
            boxes.append(box)
        return boxes

    def apply(self, image: Image.Image) -> Image.Image:
        if self.method == "fill":
            image = promote_mode_for(image, self.color)
        redacted = image.copy()
        for box in self._within(image.size):
            # Pillow fills 16-bit pixels with one byte; both bytes of such a color are equal.
            redacted.paste(
                pixel_value(self.color, image.mode) if self.method == "fill" else self._blur(redacted.crop(box)), box
            )
        return redacted

    def _blur(self, part: Image.Image) -> Image.Image:
        longer = max(part.size)
        block = longer / max(1, min(BLOCKS, longer // LEAST_BLOCK))
        blocks = resample(part, (_count(part.width, block), _count(part.height, block)), "box")
        return resample(blocks, part.size, "bilinear" if self.method == "blur" else "nearest")


def _count(side: int, block: float) -> int:
    return max(1, round(side / block))
