"""How a picture lies in its file, as Exif data say, and bringing it upright."""

from PIL import ExifTags, Image, ImageOps

from worker.pixels.geometry import Box, Size

SWAPPED, MIRRORED_X, MIRRORED_Y = {5, 6, 7, 8}, {2, 3, 6, 7}, {3, 4, 7, 8}
"""The Exif orientations whose correction swaps the sides, moves the left edge to the right, the upper one down."""

TURNED = SWAPPED | MIRRORED_X | MIRRORED_Y

METADATA = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
"""Where Pillow puts what may tell an orientation."""


def readable_exif(image: Image.Image) -> Image.Exif:
    """Return the Exif data of an opened picture as far as they can be read; raise what its decoder raises.

    In a PNG they may come after the pixels: Pillow then decodes those first, here outside of the `try`. Asked again
    after an error, it would take a picture that is decoded in part for a whole one.
    """
    if image.format == "PNG" and "exif" not in image.info:
        image.load()
    try:
        return image.getexif()
    except Exception:  # whatever damage makes Pillow raise; asked again, it gives what it had until then
        return image.getexif()


def orientation_of(image: Image.Image) -> int:
    """Return 1 to 8, and 1 where nothing else can be read; Pillow's TIFF decoder turns by itself."""
    if image.format == "TIFF":
        return 1
    exif = readable_exif(image)
    try:
        orientation = exif.get(ExifTags.Base.Orientation)
        return int(orientation) if orientation in TURNED else 1
    except Exception:  # see `readable_exif`
        return 1


def set_upright(image: Image.Image, orientation: int) -> None:
    """Turn a decoded picture in place; its `info` then has no metadata."""
    if orientation in TURNED:
        for name in METADATA:  # else Pillow would write them again without the orientation, or fail to
            image.info.pop(name, None)
        image.getexif()[ExifTags.Base.Orientation] = orientation
        ImageOps.exif_transpose(image, in_place=True)


def rotate_size(size: Size, orientation: int) -> Size:
    return (size[1], size[0]) if orientation in SWAPPED else size


def rotate_box(box: Box, reach: Size, orientation: int) -> Box:
    """Return where a box from the upper left corner of a picture of `reach` pixels lies once the picture is upright."""
    (width, height), (reach_x, reach_y) = box[2:], reach
    if orientation in SWAPPED:
        width, height, reach_x, reach_y = height, width, reach_y, reach_x
    left = reach_x - width if orientation in MIRRORED_X else 0
    upper = reach_y - height if orientation in MIRRORED_Y else 0
    return left, upper, left + width, upper + height
