"""Decode a file to upright frames, after checking limits, and at a reduced scale where that is sufficient."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO
from typing import Any

from PIL import Image

from worker.errors import DamagedPicture, PictureError
from worker.imaging.formats import InputFormat
from worker.imaging.gif import BoundedGif
from worker.imaging.guards import (
    PNG_MARK,
    Limits,
    TooManyPixels,
    check_pixel_chunks,
    check_pixels,
    check_scans,
    icon_picture,
    icon_size,
    png_without_texts,
)
from worker.imaging.orientation import orientation_of, rotate_box, rotate_size, set_upright
from worker.imaging.pipeline import Timing
from worker.imaging.tiff import check_directories
from worker.operations.base import Operation
from worker.pixels.geometry import DECODER_GAP, Box, Size, minimum_gap
from worker.pixels.modes import normalize_mode
from worker.pixels.resampling import Scales

ANIMATED = {InputFormat.PNG, InputFormat.WEBP, InputFormat.AVIF, InputFormat.GIF}
"""Formats whose frames are an animation; those of TIFF and of multi-picture JPEGs are separate images."""

HEAD_BYTES = 64 * 1024
"""Size of the head of a file that is checked before storing it: header, color profile and Exif data."""


class _UnreadableHeader(PictureError):
    def __init__(self, source: InputFormat) -> None:
        super().__init__(f"the file looks like {source.value}, but its header cannot be read")


class _UnsupportedVariant(PictureError):
    """The file uses an unsupported variant of its format."""


@dataclass(frozen=True)
class Decoded:
    """A decoded image in a working mode, upright, possibly at a reduced scale."""

    frames: Sequence[Image.Image]
    size: Size
    """Size in pixels at full scale."""
    box: Box | None
    """Box of the image within a reduced frame, whose last row and column may extend beyond it; None if not reduced."""
    timing: Timing | None
    """None for a still image."""
    exif: Image.Exif | None
    """Exif data of a TIFF, which are part of its directory; other formats have them in `info`."""
    info: dict[Any, Any]
    """The `info` of Pillow's image. It is removed from the frames, because Pillow writes some of it by default."""

    @cached_property
    def scales(self) -> Scales:
        """The first frame at several scales, which variants share."""
        return Scales(self.frames[0], self.box or (0, 0, *self.size))


@cache
def _register_heif() -> None:
    import pillow_heif  # noqa: PLC0415 - an extra, and 10 MB of memory

    # pillow-heif would use embedded thumbnails for small results, but they may differ from the image.
    pillow_heif.register_heif_opener(thumbnails=False)


def open_image(data: bytes, source: InputFormat, limits: Limits) -> Image.Image:
    """Open an image by its header, without decoding pixels, or raise `PictureError`."""
    if source is InputFormat.HEIC:
        _register_heif()
    try:
        image = _open(data, source, limits)
    except (PictureError, MemoryError):
        raise
    except Exception as exc:  # damaged data may raise any error: OSError, SyntaxError, struct.error, ...
        raise _UnreadableHeader(source) from exc
    if 0 in image.size:
        raise PictureError("the picture has no pixels")
    _drop_non_bytes_metadata(image)
    check_pixels(image.size, 1, limits.max_pixels)
    return image


def _drop_non_bytes_metadata(image: Image.Image) -> None:
    """Remove metadata that must be bytes and is not; a TIFF may have numbers instead."""
    for name in ("icc_profile", "xmp"):
        if not isinstance(image.info.get(name, b""), bytes):
            del image.info[name]


def _open(data: bytes, source: InputFormat, limits: Limits) -> Image.Image:
    """Open a file with Pillow, after checks that Pillow does not make."""
    match source:
        case InputFormat.GIF:
            return BoundedGif(data, lambda size: check_pixels(size, 1, limits.max_pixels))
        case InputFormat.ICO:
            check_pixels(icon_size(data), 1, limits.max_pixels)
        case InputFormat.JPEG:
            check_scans(data)
        case InputFormat.PNG if data[12:16] == b"CgBI":
            raise _UnsupportedVariant("the file is a PNG in Apple's CgBI variant, which is not supported; convert it")
        case InputFormat.TIFF:
            check_pixels(check_directories(data, limits.max_frames), 1, limits.max_pixels)
    return Image.open(BytesIO(data), formats=[source.pillow_name])


def check_checksums(data: bytes, source: InputFormat) -> None:
    """Raise `DamagedPicture` if a PNG, or the PNG in an icon, does not match its checksums.

    `open_image` must have accepted the file.
    """
    picture = icon_picture(data) if source is InputFormat.ICO else data
    if picture.startswith(PNG_MARK):
        check_pixel_chunks(picture)


def check_header(head: bytes, source: InputFormat, limits: Limits, *, is_whole: bool) -> Size | None:
    """Return the upright size from the head of a file, or raise `PictureError`.

    Returns None if the head does not contain it. Unless `is_whole`, the header may continue after `head`.
    """
    try:
        if source is InputFormat.ICO:  # opening one decodes it
            size = _icon_size(head)
            check_pixels(size, 1, limits.max_pixels)
            return size
        if source is InputFormat.PNG:
            head = png_without_texts(head)
        image = open_image(head, source, limits)
    except (TooManyPixels, _UnsupportedVariant):
        raise
    except PictureError:
        if is_whole:
            raise
        return None
    # Pillow decodes a PNG to look for Exif data that are not in its header.
    if source is InputFormat.PNG and "exif" not in image.info:
        return image.size
    try:
        return upright_size(image)
    except PictureError:
        return None


def _icon_size(data: bytes) -> Size:
    try:
        return icon_size(data)
    except Exception as exc:  # see `open_image`
        raise _UnreadableHeader(InputFormat.ICO) from exc


