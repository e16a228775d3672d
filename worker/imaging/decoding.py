"""Decode a file to upright frames, after checking limits, and at a reduced scale where that is sufficient."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image

from worker.errors import DamagedPicture, PictureError, TooLarge, UnsupportedVariant
from worker.imaging.containers import jpeg2000, png
from worker.imaging.containers.gif import GifReader
from worker.imaging.containers.ico import icon_picture
from worker.imaging.containers.opening import CLEAN_APERTURE, DECODED_AT_ONCE, open_file
from worker.imaging.containers.tiff import scaled_samples
from worker.imaging.formats import InputFormat, Timing
from worker.imaging.guards import Limits, check_pixels
from worker.imaging.orientation import orientation_of, rotate_box, rotate_size, set_upright
from worker.operations.base import Operation
from worker.pixels.geometry import DECODER_GAP, Box, Size, minimum_gap
from worker.pixels.icc import ColorSpace
from worker.pixels.modes import normalize_mode
from worker.pixels.profiles import differs_from_srgb, fits
from worker.pixels.resampling import Scales
from worker.pixels.tone_mapping import tone_mapped

HEAD_BYTES = 64 * 1024
"""Size of the head of a file that is checked before storing it: header, color profile and Exif data."""


class _UnreadableHeader(DamagedPicture):
    def __init__(self, source: InputFormat) -> None:
        super().__init__(f"the file looks like {source.value}, but its header cannot be read")


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
    profile: bytes | None
    """The ICC profile, if it matches the mode."""
    info: dict[Any, Any]
    """The `info` of Pillow's image. It is removed from the frames, because Pillow writes some of it by default."""
    palette: bytes | None = None
    """The palette of a GIF, three bytes for each color."""
    warnings: tuple[str, ...] = ()
    """What a client should know about the result, in sentences."""

    @cached_property
    def scales(self) -> Scales:
        """The first frame at several scales, which variants share."""
        return Scales(self.frames[0], self.box or (0, 0, *self.size))


def open_image(data: bytes, source: InputFormat, limits: Limits, *, keeps_damaged: bool = False) -> Image.Image:
    """Open an image by its header, without decoding pixels, or raise `PictureError`.

    With `keeps_damaged`, faulty chunks of a PNG are left out even if its picture needs them.
    """
    try:
        image = open_file(data, source, limits, keeps_damaged=keeps_damaged)
    except (PictureError, MemoryError):
        raise
    except Exception as exc:  # damaged data may raise any error: OSError, SyntaxError, struct.error, ...
        raise _UnreadableHeader(source) from exc
    if 0 in image.size:
        raise DamagedPicture("the image has no pixels")
    drop_invalid_metadata(image)
    check_pixels(image.size, 1, limits.max_pixels)
    return image


def drop_invalid_metadata(image: Image.Image) -> None:
    """Remove metadata that must be bytes and is not; a TIFF may have numbers instead."""
    for name in ("icc_profile", "xmp"):
        if not isinstance(image.info.get(name, b""), bytes):
            del image.info[name]


def visible_part(image: Image.Image) -> Image.Image:
    """Return a decoded image without what its clean aperture leaves out."""
    box = image.info.get(CLEAN_APERTURE)
    return image if box is None else image.crop(box)


def check_checksums(data: bytes, source: InputFormat) -> None:
    """Raise `DamagedPicture` for damage that the decoder does not notice.

    This is a PNG, or the PNG in an icon, that does not match its checksums, and a JPEG 2000 without its end.
    `open_image` must have accepted the file.
    """
    if source is InputFormat.JPEG2000 and not jpeg2000.is_complete(data):
        raise DamagedPicture
    picture = icon_picture(data) if source is InputFormat.ICO else data
    if picture.startswith(png.MARK):
        png.check_pixel_chunks(picture)


