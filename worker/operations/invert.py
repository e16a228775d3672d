from PIL import Image, ImageChops

from worker.operations.base import Operation
from worker.pixels.colors import apply_to_colors


class Invert(Operation, frozen=True, tag="invert"):
    """Invert the colors, as in a negative; transparency is preserved."""

    modes = ("L", "LA", "RGB", "RGBA", "I;16")

    def apply(self, image: Image.Image) -> Image.Image:
        if image.mode == "I;16":
            return image.point(lambda value: value * -1 + 65_535)
        return apply_to_colors(image, ImageChops.invert)