def upright_size(image: Image.Image) -> Size:
    with decode_errors_as_picture_errors():
        return rotate_size(image.size, orientation_of(image))


def decode_still(image: Image.Image, first_operations: Iterable[Operation | None]) -> Decoded:
    """Decode the current frame of an image; a JPEG only at the scale that all of `first_operations` need."""
    with decode_errors_as_picture_errors():
        orientation = orientation_of(image)
        size = rotate_size(image.size, orientation)
        draft = _draft(image, size, orientation, tuple(first_operations))
        image.load()
        reach, info = image.size, dict(image.info)
        set_upright(image, orientation)
        box = None if draft is None or image.size == size else rotate_box(draft, reach, orientation)
        frame = normalize_mode(image)
        if getattr(image, "is_animated", False) or image.format == "TIFF":
            frame = frame.copy()  # saving the file object would start at its first frame, or write all its tags
        frame.info = {}
        exif = image.getexif() if image.format == "TIFF" else None
        return Decoded((frame,), image.size if box is None else size, box, None, exif, info)


def _draft(image: Image.Image, size: Size, orientation: int, firsts: Sequence[Operation | None]) -> Box | None:
    """Configure the scale of the JPEG decoder; return the box of the image in its output."""
    modes = {first.decode_mode if first is not None else None for first in firsts}
    scaled = [first.scaled_size(size) if first is not None else None for first in firsts]
    least = None
    if None not in scaled:
        sizes = [each for each in scaled if each is not None]
        width, height = max(each[0] for each in sizes), max(each[1] for each in sizes)
        gap = minimum_gap(DECODER_GAP, (width, height))
        least = math.ceil(width * gap), math.ceil(height * gap)
    # It does nothing for other formats, or if no reduction is possible.
    draft = image.draft(modes.pop() if len(modes) == 1 else None, least and rotate_size(least, orientation))
    return draft and draft[1]


def decode_animation(image: Image.Image, limits: Limits) -> Decoded:
    """Decode all frames of an animation, each as displayed, including what remains of earlier frames.

    The limit of frames is checked by the header if it has their number, and during decoding for GIF.
    """
    if image.format != "GIF":
        _check_frames(image, getattr(image, "n_frames", 1), limits)
    size = image.size
    frames: list[Image.Image] = []
    durations: list[float] = []
    with decode_errors_as_picture_errors():
        orientation = orientation_of(image)
        for frame in _each_frame(image):
            _check_frames(image, len(frames) + 1, limits)
            durations.append(float(frame.info.get("duration", 0)))
            # For a GIF frame that extends beyond the screen, Pillow enlarges the screen; browsers crop, as this does.
            upright = frame.crop((0, 0, *size))
            set_upright(upright, orientation)
            frames.append(normalize_mode(upright))
        modes = {frame.mode for frame in frames}
        if len(modes) > 1:
            mode = "RGBA" if modes & {"LA", "RGBA"} else "RGB"
            frames = [frame.convert(mode) for frame in frames]
        for frame in frames:
            frame.info = {}
        timing = Timing(tuple(durations), _loops(image))
    return Decoded(frames, frames[0].size, None, timing if len(frames) > 1 else None, None, dict(image.info))


def seek(image: Image.Image, frame: int, limits: Limits) -> None:
    """Seek to a frame, or raise `PictureError` if the image does not have it."""
    if frame >= limits.max_frames:
        raise PictureError(f"frame must be below {limits.max_frames}, the maximum number of frames; got {frame}")
    # Seeking in an animation decodes the frames before.
    check_pixels(image.size, frame + 1, limits.max_pixels)
    if image.format == "TIFF":
        image.info.pop("icc_profile", None)  # otherwise a page without one would have that of the page before
    try:
        image.seek(frame)
    except EOFError as exc:
        raise PictureError(f"the image has no frame {frame}; the first is 0") from exc
    except (PictureError, MemoryError):
        raise
    except Exception as exc:  # see `open_image`
        raise DamagedPicture from exc
    _drop_non_bytes_metadata(image)
    check_pixels(image.size, 1, limits.max_pixels)  # pages may differ in size


@contextmanager
def decode_errors_as_picture_errors() -> Iterator[None]:
    """Convert any error of a decoder to a `PictureError`."""
    try:
        yield
    except (PictureError, MemoryError):
        raise
    except Exception as exc:  # see `open_image`
        raise DamagedPicture from exc


def _each_frame(image: Image.Image) -> Iterator[Image.Image]:
    """Yield the image at each of its frames, except for a PNG's default image that is not part of the animation.

    All formats but GIF declare the number of frames; a file that ends earlier is damaged.
    """
    first = 1 if image.info.get("default_image") else 0
    declared = 0 if image.format == "GIF" else getattr(image, "n_frames", 1)
    for number in range(first, 2**31):
        try:
            image.seek(number)
        except EOFError:
            if number < declared:
                raise
            return
        image.load()
        yield image


def _check_frames(image: Image.Image, frames: int, limits: Limits) -> None:
    if frames > limits.max_frames:
        raise PictureError(f"more than {limits.max_frames} frames are too many")
    check_pixels(image.size, frames, limits.max_pixels)


def _loops(image: Image.Image) -> int:
    """Return how often an animation is played, 0 for infinitely."""
    if image.format == "GIF":
        # GIF counts repetitions, as browsers and gif2webp read it; without that block it is played once.
        repetitions: int | None = image.info.get("loop")
        return 1 if repetitions is None else repetitions and repetitions + 1
    return int(image.info.get("loop", 0))  # AVIF has no such field
