from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta
from PIL import Image, ImageFilter

from worker.operations.base import Operation
from worker.pixels.colors import apply_premultiplied


class Blur(Operation, frozen=True, tag="blur"):
    """Soften the image with a Gaussian blur."""

    example: ClassVar[Mapping[str, Any]] = {"sigma": 4}

    modes = ("L", "LA", "RGB", "RGBA", "CMYK")

    sigma: Annotated[
        float,
        Meta(ge=0.1, le=1000, description="Standard deviation of the Gaussian in pixels; larger is softer."),
    ] = 2.0

    def apply(self, image: Image.Image) -> Image.Image:
        return apply_premultiplied(image, lambda picture: picture.filter(ImageFilter.GaussianBlur(self.sigma)))
