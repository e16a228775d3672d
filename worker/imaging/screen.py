"""GIF's screen, which Pillow makes larger for a frame that reaches over it, and for what that frame leaves, unasked."""

from collections.abc import Callable
from io import BytesIO

from PIL import GifImagePlugin

from worker.pixels.geometry import Size


class BoundedGif(GifImagePlugin.GifImageFile):
    """A GIF whose screen is shown to `check`, which may raise, before any room is made for it."""

    def __init__(self, data: bytes, check: Callable[[Size], None]) -> None:
        self._check = check
        super().__init__(BytesIO(data))

    @property
    def _size(self) -> Size:
        return self._bounded_size

    @_size.setter
    def _size(self, size: Size) -> None:
        self._check(size)
        self._bounded_size = size
