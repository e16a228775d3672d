"""Icons (ICO files): Pillow decodes the largest as soon as it opens the file, so its size is looked up before."""

from io import BytesIO

from PIL import BmpImagePlugin, IcoImagePlugin, PngImagePlugin

from worker.imaging.png import PNG_MARK
from worker.pixels.geometry import Size


def icon_picture(data: bytes) -> bytes:
    """Return the file from where its largest picture begins; that is a PNG, or a BMP without its first header."""
    return data[IcoImagePlugin.IcoFile(BytesIO(data)).entry[0].offset :]


def icon_size(data: bytes) -> Size:
    """Return the size of the picture that Pillow will decode, by that picture's own header.

    The file's directory, which has a byte for each side, may call a picture small that is not. Raises whatever Pillow
    raises on damaged data.
    """
    picture = icon_picture(data)
    if picture.startswith(PNG_MARK):
        return PngImagePlugin.PngImageFile(BytesIO(picture)).size
    width, height = BmpImagePlugin.DibImageFile(BytesIO(picture)).size
    return width, height // 2  # below the colours lies the mask
