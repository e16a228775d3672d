"""Find the largest image of an icon."""

from io import BytesIO

from PIL import BmpImagePlugin, IcoImagePlugin, PngImagePlugin

from worker.pixels.geometry import Size

_PNG_MARK = b"\x89PNG"


def icon_picture(data: bytes) -> bytes:
    """Return the icon file from the start of its largest image: a PNG, or a BMP without its file header."""
    return data[IcoImagePlugin.IcoFile(BytesIO(data)).entry[0].offset :]


def icon_size(data: bytes) -> Size:
    """Return the size of the image that Pillow decodes from an icon, by the header of that image.

    The directory of the file has one byte per side and may be wrong. Raises the errors of Pillow on damaged data.
    """
    picture = icon_picture(data)
    if picture.startswith(_PNG_MARK):
        return PngImagePlugin.PngImageFile(BytesIO(picture)).size
    width, height = BmpImagePlugin.DibImageFile(BytesIO(picture)).size
    return width, height // 2  # the mask follows the colors
