"""Damaged files: a task fails with the reason, or gives exactly the pixels that plain Pillow gives."""

import struct
import zlib
from io import BytesIO
from itertools import groupby

import msgspec
import pillow_heif
import pytest
from PIL import Image

from app.api_settings import Settings
from tests.conftest import Client, environment, process
from tests.support.animations import animated, visible
from tests.support.hostile import chunk, good, patched, png
from tests.support.pictures import drawing, encoded
from tests.support.rendering import rendered
from worker.errors import PictureError
from worker.imaging.formats import InputFormat, sniff
from worker.operations.rotate import Rotate

PLACES = 20
UNCHANGED = Rotate(angle=0)

FILES = {
    **good(),
    "png palette": encoded(drawing((64, 48), "P"), "PNG"),
    "png alpha": encoded(drawing((64, 48), "LA"), "PNG"),
    "png 16 bits": encoded(drawing((64, 48), "I;16"), "PNG"),
    "png noise": encoded(Image.effect_noise((200, 200), 80), "PNG"),
}

PIXELS = {
    "jpeg": b"\xff\xda", "png": b"IDAT", "apng": b"IDAT", "webp": b"VP8 ", "avif": b"mdat", "gif": b"\x21\xf9",
    "bmp": b"BM", "tiff": b"II*\0", "ico": b"\0\0\1\0", "heic": b"mdat", "webp animated": b"ANMF",
    "jp2": b"\xff\x93", "jxl": b"\xff\x0a",
}  # fmt: skip
"""What comes before the data of the pixels, by a name above or its first word."""


def flipped(name: str, first: int | None = None, last: int | None = None) -> list[bytes]:
    """Return the file with one byte flipped, at places spread evenly over its pixels or from `first` to `last`."""
    data = FILES[name]
    if first is None or last is None:
        first, last = data.index(PIXELS.get(name) or PIXELS[name.split(maxsplit=1)[0]]) + 8, len(data) - 1
    places = (first + (last - first) * number // (PLACES - 1) for number in range(PLACES))
    return [data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :] for place in places]


def by_pillow(data: bytes) -> list[bytes] | None:
    """Return the pixels of each frame, as Pillow alone decodes them in one pass, or None if it fails."""
    pillow_heif.register_heif_opener(thumbnails=False)
    try:
        with Image.open(BytesIO(data)) as image:
            is_animation = image.format in ("PNG", "WEBP", "AVIF", "GIF")
            frames = []
            for number in range(getattr(image, "n_frames", 1) if is_animation else 1):
                image.seek(number)
                image.load()
                frames.append(visible(image.convert("RGBA")).tobytes())
            return without_repeats(frames)
    except Exception:
        return None


def without_repeats(frames: list[bytes]) -> list[bytes]:
    """Leave out frames that look like the one before: an encoder merges them."""
    return [frame for frame, _ in groupby(frames)]


def by_darkroom(data: bytes) -> list[bytes] | None:
    try:
        return by_pillow(rendered(data, UNCHANGED, format="png"))
    except PictureError:
        return None


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_a_failure_or_the_pixels_that_pillow_gives(name: str) -> None:
    assert by_darkroom(FILES[name]) == by_pillow(FILES[name]) is not None
    for number, data in enumerate(flipped(name)):
        assert by_darkroom(data) in (None, by_pillow(data)), f"flip {number} of {name}"


@pytest.mark.parametrize("name", [name for name in FILES if "png" in name])
def test_a_png_whose_pixels_do_not_match_their_checksum_is_refused(name: str) -> None:
    """Every IDAT has its CRC-32 (PNG, 5.3)."""
    first = FILES[name].index(b"IDAT") + 4
    (length,) = struct.unpack(">I", FILES[name][first - 8 : first - 4])
    for data in flipped(name, first, first + length - 1):
        with pytest.raises(PictureError):
            rendered(data, UNCHANGED)


@pytest.mark.parametrize("name", ["apng", "webp animated", "avif animated"])
def test_an_animation_that_ends_before_its_last_frame_is_refused(name: str) -> None:
    data = FILES[name]
    for share in (0.5, 0.7, 0.9):
        assert by_darkroom(data[: round(len(data) * share)]) is None


def test_a_png_without_picture_data_or_with_garbage_for_it_is_refused() -> None:
    def with_data(data: bytes) -> bytes:
        start = png((8, 8))[:33]
        return start + chunk(b"IDAT", data) + chunk(b"IEND", b"")

    rows = bytes(9 * 8)
    assert by_darkroom(with_data(zlib.compress(rows))) is not None
    for data in (b"", b"garbage", bytes(100), zlib.compress(rows)[:-6], zlib.compress(rows)[2:-4]):
        with pytest.raises(PictureError, match="the image data is damaged or truncated"):
            rendered(with_data(data), UNCHANGED)


@pytest.mark.parametrize("place", ["before", "after"])
def test_orientation_of_a_png_is_applied_wherever_its_exif_chunk_stands(place: str) -> None:
    """PNG (3rd edition, 5.6) allows eXIf before and after IDAT; the chunk is made by hand."""
    picture = encoded(drawing((64, 48)), "PNG")
    turned = chunk(b"eXIf", b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0))
    mark = picture.index(b"IDAT" if place == "before" else b"IEND") - 4
    [upright] = by_darkroom(picture[:mark] + turned + picture[mark:]) or []
    assert upright == drawing((64, 48)).transpose(Image.Transpose.ROTATE_270).convert("RGBA").tobytes()


@pytest.mark.parametrize("seconds", [65, 70.001, 700.01, 16_777.215])
def test_long_frames_of_a_webp_become_a_png(seconds: float) -> None:
    data = encoded(
        drawing(), "WEBP", save_all=True, append_images=[drawing(hue=90)], duration=round(seconds * 1000), loop=0
    )
    made = Image.open(BytesIO(rendered(data, UNCHANGED, format="png")))
    assert made.info["duration"] == pytest.approx(seconds * 1000, rel=1e-3)


async def test_a_damaged_picture_fails_its_task_and_says_why(api: Client, settings: Settings) -> None:
    every_format = msgspec.structs.replace(settings, input_formats=tuple(InputFormat))
    with process("-m", "worker", **environment(every_format)):
        for name in ("png", "png noise", "png palette"):
            for data in flipped(name)[:5]:
                view = await api.ended(await api.upload(data, operation="rotate", angle="0"))
                assert (view["status"], view["error"]) == (
                    "FAILURE",
                    "the image data is damaged or truncated",
                )
        damaged = {"file": ("a.jpg", encoded(drawing(), "JPEG")), "overlay": ("b.png", flipped("png noise")[0])}
        answer = await api.post("/process-image/", files=damaged, data={"operation": "watermark"})
        view = await api.ended(answer.json()["task_id"])
        assert view["error"] == "overlay: the image data is damaged or truncated"


def test_every_format_is_tried() -> None:
    assert {sniff(data) for data in FILES.values()} == set(InputFormat)
    assert patched(animated("PNG"), b"acTL", b"acTL")  # an animation, not a still
