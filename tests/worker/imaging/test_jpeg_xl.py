"""JPEG XL and JPEG 2000: size, orientation, profile and limits of files that other programs wrote."""

import struct
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import ExifTags, Image, ImageCms

from app.api_settings import Settings
from tests.conftest import Client, working
from tests.support.hostile import patched
from tests.support.pictures import decoded, drawing, encoded, mean_difference
from tests.support.profiles import DISPLAY_P3
from tests.support.rendering import LIMITS, rendered, result
from worker.errors import PictureError
from worker.imaging.decoding import check_header
from worker.imaging.formats import InputFormat, sniff
from worker.imaging.guards import MAX_JPEG2000_PIXELS, TooManyPixels
from worker.operations import OPERATIONS
from worker.operations.resize import Resize

# By cjxl 0.7 of a 16 x 8 picture, red at the left and blue at the right.
TURNED = b64decode(
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAABcanhsY/8KwS0QUFwSCAIBABgBSxLFggVSIF0SGTPGYJExOC9ezJgrASAAQjAABMEAgHGE"
    "tzlhPEGZIjQ1EbCAkuCUIEQY4rsH/nCDkBn7ZZWDX/5B/gfcAg=="
)
"""With orientation 6 in the codestream, in a container."""

WIDE = b64decode(
    "/wrBQQgXCwMS5gFIzeF9iG3P64gQtKVPj1WhhR/DEkyuZpelTIPlFs0w0gzx6kZ0hM/BR1wXzeHwF0mZincclnEzIUIcImnmwGETJjcI5PnS5+mwQBw3"
    "b9yUUHutz646dYMO+gX3/vrvv//uIEp/0JgvrJoDI2NQ7KDI5pjAiBkTKu8JtslAU+jtkY0f0wEIAgEAfABLGIsVABxExhhjpHiBEACi22YQ/CuJtqGM"
    "PgJegLwA"
)
"""Lossless, in Display P3."""

ANIMATION = b64decode(
    "/wrBBQFYUFwSCAigAgAAaABLGIsVANSKMRjUBSQA6KQYALgk8O8HpUP7AwgIoEIAAFwASxiLFQAcFGNwiBeQAMBsI5XBH6C+3xw="
)
"""Two frames, red and green."""


def test_the_orientation_of_the_codestream_is_applied() -> None:
    assert check_header(TURNED[:70], InputFormat.JXL, LIMITS, is_whole=False) == (8, 16)
    upright = decoded(rendered(TURNED, format="png")).convert("RGB")
    assert upright.size == (8, 16)
    assert mean_difference(upright.crop((0, 0, 8, 6)), Image.new("RGB", (8, 6), "red")) < 12
    assert mean_difference(upright.crop((0, 10, 8, 16)), Image.new("RGB", (8, 6), "blue")) < 12


def test_an_orientation_in_exif_data_alone_does_not_count() -> None:
    """ISO/IEC 18181-2, 9.4: that of the codestream takes precedence."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(drawing(), "JXL", exif=exif.tobytes(), use_container=True)
    assert check_header(data, InputFormat.JXL, LIMITS, is_whole=True) == drawing().size
    assert mean_difference(decoded(rendered(data, format="png")), drawing()) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_in_a_jpeg_xl_is_turned_as_it_says(orientation: int, tmp_path: Path) -> None:
    """The plugin returns the JPEG from which the file was made, as it lay."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / "photo.jpg"
    drawing((120, 80)).save(path, quality=95, exif=exif)
    with Image.open(path) as photo:
        data = encoded(photo, "JXL", lossless_jpeg=True)
    expected = decoded(rendered(path.read_bytes(), format="png"))
    assert check_header(data, InputFormat.JXL, LIMITS, is_whole=True) == expected.size
    found = decoded(rendered(data, format="png"))
    assert found.size == expected.size
    assert mean_difference(found, expected) < 1


def test_the_colors_that_a_jpeg_xl_declares_are_kept_or_converted() -> None:
    kept = decoded(rendered(WIDE, format="tiff"))
    assert kept.getpixel((2, 2)) == (255, 0, 0)
    # P3's primaries, as in the profile of the test.
    tags: list[Any] = [
        ImageCms.getOpenProfile(BytesIO(each)).profile for each in (kept.info["icc_profile"], DISPLAY_P3)
    ]
    for found, expected in zip(tags[0].red_primary[1], tags[1].red_primary[1], strict=True):
        assert found == pytest.approx(expected, abs=0.01)
    converted = decoded(rendered(encoded(drawing(), "PNG", icc_profile=DISPLAY_P3), format="jxl", lossless=True))
    expected = decoded(rendered(encoded(drawing(), "PNG", icc_profile=DISPLAY_P3), format="png", colorspace="srgb"))
    assert converted.convert("RGB").tobytes() == expected.convert("RGB").tobytes()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "CMYK"])
def test_a_result_is_declared_as_what_it_is(mode: str) -> None:
    """The file itself says sRGB, or its gray: 16 bits would be declared as linear light."""
    data = encoded(drawing(mode=mode), "TIFF")
    back = decoded(rendered(rendered(data, format="jxl", lossless=True), format="png"))
    expected = decoded(rendered(data, format="webp", lossless=True))
    assert mean_difference(back, expected) < 1


