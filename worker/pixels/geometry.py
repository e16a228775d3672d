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
            "skin and colour."
        )
    ),
]


def anchored(inner: tuple[float, float], outer: tuple[float, float], position: Compass) -> tuple[float, float]:
    """Return the left and upper edge of a box of `inner` size at `position` in one of `outer` size."""
    over_x, over_y = outer[0] - inner[0], outer[1] - inner[1]
    left = 0.0 if "west" in position else over_x if "east" in position else over_x / 2
    upper = 0.0 if "north" in position else over_y if "south" in position else over_y / 2
    return left, upper
