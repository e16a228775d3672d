from typing import Annotated, ClassVar

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.colors import apply_to_colors

SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
"""The color matrix of sepia() (W3C Filter Effects)."""


class Sepia(Operation, frozen=True, tag="sepia"):
    """Apply a sepia tone, as sepia() in CSS; transparency is preserved."""

    modes = ("RGB", "RGBA")
    srgb_modes: ClassVar[tuple[str, ...]] = WORKING_MODES

    amount: Annotated[
        float,
        Meta(ge=0, le=1, description="Strength: 0 changes nothing, 1 is full sepia."),
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
