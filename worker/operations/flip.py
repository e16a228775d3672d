from typing import Annotated, Literal

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Operation

_TRANSPOSES = {
    "horizontal": Image.Transpose.FLIP_LEFT_RIGHT,
    "vertical": Image.Transpose.FLIP_TOP_BOTTOM,
    "both": Image.Transpose.ROTATE_180,
}


class Flip(Operation, frozen=True, tag="flip"):
    """Mirror the image."""

    modes = WORKING_MODES

    direction: Annotated[
        Literal["horizontal", "vertical", "both"],
        Meta(
            description="horizontal swaps left and right, vertical swaps top and bottom, both rotates by 180 degrees."
        ),
    ] = "horizontal"

    @property
    def only_moves_pixels(self) -> bool:
        return True

    def apply(self, image: Image.Image) -> Image.Image:
        return image.transpose(_TRANSPOSES[self.direction])
