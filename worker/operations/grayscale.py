from typing import ClassVar

from PIL import Image

from worker.operations.base import WORKING_MODES, Operation


class Grayscale(Operation, frozen=True, tag="grayscale"):
    """Convert the image to grayscale (ITU-R BT.601 luma); transparency is preserved."""

    modes = WORKING_MODES
    srgb_modes: ClassVar[tuple[str, ...]] = ("RGB", "RGBA", "CMYK")
    decode_mode: ClassVar[str | None] = "L"  # a JPEG stores luma separately, so its chroma need not be decoded

    def apply(self, image: Image.Image) -> Image.Image:
        if image.mode in ("L", "LA", "I;16"):
            return image
        return image.convert("LA" if image.mode == "RGBA" else "L")
