"""Resample images, with SIMD code for the common modes and filters, and with Pillow for the others."""

from typing import Literal

from PIL import Image

from worker.pixels.geometry import RESULT_GAP, Box, Size, minimum_gap, size_within

try:
    import cykooz_resizer as simd
except ImportError:  # there are no wheels for Linux on ARM and for musl
    simd = None

Filter = Literal["lanczos", "bicubic", "bilinear", "hamming", "box", "nearest"]
"""From the sharpest to the simplest; `bicubic` is Catmull-Rom."""

RESAMPLER = "Pillow" if simd is None else f"cykooz-resizer ({simd.Resizer().cpu_extensions.name})"
"""The library that resamples the common modes, and the instruction set that it uses."""

SIMD_MODES = ("L", "RGB", "RGBA", "CMYK")
SIMD_FILTERS = {"lanczos": "lanczos3", "bicubic": "catmull_rom", "bilinear": "bilinear", "box": "box"}


def resample(image: Image.Image, size: Size, by: Filter = "lanczos", box: Box | None = None) -> Image.Image:
    """Return the part of an image within `box`, by default all of it, scaled to `size` in pixels.

    Alpha is premultiplied, so that the colors of transparent pixels do not bleed. Results of the two libraries differ
    by rounding: see tests/worker/pixels/test_resampling.py.
    """
    if simd is None or image.mode not in SIMD_MODES or by not in SIMD_FILTERS:
        return image.resize(size, Image.Resampling[by.upper()], box)
    left, upper, right, lower = box or (0, 0, *image.size)
    options = simd.ResizeOptions()
    options.resize_alg = simd.ResizeAlg.convolution(simd.FilterType[SIMD_FILTERS[by]])
    # Rounding of the difference must not move an edge out of the image.
    width, height = min(right - left, image.width - left), min(lower - upper, image.height - upper)
    options.crop_box = simd.CropBox(left, upper, width, height)
    resampled = Image.new(image.mode, size)
    simd.Resizer().resize_pil(image, resampled, options)
    return resampled


def thumbnail(image: Image.Image, side: int) -> Image.Image:
    """Return the image, scaled down if necessary to at most `side` pixels per side by the mean of its pixels."""
    size = size_within(image.size, side)
    return image if size == image.size else resample(image, size, "box")


class Scales:
    """A decoded image, and smaller images of the whole of it, from which variants can be scaled."""

    def __init__(self, image: Image.Image, box: Box) -> None:
        self._images: list[tuple[Image.Image, Box]] = [(image, box)]

    def source(self, least: Size) -> tuple[Image.Image, Box]:
        """Return the smallest image that is sufficient for a result of size `least`, and the box of the whole in it."""
        gap = minimum_gap(RESULT_GAP, least)
        for image, box in reversed(self._images[1:]):
            if min(image.width / least[0], image.height / least[1]) >= gap:
                return image, box
        return self._images[0]

    def keep(self, result: Image.Image) -> None:
        """Keep a whole image that Lanczos has scaled, if it is at most half as large as the last one."""
        last, _ = self._images[-1]
        if result.width * result.height * 2 <= last.width * last.height:
            self._images.append((result, (0, 0, *result.size)))
