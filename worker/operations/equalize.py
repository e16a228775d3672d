from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate

from PIL import Image

from worker.operations.base import Assets, Operation
from worker.pixels.colors import apply_to_colors, visible_histograms


class Equalize(Operation, frozen=True, tag="equalize"):
    """Equalize the histogram of each color channel, ignoring transparent pixels."""

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:  # noqa: ARG002
        table = [value for histogram in visible_histograms(frames) for value in _table(histogram)]
        return partial(apply_to_colors, change=lambda colors: colors.point(table))


def _table(histogram: list[int]) -> list[int]:
    """Map each value to the share of pixels below it, from 0 for the lowest to 255 for the highest."""
    present = [count for count in histogram if count]
    if len(present) < 2:
        return list(range(256))
    spread = sum(histogram) - present[-1]
    below = (total - count for total, count in zip(accumulate(histogram), histogram, strict=True))
    return [min(255, (255 * count + spread // 2) // spread) for count in below]
