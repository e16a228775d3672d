from collections.abc import Mapping
from itertools import product
from math import ceil, cos, floor, radians, sin
from typing import Annotated, Any, ClassVar

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.canvas import Background, able_to_show, canvas, mix, place_on_canvas
from worker.pixels.geometry import Size

_TRANSPOSES = {
    90: Image.Transpose.ROTATE_270,  # Pillow rotates counterclockwise
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}

Matrix = tuple[float, float, float, float, float, float]
"""Affine transform from a pixel of the result to the source: x is ax + by + c, y is dx + ey + f."""


class Rotate(Operation, frozen=True, tag="rotate"):
    """Rotate the image clockwise; losslessly by multiples of 90 degrees, otherwise with bicubic resampling."""

    modes = WORKING_MODES
    example: ClassVar[Mapping[str, Any]] = {"angle": 90}

    angle: Annotated[
        float,
        Meta(ge=-360, le=360, description="Angle in degrees, clockwise; negative values rotate counterclockwise."),
    ] = 90.0
    expand: Annotated[
        bool,
        Meta(
            description="Whether the result is enlarged to contain the whole rotated image; if false, the size stays."
        ),
    ] = True
    background: Background | None = None

    @property
    def only_moves_pixels(self) -> bool:
        return self.angle % 180 == 0 or (self.angle % 90 == 0 and self.expand)

    def output_size(self, size: Size) -> Size:
        return _rotated_size(size, self.angle) if self.expand else size

    def apply(self, image: Image.Image) -> Image.Image:
        size = self.output_size(image.size)
        if self.angle % 360 == 0:
            return image
        if self.angle % 90 == 0:
            turned = image.transpose(_TRANSPOSES[int(self.angle % 360)])
            offset = (size[0] - turned.width) // 2, (size[1] - turned.height) // 2
            return place_on_canvas(turned, size, offset, self.background)
        image = able_to_show(image, self.background)
        matrix = _matrix(image.size, size, self.angle)
        paper = canvas(image, size, self.background)
        if image.mode == "I;16":
            return _composite_16_bit(image, paper, matrix)
        return _composite(image, paper, matrix)


def _rotated_size(size: Size, angle: float) -> Size:
    """Return the size of Pillow's result: whole pixels around the center that contain the rotated image."""
    (width, height), (cosine, sine) = size, _cosine_and_sine(angle)
    spans = abs(width * cosine) + abs(height * sine), abs(width * sine) + abs(height * cosine)
    turned = [ceil((side + span) / 2) - floor((side - span) / 2) for side, span in zip(size, spans, strict=True)]
    # A rotation by 90 degrees that swaps an even and an odd side would gain a pixel.
    return (turned[0], turned[1]) if angle % 90 else (round(spans[0]), round(spans[1]))


def _cosine_and_sine(angle: float) -> tuple[float, float]:
    # Rounded as in Pillow, so that cos(60 degrees) is exactly 0.5.
    return round(cos(radians(angle)), 15), round(sin(radians(angle)), 15)


def _matrix(size: Size, turned: Size, angle: float) -> Matrix:
    """Return the transform from a result of size `turned` to an image of `size` with a border of one pixel."""
    cosine, sine = _cosine_and_sine(angle)
    x, y = turned[0] / 2, turned[1] / 2
    return (
        *(cosine, sine, size[0] / 2 + 1 - cosine * x - sine * y),
        *(-sine, cosine, size[1] / 2 + 1 + sine * x - cosine * y),
    )


def _composite(image: Image.Image, paper: Image.Image, matrix: Matrix) -> Image.Image:
    """Composite by the coverage of each pixel, so that edges are smooth and have no fringe."""
    turned = _repeat_edges(image).transform(paper.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return mix(turned, paper, _cover(image.size, paper.size, matrix))


def _composite_16_bit(image: Image.Image, paper: Image.Image, matrix: Matrix) -> Image.Image:
    # Pillow cannot rotate 16-bit pixels correctly, nor composite them with a mask. They are rotated as floats, and the
    # edges come from a bilinear rotation of the image on its background, which needs no mask.
    ground = paper.getpixel((0, 0))
    within = Image.new("F", (image.width + 2, image.height + 2), ground)
    floats = image.convert("F")
    within.paste(floats, (1, 1))
    laid = within.transform(paper.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=ground)
    turned = _repeat_edges(floats).transform(paper.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    whole = _cover(image.size, paper.size, matrix).point(lambda cover: 255 if cover == 255 else 0, "1")
    laid.paste(turned, (0, 0), whole)
    return laid.point(lambda value: value * 1 + 0.5).convert("I").convert("I;16")


def _cover(size: Size, turned: Size, matrix: Matrix) -> Image.Image:
    """Return the coverage of each pixel by the rotated image, 0 to 255."""
    cover = Image.new("L", (size[0] + 2, size[1] + 2))
    cover.paste(255, (1, 1, size[0] + 1, size[1] + 1))
    return cover.transform(turned, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _repeat_edges(image: Image.Image) -> Image.Image:
    """Add a border that repeats the outermost pixels, for samples at the edge."""
    edged = Image.new(image.mode, (image.width + 2, image.height + 2))
    for offset in product((0, 2, 1), (0, 2, 1)):
        edged.paste(image, offset)
    return edged
