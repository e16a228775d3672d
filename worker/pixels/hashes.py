"""Short strings that stand for a picture: two kinds of blurred preview, and one to find pictures that look alike."""

from base64 import b64encode
from collections.abc import Iterable
from math import cos, pi
from operator import mul
from statistics import median

import blurhash
from PIL import Image
from thash import rgba_to_thumb_hash_pure  # numpy's variant would differ in the last bit

PREVIEW_SIDE = 32
"""To which size a picture is reduced for the previews, which hold at most 9 waves on a side."""

BLURHASH_COMPONENTS = 4, 3
"""Waves along the longer and the shorter side, as is usual."""

PHASH_SIDE, PHASH_WAVES = 32, 8

COSINES = [
    [cos(pi * wave * (2 * at + 1) / (2 * PHASH_SIDE)) for at in range(PHASH_SIDE)] for wave in range(PHASH_WAVES)
]
"""The discrete cosine transform's (DCT-II) lowest waves."""


def blur_hash(image: Image.Image) -> str:
    """Return the BlurHash (blurha.sh) of a small RGB picture."""
    image = _preview(image)
    pixels = image.tobytes()
    rows = [
        [pixels[at : at + 3] for at in range(start, start + image.width * 3, 3)]
        for start in range(0, len(pixels), image.width * 3)
    ]
    longer, shorter = BLURHASH_COMPONENTS
    return str(blurhash.encode(rows, *((longer, shorter) if image.width >= image.height else (shorter, longer))))


def thumb_hash(image: Image.Image) -> str:
    """Return the ThumbHash (evanw.github.io/thumbhash) of a small RGBA picture in base64."""
    image = _preview(image)
    return b64encode(bytes(rgba_to_thumb_hash_pure(*image.size, list(image.tobytes())))).decode()


def perceptual_hash(image: Image.Image) -> str:
    """Return 64 bits in hexadecimal that pictures which look alike have in common, all but a few.

    A bit says whether one of the 64 lowest waves of the picture in grey is above their median: what is known as pHash,
    with the same bits as ImageHash's `phash`.
    """
    grey = image.convert("L").resize((PHASH_SIDE, PHASH_SIDE), Image.Resampling.LANCZOS).tobytes()
    rows = [grey[start : start + PHASH_SIDE] for start in range(0, len(grey), PHASH_SIDE)]
    across = [[_wave(row, cosines) for cosines in COSINES] for row in rows]
    columns = list(zip(*across, strict=True))
    # Rounded, so that waves which a flat or symmetric picture does not have are zero, and not what rounding left.
    waves = [round(_wave(column, cosines), 6) for cosines in COSINES for column in columns]
    middle = median(waves)
    return f"{sum((wave > middle) << place for place, wave in enumerate(reversed(waves))):016x}"


def _wave(samples: Iterable[float], cosines: list[float]) -> float:
    return float(sum(map(mul, samples, cosines)))


def _preview(image: Image.Image) -> Image.Image:
    copy = image.copy()
    copy.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BOX)
    return copy
