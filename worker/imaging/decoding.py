"""Decode a file to upright pixels, with limits checked first and at a reduced scale where that suffices."""

import math
import warnings
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
)
from worker.imaging.orientation import orientation_of, rotate_box, rotate_size, set_upright
from worker.imaging.pipeline import Timing
from worker.imaging.scales import Scales
from worker.imaging.tiff import check_directories
from worker.operations.base import Operation
from worker.pixels.geometry import DECODER_GAP, Box, Size, decoder_gap
from worker.pixels.modes import normalize_mode

ANIMATED = {InputFormat.PNG, InputFormat.WEBP, InputFormat.AVIF, InputFormat.GIF}
"""Whose frames are an animation; those of TIFF and of phones' JPEGs are pictures of their own."""

HEAD_BYTES = 64 * 1024
"""How much of a file is looked at before any of it is stored: a header with its color profile and Exif data."""


class _UnreadableHeader(PictureError):
    def __init__(self, source: InputFormat) -> None:
        super().__init__(f"the file begins like a {source.value} picture but its header cannot be read")


class _UnsupportedVariant(PictureError):
    """The file is in a variant of its format that is not read."""


@dataclass(frozen=True)
class Decoded:
    """A picture in a working mode, upright, perhaps decoded at a reduced scale."""

    frames: Sequence[Image.Image]
    size: Size
    """What it has in full."""
    box: Box | None
    """Where the picture lies in a reduced frame, whose last row and column may reach over it; None if not reduced."""
    timing: Timing | None
    """None for a still."""
    exif: Image.Exif | None
    """Of a TIFF, where they are part of the directory; those of other formats are in `info`."""
    info: dict[Any, Any]
    """What Pillow found in the file beside pixels, which the frames no longer have: it writes some of it unasked."""

    @cached_property
    def scales(self) -> Scales:
        """The first frame, at sizes that variants share."""
        return Scales(self.frames[0], self.box or (0, 0, *self.size))


def configure_pillow() -> None:
    """Set the limits and warnings of Pillow for this process; call it once at the start."""
    # Pillow warns at 89 megapixels and fails at twice that; `open_image` checks MAX_PIXELS of the settings instead.
    Image.MAX_IMAGE_PIXELS = None
    # Pillow warns of harmless oddities with a different text for each file, which would fill the log.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@cache
def _register_heif() -> None:
    import pillow_heif  # noqa: PLC0415 - an extra, and 10 MB of memory

    # An embedded thumbnail, otherwise taken for smaller results, may show anything.
    pillow_heif.register_heif_opener(thumbnails=False)


def open_image(data: bytes, source: InputFormat, limits: Limits) -> Image.Image:
    """Read the header, or raise `PictureError`; nothing is decoded."""
    if source is InputFormat.HEIC:
        _register_heif()
    try:
        image = _open(data, source, limits)
    except PictureError:
        raise
    except Exception as exc:  # decoders raise what they like on damaged data: OSError, SyntaxError, struct.error, ...
        raise _UnreadableHeader(source) from exc
    if 0 in image.size:
        raise PictureError("the picture has no pixels")
    _drop_non_bytes_metadata(image)
    check_pixels(image.size, 1, limits.max_pixels)
    return image


def _drop_non_bytes_metadata(image: Image.Image) -> None:
    """Leave out what should be bytes: a TIFF may have numbers there."""
    for name in ("icc_profile", "xmp"):
        if not isinstance(image.info.get(name, b""), bytes):
            del image.info[name]


def _open(data: bytes, source: InputFormat, limits: Limits) -> Image.Image:
    """Let Pillow open a file, after a look at what it would take for granted."""
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
    """Raise `DamagedPicture` when a PNG, or the PNG in an icon, does not match its checksums; other formats have none.

    `open_image` must have accepted the file.
    """
    picture = icon_picture(data) if source is InputFormat.ICO else data
    if picture.startswith(PNG_MARK):
        check_pixel_chunks(picture)