def check_header(head: bytes, source: InputFormat, limits: Limits, *, is_whole: bool) -> Size | None:
    """Return the upright size from the head of a file, or raise `PictureError`.

    Returns None if the head does not contain it. Unless `is_whole`, the header may continue after `head`.
    """
    try:
        if source in DECODED_AT_ONCE:
            size = _declared_size(head, source)
            check_pixels(size, 1, limits.max_pixels)
            return size
        image = open_image(head, source, limits)
    except (TooLarge, UnsupportedVariant):
        raise
    except PictureError:
        if is_whole:
            raise
        return None
    try:
        return upright_size(image)
    except PictureError:
        return None


def _declared_size(head: bytes, source: InputFormat) -> Size:
    try:
        return DECODED_AT_ONCE[source](head)
    except Exception as exc:  # see `open_image`
        raise _UnreadableHeader(source) from exc


def visible_size(image: Image.Image) -> Size:
    """Return the size of `visible_part`, before the image is rotated upright."""
    left, upper, right, lower = image.info.get(CLEAN_APERTURE) or (0, 0, *image.size)
    return right - left, lower - upper


def upright_size(image: Image.Image) -> Size:
    with decode_errors_as_picture_errors():
        return rotate_size(visible_size(image), orientation_of(image))


def load_readable(image: Image.Image) -> bool:
    """Decode as much of the current frame as can be read; return whether it is damaged.

    Raises the errors of Pillow if nothing can be read.
    """
    try:
        image.load()
    except MemoryError:
        raise
    except Exception:  # see `open_image`
        image.tile = []  # type: ignore[attr-defined] # Pillow then takes it for complete
        image.load()
        return True
    return False


def decode_still(
    image: Image.Image, first_operations: Iterable[Operation | None], space: ColorSpace | None = None
) -> Decoded:
    """Decode the current frame of an image; a JPEG only at the scale that all of `first_operations` need.

    `space` is the color space that the file declares besides a profile. An image that has been loaded, such as by
    `load_readable`, stays as it is.
    """
    with decode_errors_as_picture_errors():
        orientation = orientation_of(image)
        size = rotate_size(image.size, orientation)
        draft = _draft(image, size, orientation, tuple(first_operations))
        image.load()
        reach, info, file = image.size, dict(image.info), image
        image = visible_part(image)
        set_upright(image, orientation)
        box = None if draft is None or image.size == size else rotate_box(draft, reach, orientation)
        frame = normalize_mode(scaled_samples(image))
        if isinstance(file, GifReader):
            frame = file.with_unpainted_transparent(frame)
        if getattr(file, "is_animated", False) or file.format == "TIFF":
            frame = frame.copy()  # saving the file object would start at its first frame, or write all its tags
        frame.info = {}
        exif = image.getexif() if file.format == "TIFF" else None
        size = image.size if box is None else size
        (frame,), profile = with_profile([frame], info, space)
        palette = file.shared_palette if isinstance(file, GifReader) else None
        return Decoded((frame,), size, box, None, exif, profile, info, palette)


def _draft(image: Image.Image, size: Size, orientation: int, firsts: Sequence[Operation | None]) -> Box | None:
    """Configure the scale of the JPEG decoder; return the box of the image in its output."""
    modes = {first.decode_mode if first is not None else None for first in firsts}
    if differs_from_srgb(image.info.get("icc_profile"), image.mode):
        modes = {None}  # luma of another color space
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


def with_profile(
    frames: list[Image.Image], info: Mapping[Any, Any], space: ColorSpace | None
) -> tuple[list[Image.Image], bytes | None]:
    """Return the frames, which are mapped to sRGB if they are HDR, and the profile that applies to them."""
    mode = frames[0].mode
    profile: bytes | None = info.get("icc_profile")
    if profile is not None and fits(profile, mode) and not (space and space.precedes_icc):
        return frames, profile
    if space is None:
        return frames, None
    if space.hdr is not None:
        return [tone_mapped(frame, space.primaries, space.hdr) for frame in frames], None
    return frames, space.profile_for(mode)


@contextmanager
def decode_errors_as_picture_errors() -> Iterator[None]:
    """Convert any error of a decoder to a `PictureError`."""
    try:
        yield
    except (PictureError, MemoryError):
        raise
    except Exception as exc:  # see `open_image`
        raise DamagedPicture from exc
