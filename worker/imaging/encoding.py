"""Encode images: color modes, profiles and encoder settings."""

import os
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any

from PIL import Image

from worker.errors import MaxBytesOutOfReach
from worker.imaging.animation import animation_options
from worker.imaging.containers.gif import COLOURS, gif_frames
from worker.imaging.containers.opening import register_jpeg_xl
from worker.imaging.containers.tiff import with_exif
from worker.imaging.formats import WITHOUT_PROFILES, OutputFormat
from worker.imaging.guards import check_result_size
from worker.imaging.picture import Picture
from worker.imaging.plan import Output
from worker.pixels import icc
from worker.pixels.colors import in_space_of, rgba
from worker.pixels.modes import convert_to_modes
from worker.pixels.profiles import differs_from_srgb, fits

WRITABLE_MODES = {
    OutputFormat.JPEG: ("L", "RGB", "CMYK"),
    OutputFormat.PNG: ("L", "LA", "RGB", "RGBA", "I;16"),
    OutputFormat.WEBP: ("RGB", "RGBA"),
    OutputFormat.AVIF: ("L", "RGB", "RGBA"),
    OutputFormat.GIF: ("L", "RGB", "RGBA"),
    OutputFormat.TIFF: ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"),
    OutputFormat.JPEG2000: ("L", "LA", "RGB", "RGBA", "I;16"),
    OutputFormat.JXL: ("L", "LA", "RGB", "RGBA"),  # the plugin declares 16 bits as linear light
}

DEFAULT_EFFORT_OPTIONS: dict[OutputFormat, dict[str, object]] = {
    OutputFormat.WEBP: {"method": 4},
    # 12 MP take 0.3 s, and 1.4 s with an effort of 5, which saves 10 % at equal PSNR.
    OutputFormat.JXL: {"effort": 4},
}

EFFORT_OPTIONS: dict[OutputFormat, Callable[[int], dict[str, object]]] = {
    OutputFormat.PNG: lambda effort: {"compress_level": effort},
    OutputFormat.WEBP: lambda effort: {"method": round(effort * 6 / 9)},
    OutputFormat.AVIF: lambda _: {},  # see `_avif_speed`
    # libjxl's 8 and 9 take four and six times as long as 7.
    OutputFormat.JXL: lambda effort: {"effort": min(effort, 7)},
}

AVIF_DEFAULT_EFFORT = 4
"""Compared at equal PSNR, speed 8 needs 1.3 % more bytes, and speed 6 takes twice the time."""

AVIF_SPEEDS = {1: 10, 2: 9, 3: 8, 4: 7, 5: 6, 6: 6, 7: 6, 8: 5, 9: 4}
"""Effort -> speed of libavif. For a megapixel of noise, speed 6 takes 0.8 s, 5 and 4 take 5.5 and 7.4 s. Below 4, files
become 3 % smaller at most, in up to four times the time of 4."""

AVIF_LEAST_SPEEDS = ((2_000_000, 6), (24_000_000, 7))
"""Lowest speed above a number of pixels, so that an image of MAX_PIXELS stays within TASK_TIMEOUT_S."""

FULL_COLOR_QUALITY = 90
"""Lowest quality at which JPEG and AVIF keep the resolution of colors by default."""

PROGRESSIVE_PIXELS = 640 * 480
"""Pixels up to which a JPEG is progressive by default: 5 % smaller, but 3 ms slower at 512 x 384, 200 ms at 12 MP."""

SAMPLE_SHARE = 16
"""Fraction (1 in N rows) of a PNG that is compressed to choose the strategy for the whole image."""

SMALL_PIXELS = 256 * 256
"""Pixels up to which a PNG takes a few milliseconds in any case, and a sample is not representative."""


