from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.geometry import MAX_SIDE


class Pixelate(Operation, frozen=True, tag="pixelate"):
    """Turn the image into a mosaic of square blocks, each in its mean color."""

    modes = WORKING_MODES

    size: Annotated[int, Meta(ge=1, le=MAX_SIDE, description="Side of the blocks in pixels; 1 changes nothing.")] = 10

    def apply(self, image: Image.Image) -> Image.Image:
        if self.size == 1:
            return image
        # Pillow can average 32-bit pixels but not 16-bit ones; it handles alpha correctly.
        blocks = (image.convert("I") if image.mode == "I;16" else image).reduce(self.size).convert(image.mode)
        covered = (0, 0, image.width / self.size, image.height / self.size)
        return blocks.resize(image.size, Image.Resampling.NEAREST, covered)
