"""Sizes, boxes and positions."""

from typing import Annotated, Literal

from msgspec import Meta

Size = tuple[int, int]
"""Width and height in pixels."""

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels, possibly fractional."""

MAX_SIDE = 16_383
"""Maximum side in pixels, which is that of WebP."""

Compass = Literal[
    "center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"
]  # fmt: skip

Position = Annotated[Compass, Meta(description="Position: center, a side or a corner.")]

CropPosition = Annotated[
    Literal[Compass, "smart"],
    Meta(
        description=(
            "Part that is kept: center, a side or a corner, or smart, the part with the most detail, skin and color."
        )
    ),
]


def anchor_offset(inner: tuple[float, float], outer: tuple[float, float], position: Compass) -> tuple[float, float]:
    """Return the left and upper edge of a box of size `inner` at `position` in one of size `outer`."""
    over_x, over_y = outer[0] - inner[0], outer[1] - inner[1]
    left = 0.0 if "west" in position else over_x if "east" in position else over_x / 2
    upper = 0.0 if "north" in position else over_y if "south" in position else over_y / 2
    return left, upper


def size_within(size: Size, side: int) -> Size:
    """Return the size, scaled down if necessary to at most `side` pixels per side."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


_ABOVE_ZERO = r"(?=[0-9.]*[1-9])[0-9]{1,5}(\.[0-9]{1,4})?"

AspectRatio = Annotated[
    str,
    Meta(
        pattern=rf"^{_ABOVE_ZERO}(:{_ABOVE_ZERO})?$",
        max_length=21,
        description="Aspect ratio (width to height), such as 16:9 or 1.5.",
        examples=["16:9", "1.5"],
        extra={"allowed": "width:height like 16:9, or a number above 0 like 1.5, each below 100000"},
    ),
]
"""An aspect ratio as text; `ratio_of` parses it."""


def ratio_of(text: str) -> float:
    """Return the width of an `AspectRatio` over its height."""
    width, _, height = text.partition(":")
    return float(width) / float(height or 1)


DECODER_GAP = 2.7
"""Minimum factor between a reduced JPEG and the result: 48 dB; 2.5 gave 46.8, 2.3 gave 46."""

RESULT_GAP = 1.75
"""The same from one Lanczos result to a smaller one, repeatedly, down to icons: 48 dB; 1.5 gave 46."""

LEAST_SIDE = 128
"""Minimum longer side of a reduced image: for results of 16 to 32 pixels the factors alone gave 43 dB."""


def minimum_gap(gap: float, result: Size) -> float:
    """Return the minimum factor between a reduced image and a result of this size."""
    return max(gap, LEAST_SIDE / max(result))