def suitable_formats(picture: Picture, targets: Sequence[OutputFormat]) -> Sequence[OutputFormat]:
    """Return those formats that can hold an image with its size, animation and transparency; all if none can."""
    is_translucent = any(
        frame.mode in ("LA", "RGBA") and frame.getextrema()[-1] != (255, 255) for frame in picture.frames
    )
    return [
        target
        for target in targets
        if max(picture.size) <= target.max_side
        and (target.is_animated or picture.timing is None)
        and ("RGBA" in WRITABLE_MODES[target] or not is_translucent)
    ] or targets


def encode(
    picture: Picture,
    output: Output,
    target: OutputFormat,
    metadata: dict[str, Any],
    check_stop: Callable[[], None] = lambda: None,
) -> bytes:
    """Encode an image, with its ICC profile if it matches the color mode; `metadata` are options of `Image.save`.

    Raises `PictureError` if the format cannot hold the image, or if the file cannot be as small as `max_bytes`, and
    whatever `check_stop` raises, which is called before each attempt to reach `max_bytes`.
    """
    check_result_size(picture.size, target)
    picture = _in_output_space(picture, output, target)
    frames = [_writable(frame, picture.profile, output, target) for frame in picture.frames]
    for frame in frames:
        frame.info = {}  # Pillow writes some of it by default
    profile = picture.profile if picture.profile is not None and fits(picture.profile, frames[0].mode) else None
    if target is OutputFormat.PNG and picture.timing is None:
        frames = [_compact(frames[0])]
    options = {**_encoder_options(frames, output, target), **metadata}
    if profile is not None:
        options["icc_profile"] = profile
    if picture.timing is not None:
        options |= animation_options(picture.timing, target)
    if target is OutputFormat.GIF:
        frames, gif_options = gif_frames(frames, picture.palette)
        options |= gif_options
    exif = options.pop("exif", None) if target is OutputFormat.TIFF else None

    def save(**quality: int) -> bytes:
        return _save(
            frames, target, {**options, **_quality_options(frames[0].mode, target, output, **quality)}, check_stop
        )

    return _within(output, target, save if exif is None else lambda: with_exif(save(), exif))


def _within(output: Output, target: OutputFormat, save: Callable[..., bytes]) -> bytes:
    """Save once or, with `max_bytes`, with the best quality that fits."""
    max_bytes = output.max_bytes
    if target.default_quality is None or output.lossless:
        data = save()
        if max_bytes is not None and len(data) > max_bytes:
            raise MaxBytesOutOfReach(
                f"the result must have at most {max_bytes:,} bytes (max_bytes), and has no quality to lower; "
                f"got {len(data):,} bytes"
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
        case OutputFormat.PNG if frames[0].mode not in ("1", "P"):  # their rows are not filtered
            options["compress_type"] = _png_strategy(frames[0])
        case OutputFormat.WEBP:
            options["lossless"] = output.lossless
        case OutputFormat.AVIF:
            options["max_threads"] = 1  # the worker already has a thread for each core
            options["speed"] = _avif_speed(frames, output.effort)
        case OutputFormat.JXL:
            register_jpeg_xl()
            options["num_threads"] = 0  # as for AVIF
            options["exif"] = b""  # otherwise the plugin writes what Pillow has read
            options["lossless"] = output.lossless
        case OutputFormat.TIFF:
            options["compression"] = "tiff_adobe_deflate"
    return options


def _quality_options(mode: str, target: OutputFormat, output: Output, quality: int | None = None) -> dict[str, Any]:
    if quality is None:
        return {}
    if target is OutputFormat.JXL:
        return {"quality": min(quality, 99)}  # libjxl's 100 is lossless
    options: dict[str, Any] = {"quality": quality}
    if target in (OutputFormat.JPEG, OutputFormat.AVIF) and mode != "L":
        choice = output.subsampling
        if choice == "auto":
            choice = "444" if quality >= FULL_COLOR_QUALITY else "420"
        options["subsampling"] = ":".join(choice)
    return options


def _avif_speed(frames: Sequence[Image.Image], effort: int | None) -> int:
    pixels = sum(frame.width * frame.height for frame in frames)
    floors = [speed for above, speed in AVIF_LEAST_SPEEDS if pixels > above]
    return max(AVIF_SPEEDS[effort or AVIF_DEFAULT_EFFORT], *floors, 0)


def _save(
    frames: Sequence[Image.Image],
    target: OutputFormat,
    options: dict[str, Any],
    check_stop: Callable[[], None] = lambda: None,
) -> bytes:
    check_stop()
    # Pillow releases the GIL while it encodes to a file, but not to a Python buffer: with two threads, converting
    # 2 MP to grayscale went from 155 to 225 images per second.
    first, *rest = frames
    several = {"save_all": True, "append_images": rest} if rest else {}
    # libtiff closes the file.
    with BytesIO() if target is OutputFormat.TIFF else _memory_file() as file:
        first.save(file, target.pillow_name, **several, **options)
        file.seek(0)
        return file.read()


def _memory_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("picture"), "w+b")
    return TemporaryFile()


