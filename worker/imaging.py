"""Bytes in, operations, bytes out: the plain functions that run in the worker's threads."""

from collections.abc import Callable, Iterable
from io import BytesIO

from PIL import Image, ImageCms, ImageOps

from worker.formats import ImageFormat
from worker.operations.base import Operation
from worker.plan import Output, Plan

# Pillow warns at 89 megapixels and refuses at twice that; ours is a setting, checked from the header in `_open`.
Image.MAX_IMAGE_PIXELS = None

WORKING_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "I;16")
"""The Pillow modes that operations meet; `normalised` brings every other mode to one of them."""

WRITABLE_MODES = {
    ImageFormat.JPEG: ("L", "RGB", "CMYK"),
    ImageFormat.PNG: ("L", "LA", "RGB", "RGBA", "I;16"),
    ImageFormat.WEBP: ("RGB", "RGBA"),
    ImageFormat.AVIF: ("L", "RGB", "RGBA"),
}

ICC_COLOUR_SPACES = {"L": b"GRAY", "LA": b"GRAY", "I;16": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}
"""Mode -> the colour space signature at byte 16 of a profile that may go with it (ICC.1:2022, 7.2.8)."""


class PictureError(Exception):
    """The picture cannot be processed; the text is a sentence for the person who sent it."""


class TooManyPixels(PictureError):
    def __init__(self, size: tuple[int, int], max_pixels: int) -> None:
        super().__init__(f"{size[0]} x {size[1]} pixels are too many; a picture may have {max_pixels:,} pixels in all")


class Stopped(Exception):
    """`should_stop` was true before the work was done."""


def never() -> bool:
    return False


def render(
    data: bytes, source: ImageFormat, plan: Plan, max_pixels: int, should_stop: Callable[[], bool] = never
) -> bytes:
    """Decode `data`, apply the plan and encode the result; raise `PictureError` when the picture does not allow it.

    `should_stop` is asked before each step; a step itself cannot be stopped. EXIF orientation is applied.
    Metadata is left out; the ICC profile stays where it fits the result's colours.
    """
    _check_stop(should_stop)
    image = _decode(_open(data, source, max_pixels))
    profile = image.info.get("icc_profile")
    image = transform(normalised(ImageOps.exif_transpose(image)), plan.operations, max_pixels, should_stop)
    _check_stop(should_stop)
    return _encode(image, plan.output, profile)


def check_header(head: bytes, source: ImageFormat, max_pixels: int) -> None:
    """Raise `TooManyPixels` when the first bytes of a file already tell that it is too large.

    A header that goes on past `head`, or is damaged, passes: `render` sees the whole file and has the last word.
    """
    try:
        _open(head, source, max_pixels)
    except TooManyPixels:
        raise
    except PictureError:
        pass


def _open(data: bytes, source: ImageFormat, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(BytesIO(data), formats=[source.pillow_name])
    except Exception as exc:  # decoders raise what they like on damaged data: OSError, SyntaxError, struct.error, ...
        raise PictureError(f"the file begins like a {source.value} picture but its header cannot be read") from exc
    _check_pixels(image.size, max_pixels)
    return image


def _check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise TooManyPixels(size, max_pixels)


def _decode(image: Image.Image) -> Image.Image:
    try:
        image.load()
    except Exception as exc:  # see _open
        raise PictureError("the picture data is damaged or ends too early") from exc
    return image


def _check_stop(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Stopped


def transform(
    image: Image.Image, operations: Iterable[Operation], max_pixels: int, should_stop: Callable[[], bool] = never
) -> Image.Image:
    """Apply `operations` in order, none of which may give a picture of more than `max_pixels`."""
    for operation in operations:
        _check_stop(should_stop)
        _check_pixels(operation.output_size(image.size), max_pixels)
        image = operation.apply(image)
    return image


def normalised(image: Image.Image) -> Image.Image:
    """Bring a picture of any Pillow mode to one of `WORKING_MODES`, with the alpha that it has in whatever form."""
    # A palette or a colour key (PNG's tRNS) holds transparency outside the mode.
    has_alpha = image.has_transparency_data
    if image.mode in ("1", "L"):
        return image.convert("LA" if has_alpha else "L")
    if image.mode in ("LA", "RGBA", "CMYK", "I;16") or (image.mode == "RGB" and not has_alpha):
        return image
    return image.convert("RGBA" if has_alpha else "RGB")


def _encode(image: Image.Image, output: Output, profile: bytes | None) -> bytes:
    target = output.format
    if max(image.size) > target.max_side:
        raise PictureError(
            f"the result would be {image.width} x {image.height} pixels; "
            f"{target.value} holds at most {target.max_side} on a side"
        )
    image = _writable(image, target, profile)
    # Pillow writes some metadata from `info` (a JPEG comment, XMP, resolution) without being asked.
    image.info = {}
    options: dict[str, object] = {}
    if target.default_quality is not None:
        options["quality"] = output.quality or target.default_quality
    if profile is not None and profile[16:20] == ICC_COLOUR_SPACES[image.mode]:
        options["icc_profile"] = profile
    buffer = BytesIO()
    image.save(buffer, target.pillow_name, **options)
    return buffer.getvalue()


def _writable(image: Image.Image, target: ImageFormat, profile: bytes | None) -> Image.Image:
    """Bring a picture in a working mode to the closest mode that `target` can hold; always a new object."""
    modes = WRITABLE_MODES[target]
    if image.mode in modes:
        return image.copy()
    if image.mode == "I;16":
        return _writable(image.point(lambda value: value * (1 / 256)).convert("L"), target, profile)
    if image.mode == "CMYK":
        return _cmyk_to_rgb(image, profile)
    if image.mode in ("LA", "RGBA") and "RGBA" not in modes:
        return _flattened(image)
    return image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")


def _cmyk_to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Through the picture's own profile where it has a good one: Pillow's plain formula is far off for print inks."""
    if profile is not None:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _flattened(image: Image.Image) -> Image.Image:
    """Lay a picture with alpha on white."""
    mode = "L" if image.mode == "LA" else "RGB"
    paper = Image.new(mode, image.size, "white")
    paper.paste(image.convert(mode), mask=image.getchannel("A"))
    return paper
