from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import Operation
from worker.pixels.colors import on_colours


class Posterize(Operation, frozen=True, tag="posterize"):
    """Leave each colour only a few even steps from 0 to 255, as on a screen-printed poster; transparency stays."""

    bits: Annotated[
        int,
        Meta(
            ge=1, le=8, description="Bits of each colour: 1 leaves 2 steps, 2 leave 4, and so on to 8, which leave all."
        ),
    ] = 4

    def apply(self, image: Image.Image) -> Image.Image:
        highest = 2**self.bits - 1
        table = [round((value >> (8 - self.bits)) * 255 / highest) for value in range(256)]
        return on_colours(image, lambda colours: colours.point(table * len(colours.getbands())))