def _compact(image: Image.Image) -> Image.Image:
    """Return the same pixels with a palette or in mode 1 if that is lossless: half to a sixth of the file size."""
    # A palette costs three bytes per color, and saves up to two per pixel before compression.
    worthwhile = min(COLOURS, image.width * image.height // 4)
    if image.mode == "RGB" and image.getcolors(worthwhile) is not None:
        return image.quantize(COLOURS, Image.Quantize.MEDIANCUT)  # exact, because there are no more colors
    if image.mode == "L" and not any(image.histogram()[1:255]):
        return image.convert("1")
    return image


def _png_strategy(image: Image.Image) -> int:
    """Choose zlib's strategy: RLE if it compresses rows from the middle as well as Pillow's default does.

    In photographs, searching for repeated strings finds nothing and takes three quarters of the time.
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


def _in_output_space(picture: Picture, output: Output, target: OutputFormat) -> Picture:
    """Convert an image to the requested color space, or to sRGB if the format cannot hold its profile.

    Some formats have no profiles, and a profile for gray or CMYK does not apply after a conversion to RGB.
    """
    if output.colorspace == "p3":
        return picture.in_profile(icc.rgb_profile(icc.DISPLAY_P3, icc.SRGB_CURVE, "Display P3"))
    if output.colorspace == "srgb":
        return picture.in_srgb()
    if picture.profile is None:
        return picture
    written = _writable(Image.new(picture.mode, (1, 1)), None, output, target)
    is_held = target not in WITHOUT_PROFILES and fits(picture.profile, written.mode)
    return picture if is_held else picture.in_srgb()


def _writable(image: Image.Image, profile: bytes | None, output: Output, target: OutputFormat) -> Image.Image:
    """Convert an image in a working mode, with its profile, to the closest mode of the format `target`."""
    modes = WRITABLE_MODES[target]
    if image.mode in ("LA", "RGBA") and "RGBA" not in modes:
        differs = profile is not None and differs_from_srgb(profile, image.mode)
        image = _flatten(image, in_space_of(profile, output.background) if profile and differs else output.background)
    return convert_to_modes(image, modes)


def _flatten(image: Image.Image, background: str) -> Image.Image:
    """Composite an image with alpha over a color."""
    paper = Image.new("RGBA", image.size, rgba(background)[:3])
    paper.alpha_composite(image.convert("RGBA"))
    return paper.convert("RGB")


def best_that_fits(save: Callable[[int], bytes], best: int, max_bytes: int) -> bytes:
    """Return `save(quality)` for the highest quality from 1 to `best` that gives at most `max_bytes`.

    It uses bisection, which writes at most eight files. Interpolation took seven on average, but up to twelve for
    photographs, and 43 where file sizes jump. Raises `MaxBytesOutOfReach` if quality 1 does not fit.
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
        raise MaxBytesOutOfReach(
            f"the result must have at most {max_bytes:,} bytes (max_bytes); got {too_large_bytes:,} bytes at quality 1"
        )
    return fitting
