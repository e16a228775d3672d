"""Read the Exif orientation and rotate images upright."""

from functools import partial
from typing import Any

from PIL import ExifTags, Image, ImageOps

from worker.pixels.geometry import Box, Size

SWAPPED, MIRRORED_X, MIRRORED_Y = {5, 6, 7, 8}, {2, 3, 6, 7}, {3, 4, 7, 8}
"""Exif orientations whose correction swaps the sides, moves the left edge to the right, the upper edge down."""

TURNED = SWAPPED | MIRRORED_X | MIRRORED_Y

XMP = ("xmp", "XML:com.adobe.xmp")

METADATA = ("exif", "Raw profile type exif", *XMP)
"""Keys of `Image.info` with data that may contain the orientation."""


def readable_exif(image: Image.Image) -> Image.Exif:
    """Return the readable Exif data of an image, without decoding it."""
    # Pillow decodes a PNG first, in case they follow the pixels; `worker.imaging.containers.png` has moved them before.
    read = partial(Image.Image.getexif, image) if image.format == "PNG" else image.getexif
    # Pillow falls back to the orientation in XMP data; browsers ignore it.
    xmp: dict[str | tuple[int, int], Any] = {name: image.info.pop(name) for name in XMP if name in image.info}
    try:
        return read()
    except Exception:  # damaged data may raise any error in Pillow; a second call returns what was read before it
        return read()
    finally:
        image.info |= xmp


def orientation_of(image: Image.Image) -> int:
    """Return the orientation, 1 to 8; 1 if it cannot be read, or if the decoder has applied it."""
    # Pillow rotates a TIFF, and libjxl a JPEG XL, unless it returns the JPEG from which that was made.
    if image.format == "TIFF" or (image.format == "JXL" and not getattr(image, "jpeg", False)):
        return 1
    exif = readable_exif(image)
    try:
        orientation = exif.get(ExifTags.Base.Orientation)
        return int(orientation) if orientation in TURNED else 1
    except Exception:  # see `readable_exif`
        return 1


def set_upright(image: Image.Image, orientation: int) -> None:
    """Rotate a decoded image upright in place, and remove the metadata from its `info`."""
    if orientation in TURNED:
        for name in METADATA:  # otherwise Pillow would write them again without the orientation, or fail
            image.info.pop(name, None)
        image.getexif()[ExifTags.Base.Orientation] = orientation
        ImageOps.exif_transpose(image, in_place=True)


def upright_as(orientation: int, image: Image.Image) -> Image.Image:
    """Return another image, without metadata, rotated as one with this orientation would be."""
    image = image.copy()
    set_upright(image, orientation)
    return image


def rotate_size(size: Size, orientation: int) -> Size:
    return (size[1], size[0]) if orientation in SWAPPED else size


def rotate_box(box: Box, reach: Size, orientation: int) -> Box:
    """Return a box at the upper left corner of an image of `reach` pixels after the image was rotated upright."""
    (width, height), (reach_x, reach_y) = box[2:], reach
    if orientation in SWAPPED:
        width, height, reach_x, reach_y = height, width, reach_y, reach_x
    left = reach_x - width if orientation in MIRRORED_X else 0
    upper = reach_y - height if orientation in MIRRORED_Y else 0
    return left, upper, left + width, upper + height
