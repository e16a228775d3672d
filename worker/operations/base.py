"""What every operation is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from msgspec import Struct
from PIL import Image

from worker.pixels.geometry import Box, Size
from worker.validation.fields import Problem

WORKING_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "I;16")
"""The Pillow modes that operations handle; `worker.pixels.modes.normalize_mode` converts every other mode."""


@dataclass(frozen=True)
class Assets:
    """What operations need beside the picture and their parameters."""

    overlay: Image.Image | None = None
    """The second picture of the form, upright, in L, LA, RGB or RGBA; there if an operation uses it."""
    font_path: str | None = None
    """The font file for texts; None for the one that comes with Pillow."""


@dataclass(frozen=True)
class Source:
    """What the upload was, for operations that report on it."""

    data: bytes
    format: str
    mode: str
    """Pillow's, as the file has it."""
    size: Size
    frames: int
    has_alpha: bool
    exif: Image.Exif
    icc_profile: bytes | None


class Operation(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="operation"
):
    """One step: its parameters are its fields (bounds and help in their `Meta`), its name is its struct tag.

    The class docstring is the help that clients see.
    """

    modes: ClassVar[tuple[str, ...]] = ("L", "LA", "RGB", "RGBA")
    """The working modes that it meets; other pictures are brought to the closest of them: CMYK to RGB, I;16 to L."""

    decode_mode: ClassVar[str | None] = None
    """The Pillow mode to which a JPEG may be decoded when this is the first operation; None for its own."""

    is_report: ClassVar[bool] = False
    """Whether it gives no picture but, by `report`, what there is to say about one; it can only be the last step."""

    example: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Parameters that show what it is for, in the documentation; some where it does nothing without any."""

    @property
    def uses_overlay(self) -> bool:
        """Whether it needs the form's second picture."""
        return False

    def problems(self) -> list[Problem]:
        """Return what is wrong with the parameters taken together; each is within its bounds already."""
        return []

    def output_size(self, size: Size) -> Size:
        """Return the size that this gives a picture of `size`, or the largest that it may give.

        It is held against the limits before anything is decoded. Raises `PictureError` when it cannot be done.
        """
        return size

    def scaled_size(self, size: Size) -> Size | None:  # noqa: ARG002 - for those who have one
        """Return the size to which this scales the whole of a picture of `size` before all else; None if it does not.

        As the first operation it may then be given a picture that is reduced already, though still larger by a gap.
        Whoever returns a size implements `apply_reduced`, or is a report.
        """
        return None

    def gives_whole(self, size: Size) -> bool:  # noqa: ARG002 - for those that have a size
        """Whether the result is the whole picture at its `scaled_size`, by Lanczos: smaller ones may be made of it."""
        return False

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:  # noqa: ARG002
        """Return what is to be done to each of a picture's frames, one if it is no animation.

        For operations that look at the picture first (what they find must hold for all frames) or need `assets`;
        the others implement `apply` alone.
        """
        return self.apply

    def apply(self, image: Image.Image) -> Image.Image:
        """Return the picture that this makes of `image`, which stays as it is and has one of `modes`.

        The result has a working mode. Raises `PictureError`.
        """
        raise NotImplementedError

    def apply_reduced(self, image: Image.Image, box: Box, size: Size) -> Image.Image:
        """Return what `apply` gives for a picture of `size`, of which `image` holds a reduction within `box`."""
        raise NotImplementedError

    def report(self, image: Image.Image, size: Size, source: Source) -> dict[str, Any]:
        """Return what there is to say, as JSON, about a picture of `size`, of which `image` may hold a reduction."""
        raise NotImplementedError
