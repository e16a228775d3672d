"""Proportions as clients write them: "16:9", "1.5"."""

from typing import Annotated

from msgspec import Meta

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
