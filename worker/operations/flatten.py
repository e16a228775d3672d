from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.colors import ALPHA_MODES, Color, pixel_value, promote_mode_for, translucent_problems
from worker.validation.fields import Problem


class Flatten(Operation, frozen=True, tag="flatten"):
    """Composite an image with alpha over an opaque background."""

    modes = WORKING_MODES

    background: Annotated[Color, Meta(description="Color of the background; must be opaque.")] = "white"

    def problems(self) -> list[Problem]:
        return translucent_problems(background=self.background)

    def apply(self, image: Image.Image) -> Image.Image:
        if image.mode not in ALPHA_MODES:
            return image
        image = promote_mode_for(image, self.background)
        mode = image.mode.removesuffix("A")
        canvas = Image.new(mode, image.size, pixel_value(self.background, mode))
        canvas.paste(image.convert(mode), mask=image.getchannel("A"))
        return canvas
