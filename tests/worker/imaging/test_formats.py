"""Every format that is read, into every format that is written: the right picture."""

import json
import struct
from collections.abc import AsyncIterator
from functools import cache
from io import BytesIO
from pathlib import Path

import msgspec
import pillow_heif
import pytest
from arq.connections import ArqRedis
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import AppendingTiffWriter

from app.api_settings import Settings
from tests.conftest import Client, serving, working
from tests.support.pictures import decoded, drawing, encoded, lossless_jpeg, mean_difference
from tests.support.profiles import ADOBE_RGB, DISPLAY_P3
from tests.support.rendering import LIMITS, rendered, upload
from worker.errors import PictureError
from worker.imaging.decoding import check_header
from worker.imaging.formats import InputFormat, OutputFormat, sniff
from worker.imaging.guards import TooManyPixels
from worker.imaging.parsing import parse_plan
from worker.imaging.render import render
from worker.operations.grayscale import Grayscale
from worker.operations.resize import Resize

SECOND_HUE = 70


def mpo() -> bytes:
    """Return a phone's file of two pictures of different sizes."""
    second = drawing((320, 240), hue=SECOND_HUE)
    return encoded(drawing((640, 480)), "MPO", save_all=True, append_images=[second], quality=95)


def heic(image: Image.Image, exif: Image.Exif | None = None) -> bytes:
    buffer = BytesIO()
    file = pillow_heif.from_pillow(image)
    file.save(buffer, quality=95, chroma=444, exif=None if exif is None else exif.tobytes())
    return buffer.getvalue()


def icon(*pictures: tuple[int, bytes]) -> bytes:
    """Return an ICO of pictures, each said to have so many pixels on a side."""
    offset = 6 + 16 * len(pictures)
    entries = b""
    for side, data in pictures:
        entries += struct.pack("<BBBBHHII", side % 256, side % 256, 0, 0, 1, 32, len(data), offset)
        offset += len(data)
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + b"".join(data for _, data in pictures)


def bmp_with_alpha(image: Image.Image) -> bytes:
    """Write 32 bits with masks that name the alpha (BITMAPV4HEADER)."""
    pixels = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGRA")
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, *image.size, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    header += masks + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(pixels), 0, 0, 14 + len(header)) + header + pixels


def bmp_of_16_colors(image: Image.Image) -> bytes:
    indexed = image.quantize(16)
    rows = [bytes(indexed.crop((0, y, indexed.width, y + 1)).tobytes()) for y in reversed(range(indexed.height))]
    packed = b"".join(bytes(row[x] << 4 | row[x + 1] for x in range(0, len(row), 2)) for row in rows)
    palette = (indexed.getpalette() or [])[:48] + [0] * 48
    colors = b"".join(bytes([palette[i + 2], palette[i + 1], palette[i], 0]) for i in range(0, 48, 3))
    header = struct.pack("<IiiHHIIiiII", 40, *image.size, 1, 4, 0, len(packed), 2835, 2835, 16, 0) + colors
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(packed), 0, 0, 14 + len(header)) + header + packed


def tiff(mode: str = "RGB", order: str = "<", tile: int = 0) -> bytes:
    """Write an uncompressed TIFF by hand, with either byte order, in one strip or in tiles."""
    image = drawing((192, 144), mode)
    depth = 16 if mode == "I;16" else 8
    samples = 1 if depth == 16 else 3
    raw = "I;16B" if depth == 16 and order == ">" else mode
    if tile:
        boxes = [(x, y, x + tile, y + tile) for y in range(0, 144, tile) for x in range(0, 192, tile)]
        parts = [image.crop(box).tobytes("raw", raw) for box in boxes]
        layout = [(322, tile), (323, tile), (324, None), (325, None)]
    else:
        parts = [image.tobytes("raw", raw)]
        layout = [(273, None), (278, 144), (279, None)]
    tags = [(256, 192), (257, 144), (258, depth), (259, 1), (262, 1 if samples == 1 else 2), (277, samples), *layout]
    tags.sort()
    extra = 8 + 2 + 12 * len(tags) + 4
    lengths, offsets = extra, extra + 4 * len(parts)
    starts = [offsets + 4 * len(parts) + number * len(parts[0]) for number in range(len(parts))]
    entries = b""
    for tag, value in tags:
        if value is not None:
            entries += struct.pack(order + "HHII", tag, 4, 1, value)
            continue
        is_start = tag in (273, 324)
        inline = starts[0] if is_start else len(parts[0])
        entries += struct.pack(
            order + "HHII", tag, 4, len(parts), inline if len(parts) == 1 else offsets if is_start else lengths
        )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    numbers = struct.pack(f"{order}{2 * len(parts)}I", *(len(part) for part in parts), *starts)
    return head + struct.pack(order + "H", len(tags)) + entries + bytes(4) + numbers + b"".join(parts)


