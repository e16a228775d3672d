"""Animations: decode all frames, find a single one, and write their timing."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from PIL import Image

from worker.errors import DamagedPicture, PictureError, TooLarge
from worker.imaging.containers.gif import GifReader
from worker.imaging.decoding import (
    Decoded,
    decode_errors_as_picture_errors,
    drop_invalid_metadata,
    visible_part,
    with_profile,
)
from worker.imaging.formats import OutputFormat, Timing
from worker.imaging.guards import Limits, check_pixels
from worker.imaging.orientation import orientation_of, set_upright
from worker.pixels.icc import ColorSpace
from worker.pixels.modes import normalize_mode

LONGEST_FRAMES_MS = {OutputFormat.GIF: 655_350, OutputFormat.WEBP: 2**24 - 1, OutputFormat.PNG: 65_535_000}
"""Maximum duration of a frame in ms."""

MOST_LOOPS = 65_535
"""Maximum number of loops of GIF and WebP."""


def decode_animation(
    image: Image.Image, limits: Limits, space: ColorSpace | None = None, *, keeps_damaged: bool = False
) -> Decoded:
    """Decode all frames of an animation, each as displayed, including what remains of earlier frames.

    `space` is the color space that the file declares besides a profile. With `keeps_damaged`, frames after the first
    that cannot be read are left out. The limit of frames is checked by the header if it has their number, and during
    decoding for GIF.
    """
    if image.format != "GIF":
        _check_frames(image, getattr(image, "n_frames", 1), limits)
    warnings: tuple[str, ...] = ()
    frames: list[Image.Image] = []
    durations: list[float] = []
    try:
        with decode_errors_as_picture_errors():
            orientation, size = orientation_of(image), image.size
            for frame in _each_frame(image):
                _check_frames(image, len(frames) + 1, limits)
                # For a GIF frame beyond the screen, Pillow enlarges the screen; browsers crop, as this does.
                upright = visible_part(frame.crop((0, 0, *size)))
                set_upright(upright, orientation)
                upright = normalize_mode(upright)
                if isinstance(image, GifReader):
                    upright = image.with_unpainted_transparent(upright)
                frames.append(upright)
                durations.append(float(frame.info.get("duration", 0)))
    except DamagedPicture:
        if not keeps_damaged or not frames:
            raise
        warnings = (f"the animation is damaged or truncated; the result ends after frame {len(frames)}",)
    frames, profile = with_profile(_in_one_mode(frames), image.info, space)
    timing = Timing(tuple(durations[: len(frames)]), _loops(image)) if len(frames) > 1 else None
    palette = image.shared_palette if isinstance(image, GifReader) else None
    return Decoded(frames, frames[0].size, None, timing, None, profile, dict(image.info), palette, warnings)


def _in_one_mode(frames: list[Image.Image]) -> list[Image.Image]:
    modes = {frame.mode for frame in frames}
    if len(modes) > 1:
        mode = "RGBA" if modes & {"LA", "RGBA"} else "RGB"
        frames = [frame.convert(mode) for frame in frames]
    for frame in frames:
        frame.info = {}
    return frames


def seek(image: Image.Image, frame: int, limits: Limits) -> None:
    """Seek to a frame, or raise `PictureError` if the image does not have it."""
    if frame >= limits.max_frames:
        raise TooLarge(f"frame must be below {limits.max_frames}, the maximum number of frames; got {frame}")
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
    drop_invalid_metadata(image)
    check_pixels(image.size, 1, limits.max_pixels)  # pages may differ in size


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
        raise TooLarge(f"more than {limits.max_frames} frames are too many")
    check_pixels(image.size, frames, limits.max_pixels)


def _loops(image: Image.Image) -> int:
    """Return how often an animation is played, 0 for infinitely."""
    if image.format == "GIF":
        # GIF counts repetitions, as browsers and gif2webp read it; without that block it is played once.
        repetitions: int | None = image.info.get("loop")
        return 1 if repetitions is None else repetitions and repetitions + 1
    return int(image.info.get("loop", 0))  # AVIF has no such field


def animation_options(timing: Timing, target: OutputFormat) -> dict[str, Any]:
    """Return the options for durations and loops, within the limits of the format; AVIF has no number of loops."""
    longest_ms = LONGEST_FRAMES_MS.get(target, math.inf)
    durations = [round(min(duration, longest_ms)) for duration in timing.durations_ms]
    match target:
        case OutputFormat.GIF:
            # GIF has hundredths of a second, and counts repetitions: without them the animation is played once.
            options: dict[str, Any] = {"duration": [round(duration, -1) for duration in durations]}
            repetitions = min(timing.loops - 1, MOST_LOOPS) if timing.loops else 0
            return options if timing.loops == 1 else {**options, "loop": repetitions}
        case OutputFormat.AVIF:
            return {"duration": durations}
        case OutputFormat.PNG:
            durations = [_png_duration_ms(duration) for duration in durations]
    return {"duration": durations, "loop": min(timing.loops, MOST_LOOPS)}


def _png_duration_ms(duration_ms: int) -> int:
    """Return the closest duration that PNG can express: a fraction of a second of two 16-bit numbers."""
    rounded = (round(duration_ms / unit) * unit for unit in (1, 10, 100, 1000))
    return next(each for each in rounded if Fraction(each, 1000).numerator < 2**16)
