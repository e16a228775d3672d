"""What can be asked of a result's file: metadata, size, effort, losslessness, passes, background."""

import struct
from collections.abc import Callable
from functools import cache
from io import BytesIO
from itertools import pairwise
from math import log10
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageChops, ImageOps
from PIL.PngImagePlugin import PngInfo

from tests.support.animations import animated
from tests.support.pictures import decoded, drawing, encoded, mean_difference
from tests.support.profiles import DISPLAY_P3
from tests.support.rendering import LIMITS, rendered, upload
from worker.errors import PictureError
from worker.imaging.encoding import best_that_fits
from worker.imaging.formats import WITHOUT_PROFILES, InputFormat, OutputFormat
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.imaging.render import render
from worker.operations.resize import Resize

Tag, Gps = ExifTags.Base, ExifTags.GPS

ARTIST, COPYRIGHT = b"HER NAME", b"HER RIGHTS"
KEPT = {ARTIST, COPYRIGHT, b"THE CAMERA", b"THE LENS", b"THE REMARK", b"THE PLACE", b"THE XMP"}
DROPPED = {b"A MAKERS NOTE", b"THE THUMBNAIL", b"A COMMENT", b"OF A PRESS"}

TOLD = {"strip": set[bytes](), "copyright": {ARTIST, COPYRIGHT}, "keep": KEPT}

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>THE XMP</x:xmpmeta>"

WITH_METADATA = [target for target in OutputFormat if "metadata" in target.options]
WITH_QUALITY = [target for target in OutputFormat if target.default_quality is not None]
WITH_EFFORT = [target for target in OutputFormat if "effort" in target.options]

PHOTOGRAPH = Path(__file__).parents[2] / "photographs" / "cat.jpg"


def exif() -> Image.Exif:
    """Say that the picture lies on its side, who made it, with what, and where."""
    made = Image.Exif()
    made[Tag.Orientation] = 6
    made[Tag.Artist], made[Tag.Copyright], made[Tag.Make] = "HER NAME", "HER RIGHTS", "THE CAMERA"
    made[ExifTags.IFD.Exif] = {
        Tag.LensModel: "THE LENS",
        Tag.UserComment: b"ASCII\0\0\0THE REMARK",
        Tag.FNumber: 2.8,
        Tag.ExifImageWidth: 999,
        Tag.MakerNote: b"A MAKERS NOTE",
    }
    made[ExifTags.IFD.GPSInfo] = {
        Gps.GPSLatitudeRef: "N",
        Gps.GPSLatitude: (52.0, 31.0, 12.5),
        Gps.GPSProcessingMethod: b"THE PLACE",
    }
    return made


def with_thumbnail(data: bytes) -> bytes:
    """Add a second directory to Exif data of Pillow's (big-endian, the first at 8), as cameras do."""
    small = encoded(drawing((16, 12)), "JPEG", comment=b"THE THUMBNAIL")
    tiff = data.removeprefix(b"Exif\0\0")
    after = 8 + 2 + 12 * int(struct.unpack_from(">H", tiff, 8)[0])
    start = len(tiff)
    entries = [(259, 3, 1, 6 << 16), (513, 4, 1, start + 2 + 3 * 12 + 4), (514, 4, 1, len(small))]
    directory = struct.pack(">H", 3) + b"".join(struct.pack(">HHII", *entry) for entry in entries) + bytes(4)
    return b"Exif\0\0" + tiff[:after] + struct.pack(">I", start) + tiff[after + 4 :] + directory + small


def heic(image: Image.Image) -> bytes:
    buffer = BytesIO()
    pillow_heif.from_pillow(image).save(buffer, exif=with_thumbnail(exif().tobytes()), xmp=XMP)
    return buffer.getvalue()


def tiff(image: Image.Image) -> bytes:
    """Return a TIFF with all that stands in its own directory, and what image editors put there."""
    own = exif()
    own[Tag.XMLPacket] = XMP
    own[Tag.ImageResources] = b"OF A PRESS"
    return encoded(image, "TIFF", exif=own.tobytes())


def png(image: Image.Image) -> bytes:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add_text("Comment", "A COMMENT")
    return encoded(image, "PNG", exif=with_thumbnail(exif().tobytes()), pnginfo=info)


