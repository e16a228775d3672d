from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.canvas import place_on_canvas
from worker.pixels.colors import Color
from worker.pixels.geometry import Size


class Border(Operation, frozen=True, tag="border"):
    """Add a border around the image, which grows by its width on each side."""

    modes = WORKING_MODES

    width: Annotated[int, Meta(ge=1, le=5000, description="Width of the border in pixels.")] = 10
    color: Annotated[
        Color, Meta(description="Color of the border; a 16-bit image gets the gray value of an opaque color.")
    ] = "black"

    def output_size(self, size: Size) -> Size:
        return size[0] + 2 * self.width, size[1] + 2 * self.width

    def apply(self, image: Image.Image) -> Image.Image:
        return place_on_canvas(image, self.output_size(image.size), (self.width, self.width), self.color)
