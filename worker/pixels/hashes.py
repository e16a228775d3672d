"""BlurHash and ThumbHash previews, and a perceptual hash for finding similar images."""

from base64 import b64encode
from collections.abc import Iterable
from math import cos, pi
from operator import mul
from statistics import median

import blurhash
from PIL import Image
from thash import rgba_to_thumb_hash_pure  # numpy's variant differs in the last bit

from worker.pixels.resampling import thumbnail

PREVIEW_SIDE = 32
"""Size in pixels to which an image is reduced for previews, which have at most 9 components per side."""

BLURHASH_COMPONENTS = 4, 3
"""Components along the longer and the shorter side, as usual."""

PHASH_SIDE, PHASH_WAVES = 32, 8

COSINES = [
    [cos(pi * wave * (2 * at + 1) / (2 * PHASH_SIDE)) for at in range(PHASH_SIDE)] for wave in range(PHASH_WAVES)
]
"""Lowest frequencies of the discrete cosine transform (DCT-II)."""


def blur_hash(image: Image.Image) -> str:
    """Return the BlurHash (blurha.sh) of a small RGB image."""
    image = thumbnail(image, PREVIEW_SIDE)
    pixels = image.tobytes()
    rows = [
        [pixels[at : at + 3] for at in range(start, start + image.width * 3, 3)]
        for start in range(0, len(pixels), image.width * 3)
    ]
    longer, shorter = BLURHASH_COMPONENTS
    return str(blurhash.encode(rows, *((longer, shorter) if image.width >= image.height else (shorter, longer))))


def thumb_hash(image: Image.Image) -> str:
    """Return the ThumbHash (evanw.github.io/thumbhash) of a small RGBA image in base64."""
    image = thumbnail(image, PREVIEW_SIDE)
    return b64encode(bytes(rgba_to_thumb_hash_pure(*image.size, list(image.tobytes())))).decode()


def perceptual_hash(image: Image.Image) -> str:
    """Return the perceptual hash of 64 bits in hexadecimal, in which similar images differ in few bits.

    Each bit says whether one of the 64 lowest frequencies of the gray image is above their median (pHash, with the same
    bits as `phash` of ImageHash).
    """
    # Pillow's filter, as in ImageHash: a rounding difference changes bits.
    grey = image.convert("L").resize((PHASH_SIDE, PHASH_SIDE), Image.Resampling.LANCZOS).tobytes()
    rows = [grey[start : start + PHASH_SIDE] for start in range(0, len(grey), PHASH_SIDE)]
    across = [[_wave(row, cosines) for cosines in COSINES] for row in rows]
    columns = list(zip(*across, strict=True))
    # Rounded, so that frequencies that a flat or symmetric image does not have are exactly zero.
    waves = [round(_wave(column, cosines), 6) for cosines in COSINES for column in columns]
    middle = median(waves)
    return f"{sum((wave > middle) << place for place, wave in enumerate(reversed(waves))):016x}"


def _wave(samples: Iterable[float], cosines: list[float]) -> float:
    return float(sum(map(mul, samples, cosines)))
