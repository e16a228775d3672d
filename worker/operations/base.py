"""What every operation is."""

from msgspec import Struct
from PIL import Image

Size = tuple[int, int]
"""Width and height in pixels."""


class Operation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="operation"):
    """One step: its parameters are its fields (bounds and help in their `Meta`), its name is its struct tag.

    The class docstring is the help that clients see.
    """

    def output_size(self, size: Size) -> Size:
        """Return the size that `apply` gives a picture of `size`; held against the pixel limit before it runs."""
        return size

    def apply(self, image: Image.Image) -> Image.Image:
        """Return a new picture; `image` has one of the modes of `worker.imaging.WORKING_MODES` and stays as it is."""
        raise NotImplementedError
