"""The search for the best quality that fits."""

from collections.abc import Callable

from worker.errors import PictureError


def best_that_fits(save: Callable[[int], bytes], best: int, max_bytes: int) -> bytes:
    """Return `save(quality)` for the highest quality from 1 to `best` that gives at most `max_bytes`.

    By halving: at most eight files are written. Guesses by the sizes so far took seven on average, but up to twelve for
    photographs, and 43 where a file's size leaps. Raises `PictureError` when not even quality 1 fits.
    """
    data = save(best)
    if len(data) <= max_bytes:
        return data
    fits, fitting = 0, b""
    too_large, too_large_bytes = best, len(data)
    while too_large - fits > 1:
        guess = (fits + too_large) // 2
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