def test_an_animated_jpeg_xl_is_refused() -> None:
    """The plugin returns its last frame."""
    with pytest.raises(PictureError, match="an animated JPEG XL is not supported; convert it to WebP or PNG"):
        rendered(ANIMATION)


def boxed(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def test_the_profile_of_a_jpeg_2000_is_read() -> None:
    """Written by hand: Pillow writes an enumerated space (ISO/IEC 15444-1, I.5.3.3)."""
    data = encoded(drawing(), "JPEG2000")
    start = data.index(b"jp2h") - 4
    (length,) = struct.unpack_from(">I", data, start)
    header = data[start + 8 : start + length]
    color = header.index(b"colr") - 4
    (color_length,) = struct.unpack_from(">I", header, color)
    profiled = header[:color] + boxed(b"colr", b"\2\0\0" + DISPLAY_P3) + header[color + color_length :]
    wide = data[:start] + boxed(b"jp2h", profiled) + data[start + length :]
    kept = decoded(rendered(wide, format="png"))
    assert kept.info["icc_profile"] == DISPLAY_P3
    assert kept.convert("RGB").tobytes() == drawing().tobytes()
    assert 2 < mean_difference(decoded(rendered(wide)), drawing()) < 20  # in sRGB, without a profile


@pytest.mark.parametrize("no_jp2", [False, True])
def test_a_jpeg_2000_above_its_own_limit_is_neither_read_nor_written(no_jp2: bool) -> None:
    side = 4096
    assert side**2 > MAX_JPEG2000_PIXELS
    vast = encoded(Image.new("L", (side, side)), "JPEG2000", no_jp2=no_jp2)
    assert sniff(vast) is InputFormat.JPEG2000
    with pytest.raises(TooManyPixels, match="an image may have 16,000,000 pixels in total"):
        check_header(vast[:4096], InputFormat.JPEG2000, LIMITS, is_whole=False)
    with pytest.raises(PictureError, match="would be 4096 x 4096 pixels; jp2 allows at most 16,000,000 in total"):
        rendered(encoded(Image.new("L", (64, 64)), "PNG"), Resize(width=side), format="jp2")


def test_a_jpeg_2000_whose_header_and_codestream_disagree_is_refused() -> None:
    data = encoded(drawing((64, 48)), "JPEG2000")
    ihdr = data.index(b"ihdr") + 4
    for lying in (
        data[:ihdr] + struct.pack(">II", 48, 4) + data[ihdr + 8 :],
        patched(data, b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x50"),
    ):
        with pytest.raises(PictureError):
            rendered(lying)
    siz = data.index(b"\xff\x4f\xff\x51")
    with pytest.raises(PictureError, match="a JPEG 2000 may have 4 components; got 16,384"):
        rendered(data[: siz + 40] + struct.pack(">H", 16_384) + data[siz + 42 :])


def test_a_size_is_limited_before_a_jpeg_xl_is_decoded() -> None:
    small = msgspec.structs.replace(LIMITS, max_pixels=1000)
    data = encoded(drawing(), "JXL")
    for attempt in (
        lambda: rendered(data, limits=small),
        lambda: check_header(data[:64], InputFormat.JXL, small, is_whole=False),
    ):
        with pytest.raises(TooManyPixels, match="200 x 150 pixels are too many"):
            attempt()
    assert check_header(TURNED[:20], InputFormat.JXL, LIMITS, is_whole=False) is None


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (256, 256), (257, 200), (512, 512), (640, 480), (300, 200), (16, 9)])
def test_a_size_is_read_however_it_is_written(shape: tuple[int, int]) -> None:
    """In eighths, in full, or by a ratio (ISO/IEC 18181-1, D.2)."""
    for size in (shape, shape[::-1]):
        data = encoded(Image.new("RGB", size), "JXL")
        assert check_header(data, InputFormat.JXL, LIMITS, is_whole=True) == size


def test_a_report_names_the_format() -> None:
    for name, data in (("jxl", TURNED), ("jp2", encoded(drawing(), "JPEG2000"))):
        report = msgspec.json.decode(result(data, OPERATIONS["inspect"]()).data)
        assert report["format"] == name


async def test_both_go_in_and_out_over_http(api: Client, settings: Settings) -> None:
    async with working(settings):
        for name, alias, data in (
            ("jxl", "jpegxl", encoded(drawing(), "JXL")),
            ("jp2", "jpeg2000", encoded(drawing(), "JPEG2000")),
        ):
            mirrored = drawing().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            read = decoded(await api.picture(data, f"a.{name}", operation="flip", format="png"))
            assert mean_difference(read, mirrored) < 4
            view = await api.ended(await api.upload(encoded(drawing(), "PNG"), operation="flip", format=alias))
            answer = await api.get(f"/{view['result']}")
            assert view["result"].endswith(f".{name}")
            assert answer.headers["content-type"] == f"image/{name}"
            assert mean_difference(decoded(answer.content), mirrored) < 4
