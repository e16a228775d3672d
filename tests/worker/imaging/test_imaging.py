"""From bytes to bytes: formats, orientation, metadata, color, damage."""

import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageOps

from tests.support.pictures import Size, decoded, drawing, encoded, jpeg, mean_difference
from tests.support.rendering import LIMITS, rendered
from worker.errors import PictureError
from worker.imaging import decoding
from worker.imaging.decoding import check_header
from worker.imaging.formats import WITHOUT_PROFILES, InputFormat, OutputFormat, sniff
from worker.imaging.guards import TooManyPixels
from worker.operations.base import Operation
from worker.operations.crop import Crop
from worker.operations.grayscale import Grayscale
from worker.operations.resize import Resize
from worker.operations.trim import Trim

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def run(data: bytes, *operations: Operation, **output: Any) -> Image.Image:
    result = rendered(data, *operations, **output)
    source, target = sniff(data), sniff(result)
    assert source is not None
    assert target is not None
    assert target.value == output.get("format", source.default_output.value)
    return decoded(result)


FILES = {
    **{f"JPEG {mode}": encoded(drawing(mode=mode), "JPEG", quality=95) for mode in ("L", "RGB", "CMYK")},
    **{f"PNG {mode}": encoded(drawing(mode=mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    "PNG P transparent": encoded(drawing().quantize(16), "PNG", transparency=3),
    "PNG RGB color key": encoded(drawing(), "PNG", transparency=(255, 255, 255)),
    "PNG L color key": encoded(drawing(mode="L"), "PNG", transparency=255),
    **{f"WEBP {mode}": encoded(drawing(mode=mode), "WEBP", quality=95) for mode in ("RGB", "RGBA")},
    **{f"AVIF {mode}": encoded(drawing(mode=mode), "AVIF", quality=90) for mode in ("L", "RGB", "RGBA")},
}


@pytest.mark.parametrize("target", list(OutputFormat))
@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_goes_into_every_format(name: str, target: OutputFormat) -> None:
    source = decoded(FILES[name])
    result = run(FILES[name], format=target.value)
    assert result.format == target.pillow_name
    assert result.size == source.size
    if source.mode == "I;16":
        source = source.point(lambda value: value / 256, "L")
        result = result.point(lambda value: value / 256, "L") if result.mode == "I;16" else result
    if source.has_transparency_data and target is not OutputFormat.JPEG:
        alpha, kept = (each.convert("RGBA").getchannel("A") for each in (source, result))
        assert kept.getextrema() == alpha.getextrema()
    assert mean_difference(result, source) < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_gone(orientation: int) -> None:
    image = drawing((120, 80))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    result = run(encoded(image, "JPEG", exif=exif, quality=95), format="png")
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)  # fmt: skip
    expected = image if turn is None else image.transpose(turn)
    assert result.size == expected.size
    assert mean_difference(result, expected) < 4
    assert not result.getexif()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(640, 480), (645, 487), (487, 645)])
