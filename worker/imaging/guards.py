"""Pillow's configuration, and checks that it does not make: pixel limits and JPEG scans."""

import re
import warnings

from msgspec import Struct
from PIL import Image, PngImagePlugin

from worker.errors import TooLarge, UnsupportedVariant
from worker.imaging.formats import OutputFormat
from worker.pixels.geometry import Size
from worker.pixels.profiles import MAX_PROFILE_BYTES

BLOCKS_PER_THREAD = 4
"""Blocks of up to 16 MB that Pillow keeps for each thread: 12 MP in RGB need three, and the result one."""

BLOCK_CACHE_MB = BLOCKS_PER_THREAD * 16
"""Memory that Pillow keeps for each thread, at most."""


def configure_pillow(threads: int = 0) -> None:
    """Set the limits and warnings of Pillow for this process, which decodes in `threads`; call it once at the start."""
    # Otherwise Pillow returns the memory of each image to the system, and the next one costs as many page faults:
    # decoding 12 MP took 67 ms instead of 48.
    Image.core.set_blocks_max(BLOCKS_PER_THREAD * threads)  # type: ignore[attr-defined]
    # Pillow warns at 89 megapixels and fails at twice that; `check_pixels` checks MAX_PIXELS of the settings instead.
    Image.MAX_IMAGE_PIXELS = None
    # Also the maximum size of a color profile in a PNG; `worker.imaging.containers.png` has a lower one for texts.
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES
    # Pillow warns of harmless oddities with a different text for each file, which would fill the log.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class Limits(Struct, frozen=True):
    """The limits of an image; pixels are summed over all frames that are decoded or encoded."""

    max_pixels: int
    max_frames: int
    max_output_pixels: int


class TooManyPixels(TooLarge):
    def __init__(self, size: Size, frames: int, max_pixels: int) -> None:
        what = f"{size[0]} x {size[1]} pixels" + (f" in {frames} frames" if frames > 1 else "")
        super().__init__(f"{what} are too many; an image may have {max_pixels:,} pixels in total")


def check_pixels(size: Size, frames: int, max_pixels: int) -> None:
    if size[0] * size[1] * frames > max_pixels:
        raise TooManyPixels(size, frames, max_pixels)


MAX_SCANS = 200
"""Maximum number of scans. Encoders write ten, optimizers up to about sixty; each takes 40 ms for 64 megapixels."""

# The SOS marker with its possible lengths, for one to four components (ITU-T T.81, B.2.3): one in 5,000 random files of
# 50 MB contains one by chance.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")


def check_scans(data: bytes) -> None:
    """Raise `TooLarge` if the images of a file have more than `MAX_SCANS` scans in total."""
    scans = sum(1 for _ in _SCAN.finditer(data))
    if scans > MAX_SCANS:
        raise TooLarge(f"the JPEG must have at most {MAX_SCANS} scans; got {scans:,}")


MAX_JPEG2000_PIXELS = 16_000_000
"""Maximum number of pixels of a JPEG 2000 that is read or written. Pillow holds the GIL for its codec, half a second
for each megapixel of noise, and the whole worker waits."""

MAX_JPEG2000_COMPONENTS = 4


def check_jpeg2000(size: Size, components: int, max_pixels: int) -> None:
    """Raise `TooLarge` or `UnsupportedVariant` if a JPEG 2000 has more pixels or components than can be decoded."""
    check_pixels(size, 1, min(max_pixels, MAX_JPEG2000_PIXELS))
    if components > MAX_JPEG2000_COMPONENTS:
        raise UnsupportedVariant(f"a JPEG 2000 may have {MAX_JPEG2000_COMPONENTS} components; got {components:,}")


def check_result_size(size: Size, target: OutputFormat) -> None:
    """Raise `TooLarge` if a format cannot hold an image of this size."""
    would_be = f"the result would be {size[0]} x {size[1]} pixels; {target.value} allows at most"
    if max(size) > target.max_side:
        raise TooLarge(f"{would_be} {target.max_side} per side")
    if target is OutputFormat.JPEG2000 and size[0] * size[1] > MAX_JPEG2000_PIXELS:
        raise TooLarge(f"{would_be} {MAX_JPEG2000_PIXELS:,} in total")
