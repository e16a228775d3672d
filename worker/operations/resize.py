from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Assets, Operation
from worker.pixels.canvas import place_on_canvas
from worker.pixels.colors import Color
from worker.pixels.geometry import MAX_SIDE, Box, CropPosition, Size, anchor_offset
from worker.pixels.linear import resample_in_linear_light
from worker.pixels.resampling import Filter, resample
from worker.pixels.smart import smart_offset
from worker.validation.fields import Problem

DEFAULT_SIDE = 100

REDUCING = ("lanczos", "bicubic", "bilinear")
"""Filters that allow a reduction beforehand; with it, hamming loses 2 dB more, and box 15 dB."""


class Resize(Operation, frozen=True, tag="resize"):
    """Resize the image: to 100 x 100 pixels if neither width nor height is set, in proportion if only one is."""

    modes = WORKING_MODES
    example: ClassVar[Mapping[str, Any]] = {"width": 400, "height": 300, "fit": "cover"}

    width: Annotated[int, Meta(ge=1, le=MAX_SIDE, description="Width in pixels.")] | None = None
    height: Annotated[int, Meta(ge=1, le=MAX_SIDE, description="Height in pixels.")] | None = None
    scale: (
        Annotated[
            float, Meta(gt=0, le=16, description="Factor for both sides, instead of width and height, such as 0.5.")
        ]
        | None
    ) = None
    fit: Annotated[
        Literal["fill", "contain", "cover", "inside", "outside"],
        Meta(
            description=(
                "How the image fits width x height: fill stretches it; contain scales it to fit and pads with the "
                "background; cover scales it to cover the box and crops the rest; inside and outside keep the "
                "proportions and make it as large as fits, or as small as covers, the box."
            )
        ),
    ] = "fill"
    position: Annotated[
        CropPosition,
        Meta(
            description=(
                "Part that cover keeps, and position of the image with contain: center, a side or a corner; with "
                "cover also smart, the part with the most detail, skin and color."
            )
        ),
    ] = "center"
    background: (
        Annotated[
            Color,
            Meta(description="Color of the padding of contain. Default: white, or transparent if the image has alpha."),
        ]
        | None
    ) = None
    enlarge: Annotated[
        bool,
        Meta(
            description=(
                "Whether the image may be enlarged. If false, fill and cover do not change a side that is shorter "
                "than requested, and the other fits do not change the image; contain still pads it to "
                "width x height."
            )
        ),
    ] = True
    resample: Annotated[
        Filter,
        Meta(description="Resampling filter, from the sharpest to the simplest; nearest does not blend pixels."),
    ] = "lanczos"

    linear: Annotated[
        bool,
        Meta(
            description=(
                "Whether pixels are mixed in linear light, which keeps the brightness of fine patterns; slower. "
                "CMYK and other color spaces are converted to sRGB for it."
            )
        ),
    ] = False

    @property
    def only_moves_pixels(self) -> bool:
        return self.fit != "contain" and self.position != "smart"

    @property
    def needs_srgb(self) -> bool:
        return self.linear

    def problems(self) -> list[Problem]:
        problems = []
        if self.linear and self.resample == "nearest":
            problems.append(Problem("linear", "cannot be combined with resample=nearest, which does not mix pixels"))
        if self.scale is not None:
            problems += [
                Problem(field, "cannot be combined with scale; set one of the two")
                for field in ("width", "height")
                if getattr(self, field) is not None
            ]
            if self.fit != "fill":
                problems.append(Problem("fit", "needs width or height; omit it with scale"))
            if self.scale > 1 and not self.enlarge:
                problems.append(Problem("scale", "must be at most 1 if enlarge is false"))
        if self.position == "smart" and self.fit != "cover":
            problems.append(Problem("position", "smart needs fit=cover"))
        elif self.position != "center" and self.fit not in ("cover", "contain"):
            problems.append(Problem("position", "needs fit=cover or fit=contain"))
        if self.background is not None and self.fit != "contain":
            problems.append(Problem("background", "needs fit=contain"))
        return problems

    def output_size(self, size: Size) -> Size:
        return self._scaled_size(size) if self.fit in ("inside", "outside") else self._box_size(size)

    def scaled_size(self, size: Size) -> Size | None:
        return self._scaled_size(size) if self.resample in REDUCING and not self.linear else None

    def gives_whole(self, size: Size) -> bool:
        return self.resample == "lanczos" and self.output_size(size) == self._scaled_size(size)

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:  # noqa: ARG002
        first = frames[0]
        part = self._crop_box(first, (0, 0, *first.size), first.size)
        return lambda image: self._resize_part(image, part, image.size)

    def apply(self, image: Image.Image) -> Image.Image:
        return self.apply_reduced(image, (0, 0, *image.size), image.size)

    def apply_reduced(self, image: Image.Image, box: Box, size: Size) -> Image.Image:
        return self._resize_part(image, self._crop_box(image, box, size), size)

    def _crop_box(self, image: Image.Image, box: Box, size: Size) -> Box:
        """Return the part of `box`, which contains an image of `size`, that the result shows."""
        if self.fit != "cover":
            return box
        left, upper, right, lower = box
        target = self.output_size(size)
        scale = min((right - left) / target[0], (lower - upper) / target[1])
        width, height = target[0] * scale, target[1] * scale
        if self.position == "smart":
            x, y = smart_offset(image, (width, height))
        else:
            x, y = anchor_offset((width, height), (right - left, lower - upper), self.position)
            x, y = left + x, upper + y
        # A reduced image may extend beyond its box, but no edge may because of rounding.
        x, y = max(left, min(x, right - width)), max(upper, min(y, lower - height))
        return x, y, min(x + width, right), min(y + height, lower)

    def _resize_part(self, image: Image.Image, part: Box, size: Size) -> Image.Image:
        target = self.output_size(size)
        if self.fit == "contain":
            return self._pad(self._resample(image, self._scaled_size(size), part), target)
        return self._resample(image, target, part)

    def _resample(self, image: Image.Image, size: Size, part: Box) -> Image.Image:
        if not self.linear:
            return resample(image, size, self.resample, part)
        rgb = image.convert("RGB") if image.mode == "CMYK" else image
        return resample_in_linear_light(rgb, size, self.resample, part)

    def _pad(self, image: Image.Image, size: Size) -> Image.Image:
        left, upper = anchor_offset(image.size, size, "center" if self.position == "smart" else self.position)
        return place_on_canvas(image, size, (int(left), int(upper)), self.background)

    def _box_size(self, size: Size) -> Size:
        width, height = self._requested_size(size)
        if self.enlarge or self.fit not in ("fill", "cover"):
            return width, height
        return min(width, size[0]), min(height, size[1])

    def _requested_size(self, size: Size) -> Size:
        if self.scale is not None:
            return _times(size, self.scale)
        if self.width is not None and self.height is not None:
            return self.width, self.height
        if self.width is not None:
            return self.width, max(1, round(size[1] * self.width / size[0]))
        if self.height is not None:
            return max(1, round(size[0] * self.height / size[1])), self.height
        return DEFAULT_SIDE, DEFAULT_SIDE

    def _scaled_size(self, size: Size) -> Size:
        """Return the size to which the whole image is scaled, before it is cropped or padded."""
        box = self._box_size(size)
        if self.fit == "fill":
            return box
        scales = box[0] / size[0], box[1] / size[1]
        scale = min(scales) if self.fit in ("inside", "contain") else max(scales)
        return _times(size, scale if self.enlarge else min(1.0, scale))


def _times(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