@pytest.mark.parametrize("fit", ["fill", "contain", "cover", "inside", "outside"])
def test_a_jpeg_decoded_at_a_reduced_scale_gives_the_same_picture(fit: Any, size: Size, orientation: int) -> None:
    """Whatever the sides and the orientation: a shift by a part of a pixel would show at the edges of the drawing."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(drawing(size), "JPEG", exif=exif, quality=95)
    resize = Resize(width=50, height=40, fit=fit)
    reduced = decoding.decode_still(decoding.open_image(data, InputFormat.JPEG, LIMITS), [resize])
    assert reduced.frames[0].width * 2 <= reduced.size[0] + 1
    full = resize.apply(ImageOps.exif_transpose(decoded(data)))
    assert mean_difference(run(data, resize, format="png"), full) < 0.85


def test_a_jpeg_made_grey_is_decoded_without_its_colors() -> None:
    data = jpeg()
    assert (
        decoding.decode_still(decoding.open_image(data, InputFormat.JPEG, LIMITS), [Grayscale()]).frames[0].mode == "L"
    )
    assert mean_difference(run(data, Grayscale(), format="png"), decoded(data).convert("L")) < 0.5


def test_a_large_picture_of_any_format_and_mode_is_reduced_well() -> None:
    """Averaging whole pixels before the filter shows nowhere."""
    for mode in ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"):
        image = drawing((1600, 1200), mode)
        small = Resize(width=60, height=50).apply(image)
        full = image.resize((60, 50), Image.Resampling.LANCZOS)
        if mode == "I;16":
            small, full = (each.point(lambda value: value / 256, "L") for each in (small, full))
        assert mean_difference(small, full) < 0.3


def test_the_pixel_limit_holds_for_a_frame_around_a_reduced_picture() -> None:
    with pytest.raises(PictureError, match="16000 x 10 pixels are too many"):
        rendered(
            jpeg((390, 390)),
            Resize(width=16_000, height=10, fit="contain"),
            limits=msgspec.structs.replace(LIMITS, max_output_pixels=159_999),
            format="png",
        )


def test_a_png_is_compressed_by_what_it_shows() -> None:
    """Repeats are searched for in graphics, where they make it small, and not in photographs, where there are none."""
    grain = Image.effect_noise((400, 300), 8)
    photograph = Image.merge("RGB", (grain, grain.rotate(180), Image.linear_gradient("L").resize((400, 300))))
    text = Image.new("RGB", (400, 300), "white")
    for row in range(0, 300, 12):
        ImageDraw.Draw(text).text((5, row), "the quick brown fox jumps over the lazy dog, over and over", fill="black")
    for image, runs_only in ((photograph, True), (text, False)):
        result = rendered(encoded(image, "PNG"))
        assert (result == encoded(image, "PNG", compress_type=zlib.Z_RLE)) is runs_only
        assert len(result) <= len(encoded(image, "PNG")) * 1.02


@pytest.mark.parametrize("colors", [2, 16, 256, 257])
def test_a_png_of_few_colors_gets_a_palette_and_keeps_its_pixels(colors: int) -> None:
    image = Image.new("RGB", (257, 40))
    for x in range(257):
        image.paste((x % colors // 2, 255 - x % colors % 256, 9), (x, 0, x + 1, 40))
    result = run(encoded(image, "PNG", icc_profile=SRGB))
    assert result.mode == ("P" if colors <= 256 else "RGB")
    assert result.convert("RGB").tobytes() == image.tobytes()
    assert result.info["icc_profile"] == SRGB


def test_what_was_indexed_does_not_grow() -> None:
    photograph = decoded((Path(__file__).parents[2] / "photographs" / "coffee.jpg").read_bytes())
    for image in (photograph.quantize(256), photograph.quantize(16), photograph.convert("1")):
        for source in ("PNG", "BMP"):
            result = rendered(encoded(image, source))
            assert len(result) < len(encoded(image, "PNG")) * 1.2
            assert decoded(result).convert("RGB").tobytes() == image.convert("RGB").tobytes()


def test_a_tiny_png_needs_no_palette() -> None:
    assert run(encoded(drawing((3, 2)), "PNG")).mode == "RGB"


@pytest.mark.parametrize("target", [each for each in OutputFormat if each not in WITHOUT_PROFILES])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_metadata_is_left_out_and_the_profile_stays(image_format: str, target: OutputFormat) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "SECRET artist"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSProcessingMethod] = b"SECRET place"
    options: dict[str, object] = {"exif": exif, "icc_profile": SRGB, "xmp": b"<x>SECRET xmp</x>"}
    if image_format == "JPEG":
        options["comment"] = b"SECRET comment"
    data = encoded(drawing(), image_format, **options)
    assert b"SECRET" in data
    result = rendered(data, format=target.value)
    assert b"SECRET" not in result
    assert decoded(result).info["icc_profile"] == SRGB


@pytest.mark.parametrize("target", list(OutputFormat))
def test_a_profile_that_does_not_fit_the_result_is_left_out(target: OutputFormat) -> None:
    data = encoded(drawing(), "PNG", icc_profile=SRGB)
    grey = run(data, Grayscale(), format=target.value)
    assert ("icc_profile" in grey.info) == (grey.mode == "RGB")


def test_cmyk_goes_to_rgb_through_its_profile() -> None:
    """Where there is none, or a broken one, Pillow's plain formula has to do."""
    image = drawing(mode="CMYK")
    plain = run(encoded(image, "JPEG"), format="png")
    broken = run(encoded(image, "JPEG", icc_profile=b"\0" * 16 + b"CMYK" + b"\0" * 200), format="png")
    assert plain.mode == broken.mode == "RGB"
    assert mean_difference(plain, broken) == 0
    assert mean_difference(plain, image.convert("RGB")) < 4


