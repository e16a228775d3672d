"""What every operation is."""

from typing import ClassVar

from msgspec import Struct
from PIL import Image

Size = tuple[int, int]
"""Width and height in pixels."""

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels; edges may lie within a pixel."""


class Operation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="operation"):
    """One step: its parameters are its fields (bounds and help in their `Meta`), its name is its struct tag.

    The class docstring is the help that clients see.
    """

    decode_mode: ClassVar[str | None] = None
    """The Pillow mode to which a JPEG may be decoded when this is the first operation; None for its own."""

    def output_size(self, size: Size) -> Size:
        """Return the size that `apply` gives a picture of `size`; held against the pixel limit before it runs."""
        return size

    def least_source(self, size: Size) -> Size | None:  # noqa: ARG002 - for those who have one
        """Return the least size to which the decoder may reduce a picture of `size` for this operation; None: none.

        Whoever returns a size implements `apply_reduced`.
        """
        return None

    def apply(self, image: Image.Image) -> Image.Image:
        """Return the picture that this makes of `image`, which stays as it is.

        `image` has one of the modes of `worker.imaging.WORKING_MODES`.
        """
        raise NotImplementedError

    def apply_reduced(self, image: Image.Image, box: Box, size: Size) -> Image.Image:
        """Return what `apply` gives for a picture of `size`, of which `image` holds a reduction within `box`."""
        raise NotImplementedError
