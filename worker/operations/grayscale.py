from PIL import Image

from worker.operations.base import Operation


class Grayscale(Operation, frozen=True, tag="grayscale"):
    """Turn the picture into shades of grey (ITU-R BT.601 luma); transparency stays."""

    def apply(self, image: Image.Image) -> Image.Image:
        if image.mode in ("L", "LA", "I;16"):
            return image.copy()
        return image.convert("LA" if image.mode == "RGBA" else "L")
