from typing import Annotated

from msgspec import Meta
from PIL import Image, ImageFilter

from worker.operations.base import Operation
from worker.pixels.colors import on_visible_colors


class Sharpen(Operation, frozen=True, tag="sharpen"):
    """Sharpen the picture with an unsharp mask: what a blur would take away is added instead; transparency stays."""

    modes = ("L", "LA", "RGB", "RGBA", "CMYK")

    radius: Annotated[
        float,
        Meta(ge=0.1, le=100, description="Standard deviation of that blur in pixels: how far from an edge it is felt."),
    ] = 2.0
    percent: Annotated[
        int, Meta(ge=0, le=1000, description="How much is added, in per cent of the difference; 0 changes nothing.")
    ] = 150
    threshold: Annotated[
        int,
        Meta(
            ge=0,
            le=255,
            description=(
                "Difference to the blur, 0 to 255, up to which nothing is added: spares noise and soft gradients."
            ),
        ),
    ] = 3

    def apply(self, image: Image.Image) -> Image.Image:
        mask = ImageFilter.UnsharpMask(self.radius, self.percent, self.threshold)
        return on_visible_colors(image, self.radius, lambda picture: picture.filter(mask))