CARRIERS: dict[str, Callable[[Image.Image], bytes]] = {
    "jpeg": lambda image: encoded(
        image, "JPEG", exif=with_thumbnail(exif().tobytes()), xmp=XMP, comment=b"A COMMENT", quality=95
    ),
    "png": png,
    "webp": lambda image: encoded(image, "WEBP", exif=with_thumbnail(exif().tobytes()), xmp=XMP),
    "avif": lambda image: encoded(image, "AVIF", exif=with_thumbnail(exif().tobytes()), xmp=XMP),
    "tiff": tiff,
    "heic": heic,
}
"""Format that carries metadata -> a picture with all of `KEPT` and some of `DROPPED`."""


@cache
def carrier(source: str) -> bytes:
    return CARRIERS[source](drawing((60, 40)))


def told(data: bytes) -> set[bytes]:
    return {words for words in KEPT | DROPPED if words in data}


@pytest.mark.parametrize("choice", ["strip", "copyright", "keep"])
@pytest.mark.parametrize("target", WITH_METADATA)
@pytest.mark.parametrize("source", CARRIERS)
def test_a_result_tells_what_was_asked_for_and_nothing_else(source: str, target: OutputFormat, choice: str) -> None:
    data = carrier(source)
    assert told(data) > KEPT
    for steps in ((), (Resize(width=20),)):
        result = rendered(data, *steps, format=target.value, metadata=choice)
        assert told(result) == TOLD[choice]
        assert decoded(result).size == ((20, 30) if steps else (40, 60))  # upright, and no longer said to lie
        assert Tag.Orientation not in decoded(result).getexif()


@pytest.mark.parametrize("target", WITH_METADATA)
@pytest.mark.parametrize("source", CARRIERS)
def test_what_is_kept_can_be_read_as_it_was(source: str, target: OutputFormat) -> None:
    image = decoded(rendered(carrier(source), format=target.value, metadata="keep"))
    found = image.getexif()
    assert (found[Tag.Artist], found[Tag.Make]) == ("HER NAME", "THE CAMERA")
    details, place = found.get_ifd(ExifTags.IFD.Exif), found.get_ifd(ExifTags.IFD.GPSInfo)
    assert (details[Tag.LensModel], float(details[Tag.FNumber])) == ("THE LENS", 2.8)
    assert set(details) == {Tag.LensModel, Tag.UserComment, Tag.FNumber}  # the old width is no longer so
    assert [float(part) for part in place[Gps.GPSLatitude]] == [52.0, 31.0, 12.5]
    assert not found.get_ifd(ExifTags.IFD.IFD1)
    xmp = image.info["xmp"]
    assert (xmp.encode() if isinstance(xmp, str) else xmp) == XMP
    assert mean_difference(image, drawing((60, 40)).transpose(Image.Transpose.ROTATE_270)) < 10


@pytest.mark.parametrize("target", WITH_METADATA)
@pytest.mark.parametrize("directory", [ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo])
def test_a_place_or_a_lens_is_kept_where_nothing_else_is_said(directory: int, target: OutputFormat) -> None:
    alone = Image.Exif()
    alone[directory] = exif()[directory]
    data = encoded(drawing((60, 40)), "JPEG", exif=alone)
    result = rendered(data, format=target.value, metadata="keep")
    assert told(result) == told(data) - DROPPED != set()
    assert told(rendered(data, format=target.value, metadata="copyright")) == set()


@pytest.mark.parametrize("target", WITH_METADATA)
@pytest.mark.parametrize("colorspace", ["keep", "srgb"])
def test_colors_that_were_converted_are_no_longer_said_to_be_others(colorspace: str, target: OutputFormat) -> None:
    """Exif 2.32, 4.6.5: 1 is sRGB, 65535 another one."""
    wide = exif()
    wide[ExifTags.IFD.Exif] = {Tag.ColorSpace: 65_535, Tag.LensModel: "THE LENS"}
    data = encoded(drawing((60, 40)), "JPEG", exif=wide, icc_profile=DISPLAY_P3)
    result = decoded(rendered(data, format=target.value, metadata="keep", colorspace=colorspace))
    is_kept = colorspace == "keep" and target not in WITHOUT_PROFILES
    assert (Tag.ColorSpace in result.getexif().get_ifd(ExifTags.IFD.Exif)) is is_kept
    assert ("icc_profile" in result.info) is is_kept


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("target", WITH_METADATA)
def test_names_keep_their_letters(target: OutputFormat, encoding: str) -> None:
    """Exif says ASCII; people are called otherwise, and write a copyright sign."""
    name, rights = "Zoë Åström".encode(encoding), "© Zoë".encode(encoding)
    named = Image.Exif()
    named[Tag.Artist], named[Tag.Copyright] = name, rights
    tiff = encoded(drawing((60, 40)), "TIFF", tiffinfo=dict(named))
    named[ExifTags.IFD.Exif] = {Tag.LensModel: name}
    jpeg = encoded(drawing((60, 40)), "JPEG", exif=named)
    for data, names in ((tiff, 1), (jpeg, 2)):
        assert data.count(name) == names
        for choice, kept in (("copyright", 1), ("keep", names)):
            result = rendered(data, format=target.value, metadata=choice)
            assert (result.count(name), result.count(rights)) == (kept, 1)


