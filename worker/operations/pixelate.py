from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.geometry import MAX_SIDE


class Pixelate(Operation, frozen=True, tag="pixelate"):
    """Turn the picture into a mosaic of square blocks, each the mean of what was there."""

    modes = WORKING_MODES

    size: Annotated[
        int, Meta(ge=1, le=MAX_SIDE, description="Side of the blocks in pixels; 1 leaves the picture as it is.")
    ] = 10

    def apply(self, image: Image.Image) -> Image.Image:
        if self.size == 1:
            return image
        # Pillow averages no 16-bit pixels, but 32-bit ones; of those with alpha it takes care by itself.
        blocks = (image.convert("I") if image.mode == "I;16" else image).reduce(self.size).convert(image.mode)
        covered = (0, 0, image.width / self.size, image.height / self.size)
        return blocks.resize(image.size, Image.Resampling.NEAREST, covered)
