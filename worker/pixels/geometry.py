"""Sizes, boxes and places, as the operations use them."""

from typing import Annotated, Literal

from msgspec import Meta

Size = tuple[int, int]
"""Width and height in pixels."""

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels; edges may lie within a pixel."""

MAX_SIDE = 16_383
"""What WebP holds; more than any screen or print of a photograph asks for."""

Compass = Literal[
    "center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"
]  # fmt: skip

Position = Annotated[Compass, Meta(description="Where it lies: center, or the side or corner that it touches.")]

CropPosition = Annotated[
    Literal[Compass, "smart"],
    Meta(
        description=(
            "What is kept: the center, the side or corner that is named, or, with smart, the part with most detail, "
            "skin and color."
        )
    ),
]


def anchor_offset(inner: tuple[float, float], outer: tuple[float, float], position: Compass) -> tuple[float, float]:
    """Return the left and upper edge of a box of `inner` size at `position` in one of `outer` size."""
    over_x, over_y = outer[0] - inner[0], outer[1] - inner[1]
    left = 0.0 if "west" in position else over_x if "east" in position else over_x / 2
    upper = 0.0 if "north" in position else over_y if "south" in position else over_y / 2
    return left, upper


_ABOVE_ZERO = r"(?=[0-9.]*[1-9])[0-9]{1,5}(\.[0-9]{1,4})?"

AspectRatio = Annotated[
    str,
    Meta(
        pattern=rf"^{_ABOVE_ZERO}(:{_ABOVE_ZERO})?$",
        max_length=21,
        description="Width to height, as 16:9 or as 1.5.",
        examples=["16:9", "1.5"],
        extra={"allowed": "width:height like 16:9, or a number above 0 like 1.5, each below 100000"},
    ),
]
"""Text; `ratio_of` reads it."""


def ratio_of(text: str) -> float:
    """Return the width of an `AspectRatio` over its height."""
    width, _, height = text.partition(":")
    return float(width) / float(height or 1)


DECODER_GAP = 2.3
"""How much larger than the result a JPEG stays when its decoder reduces it: 46.5 dB; 2.05 gave 45, 2.5 gives 47.4."""

REDUCING_GAP = 3.0
"""The same when the mean of whole pixels is taken, for one result or halving for several: 49 dB, and 45.6 dB on a
picture of repeated detail, where 2.5 gave 42 dB."""

RESULT_GAP = 2.0
"""The same from one result of Lanczos to a smaller one, and so on down to icons: 48 dB; 1.75 gave 45.8."""

LEAST_SIDE = 128
"""What the longer side keeps at least: for results of 16 to 32 pixels the gaps alone gave 43 dB."""


def decoder_gap(gap: float, result: Size) -> float:
    """Return how much larger than a result of this size a reduced picture must be."""
    return max(gap, LEAST_SIDE / max(result))
