from typing import Annotated, Literal

from msgspec import Meta
from PIL import Image, ImageOps

from worker.operations.base import Operation, Size

MAX_SIDE = 16_383  # what WebP holds; more than any screen or print of a photograph asks for
DEFAULT_SIDE = 100

WHITE: dict[str, float | tuple[int, ...]] = {
    "L": 255,
    "LA": (255, 0),
    "RGB": (255, 255, 255),
    "RGBA": (255, 255, 255, 0),
    "CMYK": (0, 0, 0, 0),
    "I;16": 65_535,
}
"""White for each working mode, transparent where the mode has alpha."""


class Resize(Operation, frozen=True, tag="resize"):
    """Change the size; 100 x 100 pixels when neither width nor height is given, in proportion when only one is."""

    width: Annotated[int, Meta(ge=1, le=MAX_SIDE, description="Width in pixels.")] | None = None
    height: Annotated[int, Meta(ge=1, le=MAX_SIDE, description="Height in pixels.")] | None = None
    fit: Annotated[
        Literal["fill", "contain", "cover", "inside", "outside"],
        Meta(
            description=(
                "How the picture meets width x height: fill stretches it; contain fits it in and pads with white, "
                "or with transparency where it has some; cover fills the box and crops around the centre; inside "
                "and outside keep proportions and make it as large as fits, or as small as covers, the box."
            )
        ),
    ] = "fill"

    def output_size(self, size: Size) -> Size:
        box = self._box(size)
        if self.fit in ("fill", "contain", "cover"):
            return box
        scales = box[0] / size[0], box[1] / size[1]
        return _scaled(size, min(scales) if self.fit == "inside" else max(scales))

    def apply(self, image: Image.Image) -> Image.Image:
        target = self.output_size(image.size)
        if self.fit == "cover":
            return ImageOps.fit(image, target, Image.Resampling.LANCZOS)
        if self.fit == "contain":
            return _contained(image, target)
        return image.resize(target, Image.Resampling.LANCZOS)

    def _box(self, size: Size) -> Size:
        if self.width is not None and self.height is not None:
            return self.width, self.height
        if self.width is not None:
            return self.width, max(1, round(size[1] * self.width / size[0]))
        if self.height is not None:
            return max(1, round(size[0] * self.height / size[1])), self.height
        return DEFAULT_SIDE, DEFAULT_SIDE


def _scaled(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _contained(image: Image.Image, box: Size) -> Image.Image:
    size = _scaled(image.size, min(box[0] / image.width, box[1] / image.height))
    canvas = Image.new(image.mode, box, WHITE[image.mode])
    canvas.paste(image.resize(size, Image.Resampling.LANCZOS), ((box[0] - size[0]) // 2, (box[1] - size[1]) // 2))
    return canvas
