"""From a file's bytes to upright pixels: limits before any decoding, and no more decoding than the work needs."""

from dataclasses import dataclass
from io import BytesIO

from PIL import ExifTags, Image, ImageOps

from worker.formats import ImageFormat
from worker.geometry import Box, Size
from worker.operations.base import Operation, PictureError

# Pillow warns at 89 megapixels and refuses at twice that; ours is a setting, checked from the header in `opened`.
Image.MAX_IMAGE_PIXELS = None

SWAPPED, MIRRORED_X, MIRRORED_Y = {5, 6, 7, 8}, {2, 3, 6, 7}, {3, 4, 7, 8}
"""The EXIF orientations whose correction swaps the sides, moves the left edge to the right, the upper one down."""


class TooManyPixels(PictureError):
    def __init__(self, size: Size, max_pixels: int) -> None:
        super().__init__(f"{size[0]} x {size[1]} pixels are too many; a picture may have {max_pixels:,} pixels in all")


@dataclass(frozen=True)
class Decoded:
    """A picture, upright, perhaps decoded at a reduced scale."""

    image: Image.Image
    size: Size
    """What it has in full."""
    box: Box | None
    """Where the picture lies in a reduced `image`, whose last row and column may reach over it; None if not reduced."""


def opened(data: bytes, source: ImageFormat, max_pixels: int) -> Image.Image:
    """Read the header, or raise `PictureError`; nothing is decoded."""
    try:
        image = Image.open(BytesIO(data), formats=[source.pillow_name])
    except Exception as exc:  # decoders raise what they like on damaged data: OSError, SyntaxError, struct.error, ...
        raise PictureError(f"the file begins like a {source.value} picture but its header cannot be read") from exc
    check_pixels(image.size, max_pixels)
    return image


def check_header(head: bytes, source: ImageFormat, max_pixels: int) -> None:
    """Raise `TooManyPixels` when the first bytes of a file already tell that it is too large.

    A header that goes on past `head`, or is damaged, passes: `opened` sees the whole file and has the last word.
    """
    try:
        opened(head, source, max_pixels)
    except TooManyPixels:
        raise
    except PictureError:
        pass


def check_pixels(size: Size, max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise TooManyPixels(size, max_pixels)


def decoded(image: Image.Image, first: Operation | None) -> Decoded:
    """Decode an opened picture, a JPEG no further than `first`, the first operation, needs it."""
    try:
        return _decoded(image, first)
    except Exception as exc:  # see `opened`
        raise PictureError("the picture data is damaged or ends too early") from exc


def _decoded(image: Image.Image, first: Operation | None) -> Decoded:
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    size = _turned(image.size, orientation)
    draft = None
    if first is not None:
        least = first.least_source(size)
        draft = image.draft(first.decode_mode, least and _turned(least, orientation))  # for JPEG; others decode in full
    image.load()
    reach = image.size
    ImageOps.exif_transpose(image, in_place=True)
    if draft is None or image.size == size:
        return Decoded(image, size, None)
    return Decoded(image, size, _turned_box(draft[1], reach, orientation))


def _turned(size: Size, orientation: int) -> Size:
    return (size[1], size[0]) if orientation in SWAPPED else size


def _turned_box(box: Box, reach: Size, orientation: int) -> Box:
    """Return where a box from the upper left corner of a picture of `reach` pixels lies once the picture is upright."""
    (width, height), (reach_x, reach_y) = box[2:], reach
    if orientation in SWAPPED:
        width, height, reach_x, reach_y = height, width, reach_y, reach_x
    left = reach_x - width if orientation in MIRRORED_X else 0
    upper = reach_y - height if orientation in MIRRORED_Y else 0
    return left, upper, left + width, upper + height