def test_a_tiff_with_metadata_shows_the_same_picture_in_every_mode() -> None:
    for mode in ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"):
        image = drawing((61, 43), mode)
        data = encoded(image, "TIFF", exif=exif().tobytes())
        result = decoded(rendered(data, metadata="keep"))
        assert (result.mode, result.info["compression"]) == (mode, "tiff_adobe_deflate")
        assert result.tobytes() == image.transpose(Image.Transpose.ROTATE_270).tobytes()


def test_animations_keep_what_is_asked_for() -> None:
    upright = exif()
    del upright[Tag.Orientation]  # with it, Pillow's AVIF encoder crashes on animations
    for source in ("WEBP", "PNG", "AVIF"):
        data = animated(source, exif=upright)
        for target in ("webp", "png", "avif"):
            result = rendered(data, format=target, metadata="copyright")
            assert told(result) == {ARTIST, COPYRIGHT}
            assert decoded(result).n_frames == 4  # type: ignore[attr-defined]
            assert told(rendered(data, format=target)) == set()


@pytest.mark.parametrize("target", [OutputFormat.WEBP, OutputFormat.PNG, OutputFormat.JPEG])
@pytest.mark.parametrize("is_animated", [False, True])
def test_xmp_neither_turns_the_result_again_nor_shows_what_was(is_animated: bool, target: OutputFormat) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/>THE XMP'
        b"<tiff:Orientation>6</tiff:Orientation><xmp:Thumbnails><rdf:Alt>\nTHE THUMBNAIL</rdf:Alt></xmp:Thumbnails>"
        b"</x:xmpmeta>"
    )
    options: dict[str, Any] = {"xmp": xmp, "exif": exif()}
    data = animated("WEBP", **options) if is_animated else encoded(drawing((40, 30)), "JPEG", **options)
    assert told(data) > {b"THE THUMBNAIL"}
    result = rendered(data, format=target.value, metadata="keep")
    assert told(result) == KEPT
    assert ImageOps.exif_transpose(decoded(result)).size == (30, 40)


@pytest.mark.parametrize("target", WITH_METADATA)
def test_more_than_a_jpeg_holds_is_told(target: OutputFormat) -> None:
    large = exif()
    large[ExifTags.IFD.Exif] = {Tag.UserComment: b"ASCII\0\0\0" + bytes(70_000)}
    for options, sentence in (
        ({"exif": large}, r"the exif data has 70,\d+ bytes; jpeg allows at most 65,533; leave metadata at strip"),
        ({"exif": exif(), "xmp": bytes(70_000)}, "the xmp data has 70,000 bytes; jpeg allows at most 65,504; leave"),
    ):
        data = encoded(drawing((60, 40)), "WEBP", **options)
        if target is not OutputFormat.JPEG:
            assert len(rendered(data, format=target.value, metadata="keep")) > 70_000
            continue
        with pytest.raises(PictureError, match=sentence):
            rendered(data, format="jpeg", metadata="keep")
        assert told(rendered(data, format="jpeg", metadata="copyright")) == {ARTIST, COPYRIGHT}


@cache
def photograph(mode: str = "RGB") -> bytes:
    image = decoded(PHOTOGRAPH.read_bytes()).resize((120, 90))
    return encoded(image.convert(mode), "PNG")


