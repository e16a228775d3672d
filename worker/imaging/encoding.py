"""From pixels to a file's bytes: color modes, profiles, and encoder settings."""

import math
import os
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any

from PIL import Image

from worker.errors import PictureError
from worker.imaging.formats import OutputFormat
from worker.imaging.gif import COLOURS, gif_frames
from worker.imaging.pipeline import Picture, Timing
from worker.imaging.plan import Output
from worker.imaging.tiff import with_exif
from worker.pixels.colors import rgba
from worker.pixels.modes import convert_to_modes, fits, to_srgb

WRITABLE_MODES = {
    OutputFormat.JPEG: ("L", "RGB", "CMYK"),
    OutputFormat.PNG: ("L", "LA", "RGB", "RGBA", "I;16"),
    OutputFormat.WEBP: ("RGB", "RGBA"),
    OutputFormat.AVIF: ("L", "RGB", "RGBA"),
    OutputFormat.GIF: ("L", "RGB", "RGBA"),
    OutputFormat.TIFF: ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"),
}

DEFAULT_EFFORT_OPTIONS: dict[OutputFormat, dict[str, object]] = {
    OutputFormat.WEBP: {"method": 4},
    OutputFormat.AVIF: {"speed": 7},
}
"""The benchmark holds bytes against thumbor's at equal PSNR: AVIF's speed 8 took 1.3 % more, 6 takes twice the time."""

EFFORT_OPTIONS: dict[OutputFormat, Callable[[int], dict[str, object]]] = {
    OutputFormat.PNG: lambda effort: {"compress_level": effort},
    OutputFormat.WEBP: lambda effort: {"method": round(effort * 6 / 9)},
    OutputFormat.AVIF: lambda effort: {"speed": 10 - effort},
}

PROGRESSIVE_PIXELS = 640 * 480
"""Up to here a JPEG is progressive unless asked otherwise: 5 % smaller, for 3 ms more at 512 x 384, 200 at 12 MP."""

LONGEST_FRAMES_MS = {OutputFormat.GIF: 655_350, OutputFormat.WEBP: 2**24 - 1, OutputFormat.PNG: 65_535_000}
"""The longest duration of a frame that the format can hold."""

MOST_LOOPS = 65_535
"""What GIF and WebP hold."""

SAMPLE_SHARE = 16
"""One part in how many of a PNG is tried to see how to compress the whole."""

SMALL_PIXELS = 256 * 256
"""Up to here a PNG takes a few milliseconds whatever it shows, and a sample says little."""


def encode(picture: Picture, output: Output, target: OutputFormat, metadata: dict[str, Any]) -> bytes:
    """Write a picture; its ICC profile goes with it where it fits the colors, `metadata` are options for saving.

    Raises `PictureError` when the format cannot hold the picture, or `max_bytes` not the file.
    """
    _check_sides(picture.frames[0], target)
    profile, frames = picture.profile, picture.frames
    if output.colorspace == "srgb" or not _holds(target, profile, frames[0].mode, output):
        profile, frames = None, [to_srgb(frame, profile) for frame in frames]
    frames = [_writable(frame, output, target) for frame in frames]
    for frame in frames:
        frame.info = {}  # Pillow writes some of it unasked, such as the profile that a conversion left there
    is_fitting = profile is not None and fits(profile, frames[0].mode)
    if target is OutputFormat.PNG and picture.timing is None:
        frames = [_compact(frames[0])]
    options = {**metadata, **_encoder_options(frames, output, target)}
    if is_fitting:
        options["icc_profile"] = profile
    if picture.timing is not None:
        options |= _animation_options(picture.timing, target)
    if target is OutputFormat.GIF:
        frames, gif_options = gif_frames(frames)
        options |= gif_options
    exif = options.pop("exif", None) if target is OutputFormat.TIFF else None
    save = partial(_save, frames, target, options)
    return _within(output, target, save if exif is None else lambda: with_exif(save(), exif))


def _within(output: Output, target: OutputFormat, save: Callable[..., bytes]) -> bytes:
    """Save once, or, where a size is asked for, with the best quality that keeps to it."""
    max_bytes = output.max_bytes
    if target.default_quality is None or output.lossless:
        data = save()
        if max_bytes is not None and len(data) > max_bytes:
            raise PictureError(
                f"the result has {len(data):,} bytes; max_bytes is {max_bytes:,}, and there is no quality to lower"
            )
        return data
    if max_bytes is None:
        return save(quality=output.quality or target.default_quality)
    return best_that_fits(lambda quality: save(quality=quality), output.quality or 100, max_bytes)


def _encoder_options(frames: Sequence[Image.Image], output: Output, target: OutputFormat) -> dict[str, Any]:
    if output.effort is None:
        options = dict(DEFAULT_EFFORT_OPTIONS.get(target, {}))
    else:
        options = EFFORT_OPTIONS[target](output.effort)
    match target:
        case OutputFormat.JPEG:
            pixels = frames[0].width * frames[0].height
            options["progressive"] = pixels <= PROGRESSIVE_PIXELS if output.progressive is None else output.progressive
        case OutputFormat.PNG if frames[0].mode not in ("1", "P"):  # whose rows are not filtered
            options["compress_type"] = _png_strategy(frames[0])
        case OutputFormat.WEBP:
            options["lossless"] = output.lossless
        case OutputFormat.AVIF:
            options["max_threads"] = 1  # a worker has a thread for each core already
        case OutputFormat.TIFF:
            options["compression"] = "tiff_adobe_deflate"
    return options