def grey(image: Image.Image) -> Image.Image:
    """Return a picture in 8 bits."""
    return image.point(lambda value: value * (1 / 256)).convert("L") if image.mode == "I;16" else image


@cache
def files() -> dict[str, tuple[bytes, Image.Image]]:
    """Return name -> a file, and the picture that it shows."""
    color, alpha, size_256 = drawing(), drawing(mode="RGBA"), drawing((256, 256), "RGBA")
    small_png, large_png = encoded(drawing((32, 32), hue=90), "PNG"), encoded(size_256, "PNG")
    made = {
        "jpeg": (encoded(color, "JPEG", quality=95), color),
        "jpeg mpo": (mpo(), drawing((640, 480))),
        "png": (encoded(alpha, "PNG"), alpha),
        "webp": (encoded(alpha, "WEBP", lossless=True), alpha),
        "avif": (encoded(alpha, "AVIF", quality=95), alpha),
        "gif": (encoded(drawing(mode="P"), "GIF"), drawing(mode="P")),
        "bmp 1 bit": (encoded(drawing(mode="1"), "BMP"), drawing(mode="1")),
        "bmp 4 bits": (bmp_of_16_colors(color), color.quantize(16)),
        "bmp 8 bits": (encoded(drawing(mode="P"), "BMP"), drawing(mode="P")),
        "bmp 24 bits": (encoded(color, "BMP"), color),
        "bmp 32 bits": (bmp_with_alpha(alpha), alpha),
        "ico png": (icon((32, small_png), (256, large_png), (32, small_png)), size_256),
        "ico bmp": (
            encoded(drawing((64, 64), "RGBA"), "ICO", sizes=[(64, 64)], bitmap_format="bmp"),
            drawing((64, 64), "RGBA"),
        ),
        "heic": (heic(color), color),
        "jp2": (encoded(alpha, "JPEG2000"), alpha),
        "jp2 codestream": (encoded(color, "JPEG2000", no_jp2=True), color),
        "jp2 16 bits": (encoded(drawing(mode="I;16"), "JPEG2000"), drawing(mode="I;16")),
        "jxl": (encoded(alpha, "JXL", lossless=True), alpha),
        "jxl container": (encoded(color, "JXL", use_container=True), color),
        "tiff big-endian": (tiff(order=">"), drawing((192, 144))),
        "tiff tiled": (tiff(tile=16), drawing((192, 144))),
        "tiff tiled big-endian": (tiff(order=">", tile=48), drawing((192, 144))),
        "tiff 16 bits big-endian": (tiff("I;16", ">"), drawing((192, 144), "I;16")),
        "tiff bigtiff": (encoded(color, "TIFF", big_tiff=True), color),
    }
    for compression in ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "jpeg", "lzma", "zstd"):
        options = {"quality": 95} if compression == "jpeg" else {}
        made[f"tiff {compression}"] = encoded(color, "TIFF", compression=compression, **options), color
    for compression in ("group3", "group4", "tiff_ccitt"):
        made[f"tiff {compression}"] = encoded(drawing(mode="1"), "TIFF", compression=compression), drawing(mode="1")
    return made


NAMES = list(files())


