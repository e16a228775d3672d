from typing import Annotated

from msgspec import Meta
from PIL import Image, ImageFilter

from worker.operations.base import Operation
from worker.pixels.colors import on_visible_colors


class Sharpen(Operation, frozen=True, tag="sharpen"):
    """Sharpen the image with an unsharp mask; transparency is preserved."""

    modes = ("L", "LA", "RGB", "RGBA", "CMYK")

    radius: Annotated[
        float,
        Meta(ge=0.1, le=100, description="Standard deviation of the blur of the mask in pixels."),
    ] = 2.0
    percent: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Strength in percent of the difference from the blurred image; 0 changes nothing.",
        ),
    ] = 150
    threshold: Annotated[
        int,
        Meta(
            ge=0,
            le=255,
            description=(
                "Difference from the blurred image, 0 to 255, up to which pixels do not change, which spares noise and "
                "gradients."
            ),
        ),
    ] = 3

    def apply(self, image: Image.Image) -> Image.Image:
        mask = ImageFilter.UnsharpMask(self.radius, self.percent, self.threshold)
        return on_visible_colors(image, self.radius, lambda picture: picture.filter(mask))
