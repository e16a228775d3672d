"""The search for the best quality that fits."""

import math
from collections.abc import Callable

from worker.errors import PictureError


def best_that_fits(save: Callable[[int], bytes], best: int, max_bytes: int) -> bytes:
    """Return `save(quality)` for the highest quality from 1 to `best` that gives at most `max_bytes`.

    The logarithm of a file's size grows about evenly with quality, so that each guess lands near: some five files are
    written, at most eleven. Raises `PictureError` when not even quality 1 fits.
    """
    data = save(best)
    if len(data) <= max_bytes:
        return data
    too_large, too_large_bytes = best, len(data)
    fits, fitting = 0, b""
    while too_large - fits > 1:
        guess = (
            (fits + too_large) // 2
            if not fitting
            else fits + round((too_large - fits) * _share(len(fitting), too_large_bytes, max_bytes))
        )
        guess = min(max(guess, fits + 1), too_large - 1)
        data = save(guess)
        if len(data) <= max_bytes:
            fits, fitting = guess, data
        else:
            too_large, too_large_bytes = guess, len(data)
    if not fitting:
        raise PictureError(
            f"the result has {too_large_bytes:,} bytes at the lowest quality; max_bytes is {max_bytes:,}"
        )
    return fitting


def _share(fitting_bytes: int, too_large_bytes: int, max_bytes: int) -> float:
    return math.log(max_bytes / fitting_bytes) / math.log(too_large_bytes / fitting_bytes)
