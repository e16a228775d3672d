"""Open a file of any format with Pillow, after the checks and repairs that Pillow does not make."""

from collections.abc import Callable
from functools import cache, partial
from io import BytesIO

from PIL import Image

from worker.errors import DamagedPicture, UnsupportedVariant
from worker.imaging.containers import bmp, isobmff, jpeg2000, jxl, png
from worker.imaging.containers.gif import GifReader
from worker.imaging.containers.ico import icon_of_best_image, icon_size
from worker.imaging.containers.tiff import check_directories
from worker.imaging.formats import InputFormat
from worker.imaging.guards import Limits, check_jpeg2000, check_pixels, check_scans
from worker.pixels.geometry import Size
from worker.pixels.profiles import differs_from_srgb

CLEAN_APERTURE = "clean_aperture"
"""Key of `info`: the box in pixels to which Pillow's image must be cropped, or None."""

DECODED_AT_ONCE = {InputFormat.ICO: icon_size, InputFormat.JXL: jxl.upright_size}
"""Formats that Pillow or its plugin decodes when it opens a file -> the function that reads the size from the header,
and raises any error if it cannot."""


def open_file(data: bytes, source: InputFormat, limits: Limits, *, keeps_damaged: bool) -> Image.Image:
    """Open a file; raise `PictureError` for what must not be opened, and the errors of Pillow for the rest.

    With `keeps_damaged`, faulty chunks of a PNG are left out even if its picture needs them.
    """
    if source is InputFormat.PNG:
        return _open_png(data, limits, keeps_damaged=keeps_damaged)
    return _OPENERS[source](data, limits)


def _check_size(size: Size, limits: Limits) -> None:
    check_pixels(size, 1, limits.max_pixels)


def _by_pillow(data: bytes, source: InputFormat) -> Image.Image:
    return Image.open(BytesIO(data), formats=[source.pillow_name])


def _open_jpeg(data: bytes, _: Limits) -> Image.Image:
    check_scans(data)
    return _by_pillow(data, InputFormat.JPEG)


def _open_png(data: bytes, limits: Limits, *, keeps_damaged: bool) -> Image.Image:
    check = partial(_check_size, limits=limits)
    if png.is_cgbi(data):
        data = png.from_cgbi(data, check)
    data = png.with_key_in_8_bits(png.without_faulty_chunks(data, keeps_damaged=keeps_damaged), check)
    return _by_pillow(data, InputFormat.PNG)


def _open_webp(data: bytes, _: Limits) -> Image.Image:
    return _by_pillow(data, InputFormat.WEBP)


def _open_avif(data: bytes, _: Limits) -> Image.Image:
    image = _by_pillow(data, InputFormat.AVIF)
    image.info[CLEAN_APERTURE] = isobmff.clean_aperture(isobmff.primary_properties(data), image.size)
    return image


def _open_gif(data: bytes, limits: Limits) -> Image.Image:
    return GifReader(data, partial(_check_size, limits=limits))


def _open_tiff(data: bytes, limits: Limits) -> Image.Image:
    _check_size(check_directories(data, limits.max_frames), limits)
    return _by_pillow(data, InputFormat.TIFF)


def _open_icon(data: bytes, limits: Limits) -> Image.Image:
    data = icon_of_best_image(data)
    _check_size(icon_size(data), limits)
    return _by_pillow(data, InputFormat.ICO)


def _open_bitmap(data: bytes, limits: Limits) -> Image.Image:
    try:
        image = _by_pillow(bmp.with_usual_masks(data, partial(_check_size, limits=limits)), InputFormat.BMP)
    except (OSError, ValueError) as exc:
        raise UnsupportedVariant("this kind of BMP is not supported; convert it") from exc
    return _with_profile(image, bmp.embedded_profile(data))


def _open_heic(data: bytes, _: Limits) -> Image.Image:
    _register_heif()
    return _by_pillow(data, InputFormat.HEIC)


@cache
def _register_heif() -> None:
    import pillow_heif  # noqa: PLC0415 - an extra, and 10 MB of memory

    # pillow-heif would use embedded thumbnails for small results, but they may differ from the image.
    pillow_heif.register_heif_opener(thumbnails=False)


@cache
def register_jpeg_xl() -> None:
    """Register the plugin for JPEG XL in Pillow."""
    from pillow_jxl import JpegXLImagePlugin  # noqa: PLC0415 - an extra

    JpegXLImagePlugin.DECODE_THREADS = 0  # the worker already has a thread for each core


def _open_jpeg_xl(data: bytes, limits: Limits) -> Image.Image:
    header = jxl.read_header(data)
    _check_size(header.size, limits)
    if header.is_animated:
        raise UnsupportedVariant("an animated JPEG XL is not supported; convert it to WebP or PNG")
    register_jpeg_xl()
    image = _by_pillow(data, InputFormat.JXL)
    if not differs_from_srgb(image.info.get("icc_profile"), image.mode):
        image.info.pop("icc_profile", None)  # libjxl makes one for each file
    packet = jxl.xmp_packet(data)
    if packet is not None:
        image.info["xmp"] = packet
    return image


def _open_jpeg2000(data: bytes, limits: Limits) -> Image.Image:
    size, components = jpeg2000.codestream_size(data)
    check_jpeg2000(size, components, limits.max_pixels)
    image = _by_pillow(data, InputFormat.JPEG2000)
    if image.size != size:
        raise DamagedPicture
    return _with_profile(image, jpeg2000.embedded_profile(data))


def _with_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is not None:
        image.info["icc_profile"] = profile
    return image


_OPENERS: dict[InputFormat, Callable[[bytes, Limits], Image.Image]] = {
    InputFormat.JPEG: _open_jpeg,
    InputFormat.WEBP: _open_webp,
    InputFormat.AVIF: _open_avif,
    InputFormat.GIF: _open_gif,
    InputFormat.TIFF: _open_tiff,
    InputFormat.BMP: _open_bitmap,
    InputFormat.ICO: _open_icon,
    InputFormat.HEIC: _open_heic,
    InputFormat.JPEG2000: _open_jpeg2000,
    InputFormat.JXL: _open_jpeg_xl,
}
