from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import Operation
from worker.pixels.colors import promote_mode_for


class Opacity(Operation, frozen=True, tag="opacity"):
    """Multiply the alpha of the image by a factor."""

    amount: Annotated[
        float,
        Meta(ge=0, le=1, description="Factor for the alpha: 0 makes the image transparent, 1 changes nothing."),
    ] = 0.5

    def apply(self, image: Image.Image) -> Image.Image:
        if self.amount == 1:
            return image
        translucent = promote_mode_for(image, "transparent").copy()
        translucent.putalpha(translucent.getchannel("A").point([round(alpha * self.amount) for alpha in range(256)]))
        return translucent
