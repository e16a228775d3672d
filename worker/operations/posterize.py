from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import Operation
from worker.pixels.colors import apply_to_colors


class Posterize(Operation, frozen=True, tag="posterize"):
    """Reduce the number of levels of each color channel; transparency is preserved."""

    bits: Annotated[
        int,
        Meta(
            ge=1, le=8, description="Bits per color channel: 1 gives 2 levels, 2 give 4, and so on; 8 change nothing."
        ),
    ] = 4

    def apply(self, image: Image.Image) -> Image.Image:
        highest = 2**self.bits - 1
        table = [round((value >> (8 - self.bits)) * 255 / highest) for value in range(256)]
        return apply_to_colors(image, lambda colors: colors.point(table * len(colors.getbands())))
