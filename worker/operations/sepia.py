from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import Operation
from worker.pixels.colors import apply_to_colors

SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
"""What red, green and blue lend to each of them (W3C Filter Effects)."""


class Sepia(Operation, frozen=True, tag="sepia"):
    """Give the picture the brown tones of old photographs, as CSS's sepia() does; transparency stays."""

    modes = ("RGB", "RGBA")

    amount: Annotated[
        float,
        Meta(ge=0, le=1, description="How much of it: 0 leaves the picture as it is, 1 keeps none of its colors."),
    ] = 1.0

    def apply(self, image: Image.Image) -> Image.Image:
        if self.amount == 0:
            return image
        matrix: list[float] = []
        for row, weights in enumerate(SEPIA):
            matrix += [
                self.amount * weight + (1 - self.amount) * (row == column) for column, weight in enumerate(weights)
            ]
            matrix.append(0)
        return apply_to_colors(image, lambda colors: colors.convert("RGB", tuple(matrix)))
