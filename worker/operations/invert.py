from PIL import Image, ImageChops

from worker.operations.base import Operation
from worker.pixels.colors import on_colours


class Invert(Operation, frozen=True, tag="invert"):
    """Turn the picture into its negative: black becomes white, each colour its complement; transparency stays."""

    modes = ("L", "LA", "RGB", "RGBA", "I;16")

    def apply(self, image: Image.Image) -> Image.Image:
        if image.mode == "I;16":
            return image.point(lambda value: value * -1 + 65_535)
        return on_colours(image, ImageChops.invert)
