from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import Operation
from worker.pixels.colors import apply_to_colors


class Posterize(Operation, frozen=True, tag="posterize"):
    """Leave each color only a few even steps from 0 to 255, as on a screen-printed poster; transparency stays."""

    bits: Annotated[
        int,
        Meta(
            ge=1, le=8, description="Bits of each color: 1 leaves 2 steps, 2 leave 4, and so on to 8, which leave all."
        ),
    ] = 4

    def apply(self, image: Image.Image) -> Image.Image:
        highest = 2**self.bits - 1
        table = [round((value >> (8 - self.bits)) * 255 / highest) for value in range(256)]
        return apply_to_colors(image, lambda colors: colors.point(table * len(colors.getbands())))