def check_header(head: bytes, source: InputFormat, limits: Limits, *, is_whole: bool) -> Size | None:
    """Return the upright size, or raise `PictureError`, when the first bytes of a file already tell.

    None when they do not: unless `head` is the whole file, its header may go on past it.
    """
    try:
        if source is InputFormat.ICO:  # to open one is to decode it
            size = _icon_size(head)
            check_pixels(size, 1, limits.max_pixels)
            return size
        image = open_image(head, source, limits)
    except (TooManyPixels, _UnsupportedVariant):
        raise
    except PictureError:
        if is_whole:
            raise
        return None
    # Asked for Exif data that it does not have in its header, a PNG would be decoded.
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
    """Decode the frame at which an opened picture stands, a JPEG no further than all of `first_operations` need."""
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
            frame = frame.copy()  # as a file, it would be written from its first frame, or with all its tags
        frame.info = {}
        exif = image.getexif() if image.format == "TIFF" else None
        return Decoded((frame,), image.size if box is None else size, box, None, exif, info)


def _draft(image: Image.Image, size: Size, orientation: int, firsts: Sequence[Operation | None]) -> Box | None:
    """Tell a JPEG's decoder what is needed; return the box of the picture in what it will give."""
    modes = {first.decode_mode if first is not None else None for first in firsts}
    scaled = [first.scaled_size(size) if first is not None else None for first in firsts]
    least = None
    if None not in scaled:
        sizes = [each for each in scaled if each is not None]
        width, height = max(each[0] for each in sizes), max(each[1] for each in sizes)
        gap = decoder_gap(DECODER_GAP, (width, height))
        least = math.ceil(width * gap), math.ceil(height * gap)
    # For other formats, or without reason, it does nothing.
    draft = image.draft(modes.pop() if len(modes) == 1 else None, least and rotate_size(least, orientation))
    return draft and draft[1]


def decode_animation(image: Image.Image, limits: Limits) -> Decoded:
    """Decode all frames of an opened animation, each as it is seen: with what it leaves of those before it.

    A format that counts its frames in the header is refused by that; GIF as soon as the limit is passed.
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
            # A GIF's frame may reach over the screen, and Pillow makes that larger; browsers cut it off, as this does.
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
        raise PictureError(f"frame {frame} is too far; {limits.max_frames} frames are allowed")
    # An animation's earlier frames are decoded on the way.
    check_pixels(image.size, frame + 1, limits.max_pixels)
    if image.format == "TIFF":
        image.info.pop("icc_profile", None)  # else a page that has none would have that of the page before
    try:
        image.seek(frame)
    except EOFError as exc:
        raise PictureError(f"the picture has no frame {frame}; the first is 0") from exc
    except PictureError:
        raise
    except Exception as exc:  # see `open_image`
        raise DamagedPicture from exc
    _drop_non_bytes_metadata(image)
    check_pixels(image.size, 1, limits.max_pixels)  # pages may differ


@contextmanager
def decode_errors_as_picture_errors() -> Iterator[None]:
    """Make one sentence of whatever a decoder raises."""
    try:
        yield
    except PictureError:
        raise
    except Exception as exc:  # see `open_image`
        raise DamagedPicture from exc


def _each_frame(image: Image.Image) -> Iterator[Image.Image]:
    """Yield the image at each of its frames, except a PNG's default image that is not part of the animation.

    Every format but GIF declares its number of frames: a file that ends sooner is damaged.
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
    """Return how often an animation is shown, 0 for infinitely."""
    if image.format == "GIF":
        # It counts repetitions, as browsers and gif2webp read it; without a word on them it is shown once.
        repetitions: int | None = image.info.get("loop")
        return 1 if repetitions is None else repetitions and repetitions + 1
    return int(image.info.get("loop", 0))  # AVIF has no word on it
