from typing import Annotated, ClassVar

from msgspec import Meta
from PIL import Image

from worker.operations.base import WORKING_MODES, Operation
from worker.pixels.colors import Color, rgba, translucent_problems
from worker.validation.fields import Problem


class Duotone(Operation, frozen=True, tag="duotone"):
    """Map the tones of the image to a gradient from a dark to a light color; transparency is preserved."""

    srgb_modes: ClassVar[tuple[str, ...]] = WORKING_MODES

    dark: Annotated[Color, Meta(description="Color for black; must be opaque.")] = "midnightblue"
    light: Annotated[Color, Meta(description="Color for white; must be opaque.")] = "bisque"

    def problems(self) -> list[Problem]:
        return translucent_problems(dark=self.dark, light=self.light)

    def apply(self, image: Image.Image) -> Image.Image:
        luma = image.convert("L")
        tables = [
            [round(dark + (light - dark) * value / 255) for value in range(256)]
            for dark, light in zip(rgba(self.dark)[:3], rgba(self.light)[:3], strict=True)
        ]
        bands = [luma.point(table) for table in tables]
        if image.mode in ("LA", "RGBA"):
            return Image.merge("RGBA", [*bands, image.getchannel("A")])
        return Image.merge("RGB", bands)
