from math import ceil, floor, hypot, sqrt
from typing import Annotated

from msgspec import Meta
from PIL import Image, ImageChops

from worker.errors import PictureError
from worker.operations.base import Operation
from worker.pixels.canvas import able_to_show, canvas, mix
from worker.pixels.colors import Color
from worker.pixels.geometry import MAX_SIDE, Size


class RoundCorners(Operation, frozen=True, tag="round_corners"):
    """Round the corners, which become transparent; without parameters, a square becomes a circle."""

    radius: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_SIDE,
                description=("Radius in pixels, at most half of the shorter side, which is the default."),
            ),
        ]
        | None
    ) = None
    background: Annotated[Color, Meta(description="Color of the corners. Default: transparent.")] | None = None

    def output_size(self, size: Size) -> Size:
        if self.radius is not None and self.radius * 2 > min(size):
            raise PictureError(
                f"radius must be at most half of the shorter side of {size[0]} x {size[1]} pixels; got {self.radius}; "
                f"omit it to use half of the shorter side"
            )
        return size

    def apply(self, image: Image.Image) -> Image.Image:
        quarter = _quarter(min(image.size) / 2 if self.radius is None else self.radius)
        shown = able_to_show(image, self.background or "transparent")
        rounded = shown.copy()
        far_x, far_y = image.width - quarter.width, image.height - quarter.height
        for left, upper, turn in (
            (0, 0, None),
            (far_x, 0, Image.Transpose.FLIP_LEFT_RIGHT),
            (0, far_y, Image.Transpose.FLIP_TOP_BOTTOM),
            (far_x, far_y, Image.Transpose.ROTATE_180),
        ):
            cover = quarter if turn is None else quarter.transpose(turn)
            # From the original image: the corners of a circle may share its middle row and column.
            corner = shown.crop((left, upper, left + quarter.width, upper + quarter.height))
            rounded.paste(self._cut(corner, cover), (left, upper))
        return rounded

    def _cut(self, corner: Image.Image, cover: Image.Image) -> Image.Image:
        if self.background is not None:
            return mix(corner, canvas(corner, corner.size, self.background), cover)
        corner.putalpha(ImageChops.multiply(corner.getchannel("A"), cover))
        return corner


def _quarter(radius: float) -> Image.Image:
    """Return the coverage of each pixel by the upper left quarter of a disc, 0 to 255.

    The coverage of an edge pixel is the distance of its center inside of the edge, plus a half. Only these pixels,
    about two per row, are computed individually.
    """
    side = ceil(radius)
    rows = bytearray()
    for row in range(side):
        y = radius - row - 0.5
        outer, inner = (sqrt(max(0.0, edge * edge - y * y)) for edge in (radius + 0.5, max(0.0, radius - 0.5)))
        first = max(0, floor(radius - outer - 0.5))
        last = min(side, ceil(radius - inner + 0.5))
        covers = (radius + 0.5 - hypot(radius - column - 0.5, y) for column in range(first, last))
        rows += bytes(first)
        rows += bytes(round(255 * min(1.0, max(0.0, cover))) for cover in covers)
        rows += b"\xff" * (side - last)
    return Image.frombytes("L", (side, side), bytes(rows))
