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
"""Maximum side of a JPEG; uploads may be larger than results."""


class Crop(Operation, frozen=True, tag="crop"):
    """Crop to a box of pixels, or to the largest box of an aspect ratio."""

    modes = WORKING_MODES
    example: ClassVar[Mapping[str, Any]] = {"aspect_ratio": "16:9", "position": "smart"}

    left: (
        Annotated[int, Meta(ge=0, le=MAX_EDGE, description="Left edge of the box in pixels; 0 if only top is set.")]
        | None
    ) = None
    top: (
        Annotated[int, Meta(ge=0, le=MAX_EDGE, description="Upper edge of the box in pixels; 0 if only left is set.")]
        | None
    ) = None
    width: (
        Annotated[
            int, Meta(ge=1, le=MAX_EDGE, description="Width of the box in pixels. Default: up to the right edge.")
        ]
        | None
    ) = None
    height: (
        Annotated[
            int, Meta(ge=1, le=MAX_EDGE, description="Height of the box in pixels. Default: up to the lower edge.")
        ]
        | None
    ) = None
    aspect_ratio: (
        Annotated[
            AspectRatio,
            Meta(description="Aspect ratio (width to height) of the largest box that fits, such as 16:9 or 1.5."),
        ]
        | None
    ) = None
    position: Annotated[
        CropPosition,
        Meta(
            description=(
                "Position of the box if neither left nor top is set: center, a side or a corner, or smart for the "
                "part with the most detail, skin and color."
            )
        ),
    ] = "center"

    @property
    def only_moves_pixels(self) -> bool:
        return self.position != "smart"

    def problems(self) -> list[Problem]:
        box_fields = [name for name in ("left", "top", "width", "height") if getattr(self, name) is not None]
        if not box_fields and self.aspect_ratio is None:
            return [Problem("aspect_ratio", "is missing; set it, or some of left, top, width and height")]
        if self.aspect_ratio is not None:
            return [Problem(name, "cannot be combined with aspect_ratio; set one of the two") for name in box_fields]
        if self._has_place and self.position != "center":
            return [Problem("position", "cannot be combined with left and top; set one of the two")]
        return []

    def output_size(self, size: Size) -> Size:
        if self.aspect_ratio is not None:
            return self._largest(size)
        left, top = self.left or 0, self.top or 0
        width, height = self.width or max(1, size[0] - left), self.height or max(1, size[1] - top)
        if left + width > size[0] or top + height > size[1]:
            raise PictureError(
                f"the crop box extends to {left + width} x {top + height} pixels, "
                f"outside of the image, which has {size[0]} x {size[1]}"
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
