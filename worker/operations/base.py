"""The base class of operations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar

from msgspec import Struct, inspect
from msgspec.structs import fields
from PIL import Image

from worker.pixels.geometry import Box, Size
from worker.validation.fields import Problem

WORKING_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "I;16")
"""The Pillow modes that operations handle; `worker.pixels.modes.normalize_mode` converts every other mode."""


@dataclass(frozen=True)
class Assets:
    """Further inputs of operations, besides the image and the parameters."""

    overlay: Image.Image | None = None
    """The overlay image, upright, in L, LA, RGB or RGBA; present if an operation needs it."""
    font_path: str | None = None
    """The font file for text; None for Pillow's default font."""


@dataclass(frozen=True)
class Source:
    """The properties of the upload, for operations that report them."""

    data: bytes
    format: str
    mode: str
    """Pillow's mode of the file."""
    size: Size
    frames: int
    has_alpha: bool
    exif: Image.Exif
    icc_profile: bytes | None
    has_gps_in_xmp: bool = False
    digital_source_type: str | None = None
    has_c2pa: bool = False


class Operation(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="operation"
):
    """An operation. Its parameters are its fields, with bounds and help in their `Meta`; its name is its struct tag.

    Clients see the class docstring as the help.
    """

    modes: ClassVar[tuple[str, ...]] = ("L", "LA", "RGB", "RGBA")
    """The supported working modes; other images are converted to the closest of them: CMYK to RGB, I;16 to L."""

    srgb_modes: ClassVar[tuple[str, ...]] = ()
    """The working modes in which the operation needs sRGB; in others it handles the colors of any profile."""

    decode_mode: ClassVar[str | None] = None
    """The mode to which a JPEG may be decoded if this is the first operation; None for the mode of the file."""

    is_report: ClassVar[bool] = False
    """Whether the result is a JSON document from `report` instead of an image; it must then be the last operation."""

    example: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Example parameters for the documentation, if the defaults do nothing."""

    @classmethod
    @cache
    def color_fields(cls) -> tuple[str, ...]:
        """Return the names of the parameters that are colors."""
        kinds = ((field.name, inspect.type_info(field.type)) for field in fields(cls))
        return tuple(name for name, kind in kinds if _is_color(kind))

    @property
    def name(self) -> str:
        """The name of the operation in the API."""
        return str(self.__struct_config__.tag)

    @property
    def needs_srgb(self) -> bool:
        """Whether these parameters need sRGB in every mode."""
        return False

    @property
    def only_moves_pixels(self) -> bool:
        """Whether the operation only moves and mixes pixels, in a way that depends on nothing but the size.

        It then applies to a gain map as well.
        """
        return False

    @property
    def uses_overlay(self) -> bool:
        """Whether the operation needs the overlay image."""
        return False

    def problems(self) -> list[Problem]:
        """Return problems of the combination of parameters; each one is already within its bounds."""
        return []

    def output_size(self, size: Size) -> Size:
        """Return the size of the result for an image of `size`, or its maximum.

        It is checked against the limits before decoding. Raises `PictureError` if the operation is not possible.
        """
        return size

    def scaled_size(self, size: Size) -> Size | None:  # noqa: ARG002 - for subclasses
        """Return the size to which this operation first scales a whole image of `size`; None if it does not.

        As the first operation it may then get an image that is already reduced, though still somewhat larger.
        A class that returns a size must implement `apply_reduced`, or be a report.
        """
        return None

    def gives_whole(self, size: Size) -> bool:  # noqa: ARG002 - for subclasses
        """Return whether the result is the whole image at `scaled_size` by Lanczos, so that smaller ones can use it."""
        return False

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:  # noqa: ARG002
        """Return the function to apply to each frame.

        Override it if the operation must analyze all frames first or needs `assets`; otherwise override `apply`.
        """
        return self.apply

    def apply(self, image: Image.Image) -> Image.Image:
        """Return a new image; `image` has one of `modes` and is not changed.

        The result must have a working mode. Raises `PictureError`.
        """
        raise NotImplementedError

    def apply_reduced(self, image: Image.Image, box: Box, size: Size) -> Image.Image:
        """Return the result of `apply` for an image of `size`, of which `image` contains a reduction within `box`."""
        raise NotImplementedError

    def report(self, image: Image.Image, size: Size, source: Source) -> dict[str, Any]:
        """Return the report on an image of `size`, of which `image` may be a reduction, as JSON types."""
        raise NotImplementedError


def _is_color(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(map(_is_color, kind.types))
    return isinstance(kind, inspect.Metadata) and (kind.extra_json_schema or {}).get("format") == "color"