@cache
def by_quality(target: OutputFormat) -> dict[int, bytes]:
    """Return the photograph's file at every quality."""
    return {quality: rendered(photograph(), format=target.value, quality=quality) for quality in range(1, 101)}


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 1])
@pytest.mark.parametrize("target", WITH_QUALITY)
def test_the_best_quality_that_fits_is_found(target: OutputFormat, share: float) -> None:
    files = by_quality(target)
    least = len(files[1])
    max_bytes = least + int((len(files[100]) - least) * share)
    result = rendered(photograph(), format=target.value, max_bytes=max_bytes)
    assert len(result) <= max_bytes
    quality = max(quality for quality, data in files.items() if data == result)
    assert quality == 100 or len(files[quality + 1]) > max_bytes
    assert (quality == 100) is (share == 1)


@pytest.mark.parametrize("target", WITH_QUALITY)
def test_a_quality_is_the_upper_limit_of_what_fits(target: OutputFormat) -> None:
    files = by_quality(target)
    for max_bytes in (len(files[100]), len(files[60])):
        assert rendered(photograph(), format=target.value, max_bytes=max_bytes, quality=60) == files[60]
    lower = rendered(photograph(), format=target.value, max_bytes=len(files[60]) - 1, quality=60)
    assert len(lower) < len(files[60])
    assert lower in files.values()


@pytest.mark.parametrize("best", [1, 2, 37, 80, 100])
@pytest.mark.parametrize("leap", [1, 2, 5, 50, 90, 99])
def test_few_files_are_written_however_sizes_grow(leap: int, best: int) -> None:
    """Among them those that leap, such as from a drawing's one quality to the next."""
    for size in (lambda quality: quality * 100, lambda quality: 10 if quality <= leap else 10_000):
        for max_bytes in (9, 10, 11, 99, 100, 1234, 9_999, 10_000):
            tried: list[int] = []

            def save(quality: int, tried: list[int] = tried, size: Callable[[int], int] = size) -> bytes:
                tried.append(quality)
                return bytes(size(quality))

            fitting = [quality for quality in range(1, best + 1) if size(quality) <= max_bytes]
            if fitting:
                assert len(best_that_fits(save, best, max_bytes)) == size(max(fitting))
                assert max(fitting) in tried
            else:
                with pytest.raises(PictureError, match=f"got {size(1):,} bytes at quality 1"):
                    best_that_fits(save, best, max_bytes)
            assert len(tried) == len(set(tried)) <= 8


@pytest.mark.parametrize("target", list(OutputFormat))
def test_what_cannot_fit_is_told(target: OutputFormat) -> None:
    with pytest.raises(PictureError) as refused:
        rendered(photograph(), format=target.value, max_bytes=20)
    lossy = r"the result must have at most 20 bytes \(max_bytes\); got [\d,]+ bytes at quality 1"
    lossless = r"the result must have at most 20 bytes \(max_bytes\), and has no quality to lower; got [\d,]+ bytes"
    assert refused.match(f"^{lossy if target.default_quality is not None else lossless}$")


def test_a_lossless_picture_fits_or_fails() -> None:
    lossless: list[dict[str, Any]] = [{"format": "png"}, {"format": "gif"}, {"format": "tiff"}, {"format": "jp2"}]
    for options in (*lossless, {"format": "webp", "lossless": True}, {"format": "jxl", "lossless": True}):
        data = rendered(photograph(), **options)
        assert rendered(photograph(), max_bytes=len(data), **options) == data
        with pytest.raises(PictureError, match="has no quality to lower"):
            rendered(photograph(), max_bytes=len(data) - 1, **options)


@pytest.mark.parametrize("target", ["webp", "avif"])
def test_an_animation_fits_with_all_its_frames(target: str) -> None:
    data = animated("PNG")
    max_bytes = (len(rendered(data, format=target, quality=1)) + len(rendered(data, format=target, quality=100))) // 2
    result = rendered(data, format=target, max_bytes=max_bytes)
    assert len(result) <= max_bytes
    assert decoded(result).n_frames == 4  # type: ignore[attr-defined]


def test_every_variant_has_its_own_limit() -> None:
    files = {target: by_quality(target) for target in WITH_QUALITY}
    wishes = ", ".join(
        f'"{target.value}": {{"format": "{target.value}", "max_bytes": {len(files[target][50])}}}' for target in files
    )
    plan = parse_plan({"variants": f"{{{wishes}}}"}, InputFormat.PNG, 20)
    made = render(upload(photograph()), plan, LIMITS)
    for target, by in files.items():
        assert made[target.value].data in by.values()
        assert len(made[target.value].data) <= len(by[50])


