from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct
from PIL import Image

from worker.errors import PictureError
from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.colors import Color, pixel_value, promote_mode_for, rgba
from worker.pixels.geometry import MAX_SIDE, Size
from worker.validation.fields import Problem

BLOCKS = 3
"""How many blocks the longer side of a box keeps: a digit that fills its box needs five to be read."""

LEAST_BLOCK = 8
"""The least side of a block in pixels, but for boxes that are smaller."""

MOST_COVER = 8
"""How often pixelate and blur may go over the whole picture: 100 times would take 20 s for 12 megapixels of RGBA."""

Bounds = tuple[int, int, int, int]

Edge = Annotated[int, Meta(ge=-MAX_SIDE, le=MAX_SIDE)]
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]


class Area(Struct, frozen=True, kw_only=True):
    """A rectangle in pixels; left and top count from the picture's upper left corner."""

    left: Edge
    top: Edge
    width: Side
    height: Side

    def within(self, size: Size) -> Bounds | None:
        """Return the edges of what a picture of `size` has of it; None if that is nothing."""
        left, upper = max(0, self.left), max(0, self.top)
        right, lower = min(size[0], self.left + self.width), min(size[1], self.top + self.height)
        return (left, upper, right, lower) if left < right and upper < lower else None


class Redact(Operation, frozen=True, tag="redact"):
    """Make parts of the picture unreadable; fill is the safe way, the others leave a hint of what was there."""

    modes = WORKING_MODES
    example: ClassVar[Mapping[str, Any]] = {"boxes": [{"left": 10, "top": 20, "width": 100, "height": 40}]}

    boxes: Annotated[
        tuple[Area, ...],
        Meta(
            min_length=1,
            max_length=100,
            description=(
                "The rectangles to redact, in pixels, such as "
                '[{"left": 10, "top": 20, "width": 200, "height": 40}]. One that reaches over the picture is cut to '
                "it; one that lies wholly outside is an error."
            ),
        ),
    ]
    method: Annotated[
        Literal["fill", "pixelate", "blur"],
        Meta(
            description=(
                "fill paints one color over each box and leaves nothing of it. pixelate keeps blocks of mean color, "
                "at most 3 along the box's longer side and at least 8 pixels large; blur keeps the same means, with "
                "smooth transitions. Who knows what may have been there can compare such means with it: for "
                "secrets, use fill."
            )
        ),
    ] = "fill"
    color: Annotated[Color, Meta(description="Color for fill, which must be opaque; a 16-bit picture shows grey.")] = (
        "black"
    )

    def problems(self) -> list[Problem]:
        if self.method != "fill" and self.color != "black":
            return [Problem("color", f"does not go with {self.method}; only fill paints in a color")]
        if rgba(self.color)[3] < 255:
            return [Problem("color", "must be opaque, else what it covers would show through")]
        return []

    def output_size(self, size: Size) -> Size:
        boxes = self._within(size)
        cover = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
        if self.method != "fill" and cover > MOST_COVER * size[0] * size[1]:
            raise PictureError(
                f"the boxes cover the picture more than {MOST_COVER} times over; join those that overlap"
            )
        return size

    def _within(self, size: Size) -> list[Bounds]:
        boxes = []
        for number, area in enumerate(self.boxes):
            box = area.within(size)
            if box is None:
                raise PictureError(
                    f"boxes[{number}] lies wholly outside of the picture of {size[0]} x {size[1]} pixels"
                )
            boxes.append(box)
        return boxes

    def apply(self, image: Image.Image) -> Image.Image:
        if self.method == "fill":
            image = promote_mode_for(image, self.color)
        redacted = image.copy()
        for box in self._within(image.size):
            # Pillow fills 16-bit pixels by one byte only; both bytes of an ink are the same.
            redacted.paste(
                pixel_value(self.color, image.mode) if self.method == "fill" else self._blur(redacted.crop(box)), box
            )
        return redacted

    def _blur(self, part: Image.Image) -> Image.Image:
        longer = max(part.size)
        block = longer / max(1, min(BLOCKS, longer // LEAST_BLOCK))
        blocks = part.resize((_count(part.width, block), _count(part.height, block)), Image.Resampling.BOX)
        smooth = Image.Resampling.BILINEAR if self.method == "blur" else Image.Resampling.NEAREST
        return blocks.resize(part.size, smooth)


def _count(side: int, block: float) -> int:
    return max(1, round(side / block))
