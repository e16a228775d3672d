from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta
from PIL import Image

from worker.errors import PictureError
from worker.operations.base import WORKING_MODES, Assets, Operation
from worker.pixels.geometry import AspectRatio, CropPosition, Size, anchor_offset, ratio_of
from worker.pixels.smart import smart_offset
from worker.validation.fields import Problem

MAX_EDGE = 65_535
"""What JPEG holds; a picture may be larger than those that we make."""


class Crop(Operation, frozen=True, tag="crop"):
    """Keep a part of the picture as it is: a box of pixels, or the largest box of an aspect ratio."""

    modes = WORKING_MODES
    example: ClassVar[Mapping[str, Any]] = {"aspect_ratio": "16:9", "position": "smart"}

    left: (
        Annotated[int, Meta(ge=0, le=MAX_EDGE, description="Pixels left out at the left; 0 when only top is given.")]
        | None
    ) = None
    top: (
        Annotated[int, Meta(ge=0, le=MAX_EDGE, description="Pixels left out at the top; 0 when only left is given.")]
        | None
    ) = None
    width: (
        Annotated[int, Meta(ge=1, le=MAX_EDGE, description="Width of the box; up to the right edge when not given.")]
        | None
    ) = None
    height: (
        Annotated[int, Meta(ge=1, le=MAX_EDGE, description="Height of the box; up to the lower edge when not given.")]
        | None
    ) = None
    aspect_ratio: (
        Annotated[AspectRatio, Meta(description="Width to height of the largest box that fits, as 16:9 or as 1.5.")]
        | None
    ) = None
    position: Annotated[
        CropPosition,
        Meta(
            description=(
                "Where the box lies when neither left nor top is given: in the center, at the side or corner that is "
                "named, or, with smart, around the part with most detail, skin and color."
            )
        ),
    ] = "center"

    def problems(self) -> list[Problem]:
        given = [name for name in ("left", "top", "width", "height") if getattr(self, name) is not None]
        if not given and self.aspect_ratio is None:
            return [Problem("aspect_ratio", "is missing; give it, or some of left, top, width and height")]
        if self.aspect_ratio is not None:
            return [Problem(name, "goes without aspect_ratio; give either of them") for name in given]
        if self._has_place and self.position != "center":
            return [Problem("position", "goes without left and top; give either of them")]
        return []

    def output_size(self, size: Size) -> Size:
        if self.aspect_ratio is not None:
            return self._largest(size)
        left, top = self.left or 0, self.top or 0
        width, height = self.width or max(1, size[0] - left), self.height or max(1, size[1] - top)
        if left + width > size[0] or top + height > size[1]:
            raise PictureError(
                f"the box to crop reaches to {left + width} x {top + height} pixels, "
                f"outside of the picture, which has {size[0]} x {size[1]}"
            )
        return width, height

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:  # noqa: ARG002
        width, height = self.output_size(frames[0].size)
        left, top = self._place(frames[0], (width, height))
        return lambda image: image.crop((left, top, left + width, top + height))

    def _place(self, image: Image.Image, size: Size) -> Size:
        if self._has_place:
            return self.left or 0, self.top or 0
        if self.position == "smart":
            left, top = smart_offset(image, size)
            return round(left), round(top)
        left, top = anchor_offset(size, image.size, self.position)
        return int(left), int(top)

    @property
    def _has_place(self) -> bool:
        return self.left is not None or self.top is not None

    def _largest(self, size: Size) -> Size:
        ratio = ratio_of(str(self.aspect_ratio))
        if size[0] > size[1] * ratio:
            return max(1, round(size[1] * ratio)), size[1]
        return size[0], max(1, round(size[0] / ratio))
