"""How far a picture is reduced by coarser means before a good filter does the rest.

Every figure is the worst PSNR against Lanczos on all pixels, over photographs of 0.1, 2 and 12 megapixels and results
of 16 pixels to a quarter of the width.
"""

from worker.pixels.geometry import Size

DECODER_GAP = 2.3
"""How much larger than the result a JPEG stays when its decoder reduces it: 46.5 dB; 2.05 gave 45, 2.5 gives 47.4."""

REDUCING_GAP = 3.0
"""The same when the mean of whole pixels is taken, for one result or halving for several: 49 dB, and 45.6 dB on a
picture of repeated detail, where 2.5 gave 42 dB."""

RESULT_GAP = 2.0
"""The same from one result of Lanczos to a smaller one, and so on down to icons: 48 dB; 1.75 gave 45.8."""

LEAST_SIDE = 128
"""What the longer side keeps at least: for results of 16 to 32 pixels the gaps alone gave 43 dB."""


def kept_gap(gap: float, result: Size) -> float:
    """Return how much larger than a result of this size a reduced picture must be."""
    return max(gap, LEAST_SIDE / max(result))
