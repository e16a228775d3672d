"""One image at several scales, shared by variants that shrink it."""

from PIL import Image

from worker.pixels.geometry import REDUCING_GAP, RESULT_GAP, Box, Size, decoder_gap

HALVED_MODES = ("L", "RGB", "CMYK")
"""Modes whose pixels can be averaged directly: no alpha, no 16 bits."""


class Scales:
    """The decoded image, its halvings, and results of it that are complete images."""

    def __init__(self, image: Image.Image, box: Box) -> None:
        self._halves: list[tuple[Image.Image, Box]] = [(image, box)]
        self._results: list[Image.Image] = []

    def source(self, least: Size) -> tuple[Image.Image, Box]:
        """Return the smallest image that is sufficient for a result of size `least`, and the box of the whole in it."""
        for image in reversed(self._results):
            if min(image.width / least[0], image.height / least[1]) >= decoder_gap(RESULT_GAP, least):
                return image, (0, 0, *image.size)
        return self._halve(least)

    def keep(self, result: Image.Image) -> None:
        """Keep a whole image that Lanczos has scaled, if it is at most half as large as the last one."""
        last = self._results[-1] if self._results else self._halves[0][0]
        if result.width * result.height * 2 <= last.width * last.height:
            self._results.append(result)

    def _halve(self, least: Size) -> tuple[Image.Image, Box]:
        """Return the image halved as often as `least` allows; halvings are kept."""
        gap = decoder_gap(REDUCING_GAP, least)
        number = 0
        while True:
            image, box = self._halves[number]
            half = box[0] / 2, box[1] / 2, box[2] / 2, box[3] / 2
            if min((half[2] - half[0]) / least[0], (half[3] - half[1]) / least[1]) < gap:
                return image, box
            if image.mode not in HALVED_MODES:
                return image, box
            number += 1
            if number == len(self._halves):
                self._halves.append((image.reduce(2), half))