@pytest.mark.parametrize("target", WITH_EFFORT)
def test_more_effort_gives_smaller_files(target: OutputFormat) -> None:
    # With more effort, libjxl makes a lossy file better as well.
    options: dict[str, Any] = {"lossless": True} if target is OutputFormat.JXL else {}
    sizes = [len(rendered(photograph(), format=target.value, effort=effort, **options)) for effort in (1, 5, 9)]
    assert all(less <= more for more, less in pairwise(sizes))
    assert sizes[-1] < sizes[0]


@pytest.mark.parametrize(
    "options", [{"format": "png"}, {"format": "webp", "lossless": True}, {"format": "jxl", "lossless": True}]
)
def test_effort_leaves_a_lossless_picture_as_it_is(options: dict[str, Any]) -> None:
    for mode in ("RGB", "RGBA"):
        expected = decoded(photograph(mode))
        for effort in (1, 9):
            result = decoded(rendered(photograph(mode), effort=effort, **options))
            assert result.convert(mode).tobytes() == expected.tobytes()


@pytest.mark.parametrize("target", ["webp", "jxl"])
def test_a_lossless_result_keeps_every_pixel_and_another_does_not(target: str) -> None:
    image = decoded(photograph())
    assert decoded(rendered(photograph(), format=target, lossless=True)).tobytes() == image.tobytes()
    assert decoded(rendered(photograph(), format=target, quality=100)).tobytes() != image.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_appears_in_passes_when_asked_to_and_when_it_is_small(mode: str) -> None:
    for size, by_default in (((640, 480), True), ((641, 480), False)):
        data = encoded(drawing(size, mode), "TIFF")
        for asked, expected in ((True, True), (False, False), (None, by_default)):
            result = decoded(rendered(data, format="jpeg", progressive=asked))
            assert ("progressive" in result.info) is expected


TRANSPARENT: dict[str, bytes] = {
    "RGBA": encoded(drawing(mode="RGBA"), "PNG"),
    "LA": encoded(drawing(mode="LA"), "PNG"),
    "P": encoded(drawing(mode="RGBA").quantize(64), "PNG"),
    "RGB color key": encoded(Image.new("RGB", (200, 150), "lime"), "PNG", transparency=(0, 255, 0)),
    "gif": encoded(drawing(mode="RGBA"), "GIF"),
    "webp": encoded(drawing(mode="RGBA"), "WEBP", lossless=True),
}


@pytest.mark.parametrize(("background", "color"), [(None, (255, 255, 255)), ("#204060", (32, 64, 96))])
@pytest.mark.parametrize("name", TRANSPARENT)
def test_a_transparent_picture_lies_on_the_background(
    name: str, background: str | None, color: tuple[int, ...]
) -> None:
    options: dict[str, Any] = {} if background is None else {"background": background}
    result = decoded(rendered(TRANSPARENT[name], format="jpeg", quality=100, **options))
    pixel: Any = result.convert("RGB").getpixel((40, 30))
    assert max(abs(one - other) for one, other in zip(pixel, color, strict=True)) <= 3


def test_half_transparent_pixels_mix_with_the_background() -> None:
    data = encoded(Image.new("RGBA", (32, 32), (255, 0, 0, 128)), "PNG")
    result = decoded(rendered(data, format="jpeg", background="blue", quality=100))
    red, green, blue = result.getpixel((16, 16))  # type: ignore[misc]
    assert (abs(red - 128) <= 3, green <= 3, abs(blue - 127) <= 3) == (True, True, True)


@pytest.mark.parametrize("background", ["transparent", "#20406080"])
def test_a_translucent_background_is_refused_where_nothing_may_show_through(background: str) -> None:
    """Elsewhere it is the operation's alone."""
    wish = {"operation": "pad", "top": "5", "background": background}
    parse_plan(wish, InputFormat.PNG, 20)
    for fields, source in ((wish, InputFormat.JPEG), ({**wish, "format": "jpeg"}, InputFormat.PNG)):
        with pytest.raises(InvalidParameters, match=r"^background: must be a color without alpha; got '.*'$"):
            parse_plan(fields, source, 20)