@pytest.mark.parametrize("target", list(OutputFormat))
@pytest.mark.parametrize("name", NAMES)
def test_every_format_goes_into_every_format(name: str, target: OutputFormat) -> None:
    data, picture = files()[name]
    result = decoded(rendered(data, format=target.value))
    assert (result.format, result.size) == (target.pillow_name, picture.size)
    if "A" in picture.mode and target is not OutputFormat.JPEG:
        assert result.convert("RGBA").getchannel("A").getextrema() == (0, 255)
    assert mean_difference(grey(result), grey(picture)) < 7


KEPT_AS = {"bmp": "PNG", "ico": "PNG", "heic": "JPEG"}


@pytest.mark.parametrize("name", NAMES)
def test_no_file_is_taken_for_one_of_another_format_and_keep_is_as_documented(name: str) -> None:
    data, picture = files()[name]
    source = next(known for known in InputFormat if known.value == name.split(maxsplit=1)[0])
    assert [known for known in InputFormat if known.mark.match(data)] == [source]
    assert sniff(data) is source
    assert check_header(data, source, LIMITS, is_whole=True) == picture.size
    result = decoded(rendered(data))
    assert result.format == KEPT_AS.get(source.value, source.pillow_name)


@pytest.mark.parametrize("target", list(OutputFormat))
@pytest.mark.parametrize("steps", [(), (Resize(width=60, height=45),)], ids=["in full", "reduced"])
def test_each_picture_of_a_phones_file_can_be_had(steps: tuple[Resize, ...], target: OutputFormat) -> None:
    for frame, picture in ((None, drawing((640, 480))), (0, drawing((640, 480))), (1, drawing((320, 240), hue=70))):
        result = decoded(rendered(mpo(), *steps, format=target.value, frame=frame))
        expected = picture.resize((60, 45), Image.Resampling.LANCZOS) if steps else picture
        assert result.size == expected.size
        assert mean_difference(result, expected) < 8
    with pytest.raises(PictureError, match="the image has no frame 2; the first is 0"):
        rendered(mpo(), frame=2)


def test_each_page_of_a_tiff_can_be_had_in_its_own_size_and_mode() -> None:
    pages = [drawing((120, 80)), drawing((90, 40), "L"), drawing((60, 60), "I;16"), drawing((50, 30), "CMYK")]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    for number, page in enumerate(pages):
        result = decoded(rendered(data, frame=number))
        assert (result.mode, result.tobytes()) == (page.mode, page.tobytes())
    assert decoded(rendered(data)).tobytes() == pages[0].tobytes()
    with pytest.raises(PictureError, match="the image has no frame 4; the first is 0"):
        rendered(data, frame=4)


def test_each_page_of_a_tiff_has_its_own_profile_and_metadata() -> None:
    """In whatever order variants ask for them."""
    told = [("one", DISPLAY_P3), ("two", ADOBE_RGB), ("three", None)]
    file = BytesIO()
    with AppendingTiffWriter(file) as writer:
        for artist, profile in told:
            drawing((60, 40)).save(writer, "TIFF", artist=artist, **({"icc_profile": profile} if profile else {}))
            writer.newFrame()
    asked = (0, 1, 2, 0, 1)
    wishes = {
        f"at{place}": {"frame": page, "format": "png", "metadata": "copyright"} for place, page in enumerate(asked)
    }
    plan = parse_plan({"variants": json.dumps(wishes)}, InputFormat.TIFF, 20)
    results = [decoded(made.data) for made in render(upload(file.getvalue()), plan, LIMITS).values()]
    found = [(image.getexif()[ExifTags.Base.Artist], image.info.get("icc_profile")) for image in results]
    assert found == [told[page] for page in asked]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)  # fmt: skip
    expected = drawing() if turn is None else drawing().transpose(turn)
    data = heic(drawing(), exif)
    assert check_header(data, InputFormat.HEIC, LIMITS, is_whole=True) == expected.size
    result = decoded(rendered(data, format="png"))
    assert result.size == expected.size
    assert mean_difference(result, expected) < 5