def _animation_options(timing: Timing, target: OutputFormat) -> dict[str, Any]:
    """Say how an animation runs, as far as the format's numbers reach; AVIF has no word for how often."""
    longest_ms = LONGEST_FRAMES_MS.get(target, math.inf)
    durations = [round(min(duration, longest_ms)) for duration in timing.durations_ms]
    match target:
        case OutputFormat.GIF:
            # In hundredths of a second, and it counts the repetitions: without them it is shown once.
            options: dict[str, Any] = {"duration": [round(duration, -1) for duration in durations]}
            repetitions = min(timing.loops - 1, MOST_LOOPS) if timing.loops else 0
            return options if timing.loops == 1 else {**options, "loop": repetitions}
        case OutputFormat.AVIF:
            return {"duration": durations}
        case OutputFormat.PNG:
            durations = [_png_duration_ms(duration) for duration in durations]
    return {"duration": durations, "loop": min(timing.loops, MOST_LOOPS)}


def _png_duration_ms(duration_ms: int) -> int:
    """Return the closest duration that a PNG can hold: a fraction of a second of two 16-bit numbers."""
    rounded = (round(duration_ms / unit) * unit for unit in (1, 10, 100, 1000))
    return next(each for each in rounded if Fraction(each, 1000).numerator < 2**16)


def _save(frames: Sequence[Image.Image], target: OutputFormat, options: dict[str, Any], **quality: int) -> bytes:
    # Pillow lets other threads run while it encodes into a file, and not while it does into a Python buffer: on two
    # threads, 2 MP to grey went from 155 to 225 a second.
    first, *rest = frames
    several = {"save_all": True, "append_images": rest} if rest else {}
    # libtiff closes the file that it is given.
    with BytesIO() if target is OutputFormat.TIFF else _memory_file() as file:
        first.save(file, target.pillow_name, **several, **options, **quality)
        file.seek(0)
        return file.read()


def _memory_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("picture"), "w+b")
    return TemporaryFile()


def _compact(image: Image.Image) -> Image.Image:
    """Return the same pixels with a palette, or in single bits, where that is enough: a half to a sixth of the size."""
    # A palette has three bytes for each color, and saves up to two for each pixel before compression.
    worthwhile = min(COLOURS, image.width * image.height // 4)
    if image.mode == "RGB" and image.getcolors(worthwhile) is not None:
        return image.quantize(COLOURS, Image.Quantize.MEDIANCUT)  # exact, as there are no more
    if image.mode == "L" and not any(image.histogram()[1:255]):
        return image.convert("1")
    return image


def _png_strategy(image: Image.Image) -> int:
    """Choose zlib's strategy, Pillow's own or by trying rows from the middle runs only, where that is as small.

    In photographs the search for repeats finds nothing and takes three quarters of the time.
    """
    if image.width * image.height <= SMALL_PIXELS:
        return zlib.Z_FILTERED
    rows = max(1, image.height // SAMPLE_SHARE)
    upper = (image.height - rows) // 2
    sample = image.crop((0, upper, image.width, upper + rows))
    runs, repeats = (
        len(_save([sample], OutputFormat.PNG, {"compress_type": each})) for each in (zlib.Z_RLE, zlib.Z_FILTERED)
    )
    return zlib.Z_RLE if runs <= repeats * 1.01 else zlib.Z_FILTERED


def _holds(target: OutputFormat, profile: bytes | None, mode: str, output: Output) -> bool:
    """Whether a picture of this mode, written in the format `target`, can go with its profile.

    GIF holds none, and grey or CMYK that has to become RGB has no more use for its own.
    """
    if profile is None or not fits(profile, mode):
        return True  # nothing to convert by
    return target is not OutputFormat.GIF and fits(profile, _writable(Image.new(mode, (1, 1)), output, target).mode)


def _writable(image: Image.Image, output: Output, target: OutputFormat) -> Image.Image:
    """Bring a picture in a working mode to the closest mode that `target` can hold."""
    modes = WRITABLE_MODES[target]
    if image.mode in ("LA", "RGBA") and "RGBA" not in modes:
        image = _flatten(image, output.background)
    return convert_to_modes(image, modes, None)


def _flatten(image: Image.Image, background: str) -> Image.Image:
    """Lay a picture with alpha on a color."""
    paper = Image.new("RGBA", image.size, rgba(background)[:3])
    paper.alpha_composite(image.convert("RGBA"))
    return paper.convert("RGB")


def _check_sides(image: Image.Image, target: OutputFormat) -> None:
    if max(image.size) > target.max_side:
        raise PictureError(
            f"the result would be {image.width} x {image.height} pixels; "
            f"{target.value} holds at most {target.max_side} on a side"
        )


def best_that_fits(save: Callable[[int], bytes], best: int, max_bytes: int) -> bytes:
    """Return `save(quality)` for the highest quality from 1 to `best` that gives at most `max_bytes`.

    By halving: at most eight files are written. Guesses by the sizes so far took seven on average, but up to twelve for
    photographs, and 43 where a file's size leaps. Raises `PictureError` when not even quality 1 fits.
    """
    data = save(best)
    if len(data) <= max_bytes:
        return data
    fits, fitting = 0, b""
    too_large, too_large_bytes = best, len(data)
    while too_large - fits > 1:
        guess = (fits + too_large) // 2
        data = save(guess)
        if len(data) <= max_bytes:
            fits, fitting = guess, data
        else:
            too_large, too_large_bytes = guess, len(data)
    if not fitting:
        raise PictureError(
            f"the result has {too_large_bytes:,} bytes at the lowest quality; max_bytes is {max_bytes:,}"
        )
    return fitting