GIVEN = {"quality": "50", "lossless": "true", "progressive": "false", "effort": "5", "metadata": "keep"}


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("target", list(OutputFormat))
def test_an_option_that_the_format_does_not_have_is_refused_and_named(target: OutputFormat, is_kept: bool) -> None:
    """Whether the format was asked for or is that of the upload."""
    wish = {"operation": "grayscale", **({} if is_kept else {"format": target.value})}
    source = InputFormat[target.name] if is_kept else InputFormat.BMP
    for name, value in GIVEN.items():
        if name in target.options:
            parse_plan({**wish, name: value}, source, 20)
            continue
        with pytest.raises(InvalidParameters) as refused:
            parse_plan({**wish, name: value}, source, 20)
        [problem] = refused.value.problems
        assert (problem.field, problem.message) == (
            name,
            f"is not supported by {target.value}; omit it or choose another format",
        )
    with pytest.raises(InvalidParameters) as refused:
        parse_plan({**wish, **GIVEN}, source, 20)
    assert {problem.field for problem in refused.value.problems} >= set(GIVEN) - target.options


def test_an_option_that_a_variants_format_does_not_have_is_named_with_the_variant() -> None:
    wish = '{"small": {"format": "gif", "effort": 3}, "large": {"format": "webp", "lossless": true, "quality": 90}}'
    with pytest.raises(InvalidParameters) as refused:
        parse_plan({"variants": wish}, InputFormat.JPEG, 20)
    assert {problem.field: problem.message for problem in refused.value.problems} == {
        "variants.small.effort": "is not supported by gif; omit it or choose another format",
        "variants.large.quality": "cannot be combined with lossless=true; set one of the two",
    }


def red_text() -> Image.Image:
    """Return thin red strokes on white, whose colors subsampling smears."""
    image = Image.new("RGB", (96, 96), "white")
    for x in range(0, 96, 3):
        image.paste((220, 0, 0), (x, 0, x + 1, 96))
    return image


@pytest.mark.parametrize(("target", "least"), [("jpeg", 45), ("avif", 45)])
def test_colors_keep_their_resolution_from_quality_90(target: str, least: int) -> None:
    data = encoded(red_text(), "PNG")

    def psnr(**options: Any) -> float:
        found = decoded(rendered(data, format=target, **options)).convert("RGB")
        squares = ImageChops.difference(found, red_text()).histogram()
        error = sum(count * (value % 256) ** 2 for value, count in enumerate(squares)) / sum(squares)
        return 10 * log10(255**2 / max(error, 1e-9))

    assert psnr(quality=100) > least
    assert psnr(quality=90) > psnr(quality=89) + 6
    assert psnr(quality=100, subsampling="420") < 25
    assert psnr(quality=60, subsampling="444") > psnr(quality=60) + 6
    assert psnr(quality=60, subsampling="420") == psnr(quality=60)


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_the_file_has_the_subsampling_that_was_chosen(subsampling: str) -> None:
    data = encoded(red_text(), "PNG")
    made = rendered(data, format="jpeg", subsampling=subsampling)
    frame = made.index(b"\xff\xc2" if b"\xff\xc2" in made else b"\xff\xc0")
    assert made[frame + 11] == {"444": 0x11, "422": 0x21, "420": 0x22}[subsampling]  # ITU-T T.81, B.2.2
    made = rendered(data, format="avif", subsampling=subsampling)
    flags = made[made.index(b"av1C") + 6]
    assert (flags >> 3 & 1, flags >> 2 & 1) == {"444": (0, 0), "422": (1, 0), "420": (1, 1)}[subsampling]


@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("target", ["jpeg", "png", "tiff"])
def test_the_resolution_is_kept_with_the_metadata_or_set(source: str, target: str) -> None:
    data = encoded(drawing((60, 40)), source, dpi=(300, 300))

    def dpi(**options: Any) -> tuple[int, ...] | None:
        found = decoded(rendered(data, Resize(width=30), format=target, **options)).info.get("dpi")
        return found and tuple(round(each) for each in found)

    assert dpi(metadata="keep") == (300, 300)
    assert dpi(dpi=72) == dpi(dpi=72, metadata="keep") == (72, 72)
    assert dpi() in (None, (1, 1))


def test_formats_without_a_resolution_refuse_it() -> None:
    with pytest.raises(InvalidParameters, match="dpi: is not supported by webp"):
        parse_plan({"operation": "flip", "format": "webp", "dpi": "300"}, None, 20)
