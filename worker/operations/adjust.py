from collections.abc import Mapping
from math import cos, radians, sin
from typing import Annotated, Any, ClassVar

from msgspec import Meta
from PIL import Image

from worker.operations.base import Operation
from worker.pixels.colors import apply_to_colors

LUMA = (0.213, 0.715, 0.072)
"""Weights of red, green and blue in CSS filters (W3C Filter Effects, feColorMatrix)."""

QUARTER_TURN = ((-0.213, -0.715, 0.928), (0.143, 0.140, -0.283), (-0.787, 0.715, 0.072))
"""The matrix of feColorMatrix hueRotate that is multiplied by the sine of the angle."""


class Adjust(Operation, frozen=True, tag="adjust"):
    """Change brightness, contrast, saturation, hue and gamma, in this order; without parameters nothing changes.

    The first four equal the CSS filters of the same names, without clipping in between. Transparency is preserved.
    """

    example: ClassVar[Mapping[str, Any]] = {"brightness": 1.1, "contrast": 1.2}

    brightness: Annotated[
        float, Meta(ge=0, le=10, description="Factor for all colors: 0 is black, 1 changes nothing, 2 doubles them.")
    ] = 1.0
    contrast: Annotated[
        float, Meta(ge=0, le=10, description="Factor for the distance from mid-gray: 0 is gray, 1 changes nothing.")
    ] = 1.0
    saturation: Annotated[
        float, Meta(ge=0, le=10, description="Factor for the saturation: 0 is grayscale, 1 changes nothing.")
    ] = 1.0
    hue: Annotated[float, Meta(ge=-180, le=180, description="Rotation of hues in degrees: 120 turns red to green.")] = (
        0.0
    )
    gamma: Annotated[
        float,
        Meta(
            ge=0.1,
            le=10,
            description="Gamma correction: above 1 lightens the midtones, below 1 darkens them; 1 changes nothing.",
        ),
    ] = 1.0

    def apply(self, image: Image.Image) -> Image.Image:
        return image if self == Adjust() else apply_to_colors(image, self._adjust)

    def _adjust(self, image: Image.Image) -> Image.Image:
        scale, offset = self.brightness * self.contrast, 127.5 * (1 - self.contrast)
        if image.mode == "RGB" and (self.saturation != 1 or self.hue != 0):
            image = image.convert("RGB", self._matrix(scale, offset))
            scale, offset = 1.0, 0.0
        if (scale, offset, self.gamma) == (1, 0, 1):
            return image
        table = [self._tone(scale * value + offset) for value in range(256)]
        return image.point(table * len(image.getbands()))

    def _matrix(self, scale: float, offset: float) -> tuple[float, ...]:
        """Return the 3 x 4 color matrix of everything but gamma."""
        cosine, sine = self.saturation * cos(radians(self.hue)), self.saturation * sin(radians(self.hue))
        matrix: list[float] = []
        for row, turned in enumerate(QUARTER_TURN):
            for column, luma in enumerate(LUMA):
                matrix.append(scale * (luma + cosine * ((row == column) - luma) + sine * turned[column]))
            matrix.append(offset)
        return tuple(matrix)

    def _tone(self, value: float) -> int:
        share: float = (min(max(value, 0), 255) / 255) ** (1 / self.gamma)
        return round(255 * share)
