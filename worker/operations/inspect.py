import hashlib
from io import BytesIO
from typing import Annotated, Any, ClassVar

from msgspec import Meta
from PIL import Image, ImageCms

from worker.operations.base import WORKING_MODES, Operation, Source
from worker.pixels.exif import camera_facts, clean_text, has_gps
from worker.pixels.geometry import Size, size_within
from worker.pixels.hashes import blur_hash, perceptual_hash, thumb_hash
from worker.pixels.palette import average, clusters, palette
from worker.pixels.resampling import thumbnail

DEFAULT_COLORS = 5

SIDE = 200
"""Size in pixels to which an image is reduced before it is analyzed.

A JPEG of 1600 pixels or more is then decoded to an eighth of its size. Compared with the full decode, for photographs
of 2 and 12 megapixels, the average color differs by at most one step and the perceptual hash by at most 2 bits.
"""

PALETTE_SIDE = 100
"""Size in pixels to which it is reduced further for its palette: 10,000 pixels are sufficient."""


class Inspect(Operation, frozen=True, tag="inspect"):
    """Return a JSON document about the image instead of an image.

    Of the upload: format, mode (Pillow's), frames, has_alpha, bytes, sha256, icc_profile (the name of its color
    profile), has_gps (whether its Exif or XMP data have a position, which is not shown), digital_source_type (a URI
    that says how it was made, such as by an AI), has_c2pa (whether it has Content Credentials, which are not verified),
    and exif with those of make, model, lens, software, orientation (as stored), datetime_original, exposure_time (in
    seconds), f_number, iso, focal_length (in millimeters), artist and copyright that exist.

    Of the image, upright and after the previous operations: width, height, average_color, dominant_color (#rrggbb; the
    most frequent of five, independent of colors), palette (a list of color and share, 0 to 1, the largest first),
    blurhash, thumbhash (in base64) and phash, a perceptual hash of 64 bits in hexadecimal: similar images differ in few
    bits. Transparent pixels are ignored for colors, and count as the average color in blurhash and phash.

    Unknown values are null; colors and hashes are null for a completely transparent image.
    """

    srgb_modes: ClassVar[tuple[str, ...]] = WORKING_MODES
    is_report: ClassVar[bool] = True

    colors: Annotated[int, Meta(ge=1, le=16, description="Maximum number of colors of the palette.")] = DEFAULT_COLORS

    def scaled_size(self, size: Size) -> Size:
        return size_within(size, SIDE)

    def report(self, image: Image.Image, size: Size, source: Source) -> dict[str, Any]:
        return {
            "format": source.format,
            "width": size[0],
            "height": size[1],
            "mode": source.mode,
            "frames": source.frames,
            "has_alpha": source.has_alpha,
            "bytes": len(source.data),
            "sha256": hashlib.sha256(source.data).hexdigest(),
            "icc_profile": _profile_name(source.icc_profile),
            "has_gps": has_gps(source.exif) or source.has_gps_in_xmp,
            "digital_source_type": source.digital_source_type and clean_text(source.digital_source_type),
            "has_c2pa": source.has_c2pa,
            "exif": camera_facts(source.exif),
            **_looks(thumbnail(image, SIDE).convert("RGBA"), self.colors),
        }


def _looks(image: Image.Image, colors: int) -> dict[str, Any]:
    """Return the colors and hashes of a small RGBA image."""
    groups = clusters(thumbnail(image, PALETTE_SIDE))
    if not groups:
        nothing = ("average_color", "dominant_color", "palette", "blurhash", "thumbhash", "phash")
        return dict.fromkeys(nothing)
    mean = average(groups)
    opaque = Image.new("RGB", image.size, mean.color)
    opaque.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return {
        "average_color": mean.color,
        "dominant_color": palette(groups, DEFAULT_COLORS)[0].color,
        "palette": [
            {"color": cluster.color, "share": round(cluster.weight / mean.weight, 4)}
            for cluster in palette(groups, colors)
        ],
        "blurhash": blur_hash(opaque),
        "thumbhash": thumb_hash(image),
        "phash": perceptual_hash(opaque),
    }


def _profile_name(profile: bytes | None) -> str | None:
    if profile is None:
        return None
    try:
        return clean_text(ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # the errors of Pillow for damaged profiles
        return None