def bombs() -> dict[str, bytes]:
    """Return icons whose directory says 16 x 16, of pictures with 9 megapixels in a few hundred bytes."""
    png = encoded(Image.new("1", (3000, 3000)), "PNG")
    dib = struct.pack("<IiiHHIIiiII", 40, 3000, 6000, 1, 8, 1, 2, 0, 0, 1, 0) + bytes(4) + b"\0\1"
    return {"png": icon((16, png)), "bmp in runs": icon((16, dib))}


@pytest.mark.parametrize("kind", ["png", "bmp in runs"])
def test_an_icon_is_held_to_the_size_of_its_picture_not_to_what_its_directory_says(kind: str) -> None:
    limits = msgspec.structs.replace(LIMITS, max_pixels=1_000_000)
    data = bombs()[kind]
    assert len(data) < 8000
    for attempt in (
        lambda: rendered(data, limits=limits),
        lambda: check_header(data, InputFormat.ICO, limits, is_whole=True),
    ):
        with pytest.raises(TooManyPixels, match="3000 x 3000 pixels are too many"):
            attempt()


@pytest.fixture
async def narrow_and_wide(redis: ArqRedis, settings: Settings) -> AsyncIterator[tuple[Client, Client]]:
    """One service that reads nothing but PNG and WebP, and one that reads HEIC too."""
    narrow = msgspec.structs.replace(settings, input_formats=(InputFormat.PNG, InputFormat.WEBP))
    wide = msgspec.structs.replace(settings, input_formats=tuple(InputFormat))
    async with serving(narrow) as one, serving(wide) as other, working(wide):
        clients = (Client(base_url=url) for url in (one, other))
        async with next(clients) as first, next(clients) as second:
            yield first, second


async def test_the_setting_narrows_and_widens_what_is_read(narrow_and_wide: tuple[Client, Client]) -> None:
    narrow, wide = narrow_and_wide
    for name in ("jpeg", "gif", "bmp 24 bits", "ico png", "tiff raw", "avif", "heic"):
        upload = {"file": (Path(name).name, files()[name][0], "image/png")}
        answer = await narrow.post("/process-image/", files=upload, data={"operation": "grayscale"})
        assert answer.status_code == 415
        assert answer.json()["detail"].endswith("supported formats: png, webp")
    for name in ("heic", "ico bmp", "bmp 8 bits", "png"):
        data, picture = files()[name]
        result = decoded(await wide.picture(data, name, operation="flip"))
        assert result.format == ("JPEG" if name == "heic" else "PNG")
        assert mean_difference(result, picture.convert("RGBA").transpose(Image.Transpose.FLIP_LEFT_RIGHT)) < 6


def test_a_small_result_of_a_heic_is_made_of_its_picture_and_not_of_its_thumbnail() -> None:
    """The thumbnail that libheif makes has every second column: it is black, and a program's own may show anything."""
    columns = Image.frombytes("L", (512, 384), b"\0\xff" * (256 * 384)).convert("RGB")
    buffer = BytesIO()
    pillow_heif.from_pillow(columns).save(buffer, quality=90, thumbnails=[256])
    made = decoded(rendered(buffer.getvalue(), Resize(width=40), format="png")).convert("L")
    assert mean_difference(made, Image.new("L", (40, 30), 128)) < 5


async def test_heic_is_read_where_its_library_is_installed(service: Client) -> None:
    task_id = await service.upload(files()["heic"][0], operation="flip")
    assert (await service.ended(task_id))["status"] == "SUCCESS"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_lossless_jpeg_is_read_by_every_operation(mode: str) -> None:
    """Its decoder knows neither scales nor luminance alone: grayscale failed on it, and resize did not."""
    picture = drawing((640, 480), mode)
    data = lossless_jpeg(picture)
    assert decoded(rendered(data, format="png")).convert(mode).tobytes() == picture.tobytes()
    assert decoded(rendered(data, Grayscale(), format="png")).convert("L").tobytes() == picture.convert("L").tobytes()
    assert decoded(rendered(data, Resize(width=64, height=48), format="png")).size == (64, 48)