def test_quality_is_the_encoders() -> None:
    data = jpeg()
    sizes = [len(rendered(data, format="webp", quality=quality)) for quality in (5, 95)]
    assert sizes[0] * 2 < sizes[1]


def test_the_pixel_limit_is_held_from_the_header() -> None:
    data = jpeg((500, 400))
    small, large = (msgspec.structs.replace(LIMITS, max_pixels=most) for most in (199_999, 200_000))
    with pytest.raises(TooManyPixels, match="500 x 400 pixels are too many; an image may have 199,999 pixels in total"):
        rendered(data, limits=small)
    rendered(data, limits=large)
    with pytest.raises(TooManyPixels):
        check_header(data[:1000], InputFormat.JPEG, small, is_whole=False)
    assert check_header(data[:1000], InputFormat.JPEG, large, is_whole=False) == (500, 400)
    assert (
        check_header(data[:100], InputFormat.JPEG, small, is_whole=False) is None
    )  # its header goes on; `render` sees it


@pytest.mark.parametrize("first", [(), (Resize(width=200, height=150),)])
def test_a_step_that_turns_out_to_be_impossible_is_named(first: tuple[Operation, ...]) -> None:
    """Only trim can tell how much it leaves for those after it."""
    paper = Image.new("RGB", (800, 600), "white")
    paper.paste("red", (0, 0, 400, 600))
    data = encoded(paper, "JPEG", quality=95)
    crop = Crop(left=0, width=150)
    with pytest.raises(PictureError, match=rf"^operation {len(first) + 3}: the crop box extends to 150 x \d+"):
        rendered(data, *first, Trim(), Resize(width=100, enlarge=False), crop, Grayscale())


@pytest.mark.parametrize("target", ["png", "webp", "tiff"])
def test_the_grey_that_a_16_bit_png_calls_transparent_is(target: str) -> None:
    key = 257 * 90
    image = Image.new("I;16", (9, 1), key)
    for x, value in enumerate((0, key - 1, key + 1, 65_535)):
        image.putpixel((x, 0), value)
    result = run(encoded(image, "PNG", transparency=key), format=target)
    assert list(result.convert("RGBA").getchannel("A").tobytes()) == [255] * 4 + [0] * 5


def test_a_side_that_the_format_cannot_hold_is_told() -> None:
    data = encoded(Image.new("L", (20_000, 10)), "PNG")
    with pytest.raises(PictureError, match="the result would be 20000 x 10 pixels; webp allows at most 16383 per side"):
        run(data, format="webp")


@pytest.mark.parametrize("head", [b"", b"\xff\xd8", b"RIFF1234WAVE", b"\0\0\0\x20ftypheix"[:11], b"%PDF"])
def test_what_is_none_of_our_formats_is_not_taken_for_one(head: bytes) -> None:
    assert sniff(head) is None


def test_a_file_is_read_as_what_it_is_and_nothing_else() -> None:
    """The sniffed format alone decides which decoder runs."""
    with pytest.raises(PictureError):
        decoding.open_image(jpeg(), InputFormat.PNG, LIMITS)
    assert Image.open(BytesIO(jpeg())).format == "JPEG"
