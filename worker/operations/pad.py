from collections.abc import Mapping
from math import floor
from typing import Annotated, Any, ClassVar

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.canvas import Background, place_on_canvas
from worker.pixels.geometry import MAX_SIDE, AspectRatio, Position, Size, anchor_offset, ratio_of
from worker.validation.fields import Problem

Pixels = Annotated[int, Meta(ge=0, le=MAX_SIDE, description="Pixels to add on this side.")]

_SIDES = ("top", "right", "bottom", "left")


class Pad(Operation, frozen=True, tag="pad"):
    """Add a margin around the image: a number of pixels per side, or up to an aspect ratio."""

    modes = WORKING_MODES
    example: ClassVar[Mapping[str, Any]] = {"aspect_ratio": "1:1", "background": "white"}

    top: Pixels = 0
    right: Pixels = 0
    bottom: Pixels = 0
    left: Pixels = 0
    aspect_ratio: (
        Annotated[
            AspectRatio,
            Meta(description="Aspect ratio (width to height) of the result, such as 16:9, instead of pixels per side."),
        ]
        | None
    ) = None
    position: Annotated[
        Position,
        Meta(description="Position of the image with aspect_ratio: center, a side or a corner."),
    ] = "center"
    background: Background | None = None

    def problems(self) -> list[Problem]:
        if self.aspect_ratio is None:
            if self.position == "center":
                return []
            return [Problem("position", "needs aspect_ratio; omit it with pixels per side")]
        return [
            Problem(side, "cannot be combined with aspect_ratio; set one of the two")
            for side in _SIDES
            if getattr(self, side) != 0
        ]

    def output_size(self, size: Size) -> Size:
        width, height = size
        if self.aspect_ratio is None:
            return width + self.left + self.right, height + self.top + self.bottom
        ratio = ratio_of(self.aspect_ratio)
        return max(width, round(height * ratio)), max(height, round(width / ratio))

    def apply(self, image: Image.Image) -> Image.Image:
        size = self.output_size(image.size)
        if self.aspect_ratio is None:
            return place_on_canvas(image, size, (self.left, self.top), self.background)
        left, top = anchor_offset(image.size, size, self.position)
        return place_on_canvas(image, size, (floor(left), floor(top)), self.background)
