from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Annotated

from msgspec import Meta
from PIL import Image

from worker.operations.base import Assets, Operation
from worker.pixels.colors import apply_to_colors, visible_histograms


class Autocontrast(Operation, frozen=True, tag="autocontrast"):
    """Stretch the contrast until the darkest pixels are black and the brightest white, ignoring transparent ones."""

    cutoff: Annotated[
        float,
        Meta(
            ge=0,
            lt=50,
            description="Percentage of the darkest and of the brightest pixels that may be clipped to black or white.",
        ),
    ] = 0.0
    preserve_tone: Annotated[
        bool,
        Meta(
            description="Whether red, green and blue are stretched by the same amount, by luma; if false, separately."
        ),
    ] = False

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:  # noqa: ARG002
        bands = len(frames[0].mode.removesuffix("A"))
        if self.preserve_tone and bands == 3:
            grey = [frame.convert("LA" if frame.mode == "RGBA" else "L") for frame in frames]
            table = self._table(visible_histograms(grey)[0]) * bands
        else:
            table = [value for histogram in visible_histograms(frames) for value in self._table(histogram)]
        return partial(apply_to_colors, change=lambda colors: colors.point(table))

    def _table(self, histogram: list[int]) -> list[int]:
        lost = sum(histogram) * self.cutoff / 100
        low = _first_beyond(histogram, lost)
        high = 255 - _first_beyond(histogram[::-1], lost)
        if high <= low:
            return list(range(256))
        return [min(max(round((value - low) * 255 / (high - low)), 0), 255) for value in range(256)]


def _first_beyond(histogram: list[int], count: float) -> int:
    """Return the first value up to which there are more than `count` pixels; 255 if there are none."""
    return next((value for value, total in enumerate(accumulate(histogram)) if total > count), 255)
