from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import Operation
from worker.pixels.colors import apply_to_colors


class Solarize(Operation, frozen=True, tag="solarize"):
    """Invert the values above a threshold; transparency is preserved."""

    threshold: Annotated[
        int,
        Meta(ge=0, le=255, description="Value of a color channel, 0 to 255, from which it is inverted."),
    ] = 128

    def apply(self, image: Image.Image) -> Image.Image:
        table = [value if value < self.threshold else 255 - value for value in range(256)]
        return apply_to_colors(image, lambda colors: colors.point(table * len(colors.getbands())))
