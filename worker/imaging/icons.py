"""Icons (ICO files): Pillow decodes the largest as soon as it opens the file, so its size is looked up before."""

from io import BytesIO

from PIL import BmpImagePlugin, IcoImagePlugin, PngImagePlugin

from worker.pixels.geometry import Size

_PNG_MARK = b"\x89PNG\r\n\x1a\n"


def icon_size(data: bytes) -> Size:
    """Return the size of the picture that Pillow will decode, by that picture's own header.

    The file's directory, which has a byte for each side, may call a picture small that is not. Raises whatever Pillow
    raises on damaged data.
    """
    largest = IcoImagePlugin.IcoFile(BytesIO(data)).entry[0]
    picture = data[largest.offset :]
    if picture.startswith(_PNG_MARK):
        return PngImagePlugin.PngImageFile(BytesIO(picture)).size
    width, height = BmpImagePlugin.DibImageFile(BytesIO(picture)).size
    return width, height // 2  # below the colours lies the mask
