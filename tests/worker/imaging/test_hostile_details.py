"""Damage, lies in the small print, absurd metadata: a sentence or a picture, whatever is asked for."""

import json
import struct
import zlib

import pytest

from tests.support.animations import animated
from tests.support.hostile import (
    ABSURD_EXIF,
    ODD_ORIENTATIONS,
    ORIENTATION,
    Entry,
    exif,
    good,
    in_time,
    patched,
    tried,
    with_metadata,
)
from tests.support.pictures import decoded, drawing, encoded
from tests.support.profiles import D50, DISPLAY_P3, cmyk_profile, gamma_curve, grey_profile, rgb_profile
from tests.support.rendering import rendered, result
from tests.worker.imaging.test_formats import icon, mpo
from worker.operations.inspect import Inspect
from worker.operations.resize import Resize

HARMLESS_CUT = {"jpeg mpo", "gif", "ico bmp"}
"""Cut late enough they still have their first picture: of a GIF the frames that are whole, of an icon its mask."""


@pytest.mark.parametrize("name", good())
def test_a_file_cut_at_any_tenth_is_refused(name: str) -> None:
    data = good()[name]
    for tenth in range(1, 10):
        part = data[: max(20, len(data) * tenth // 10)]
        sentence = tried(part)
        assert sentence is not None or (name in HARMLESS_CUT and tenth > 4), tenth
        assert sentence is None or "damaged or truncated" in sentence or "header cannot be read" in sentence
        tried(part, Inspect())


@pytest.mark.parametrize("name", good())
def test_a_byte_turned_over_anywhere_gives_a_sentence_or_a_picture(name: str) -> None:
    data = bytearray(good()[name])
    outcomes = set()
    for place in range(12, len(data), max(1, len(data) // 150)):
        data[place] ^= 0xFF
        outcomes.add(tried(bytes(data), Resize(), metadata="keep", format="webp") is None)
        data[place] ^= 0xFF
    assert False in outcomes or name == "bmp"  # nearly all of a BMP is pixels


@pytest.mark.parametrize("count", [0, 1, 3, 5, 9, 2**31, 2**32 - 1])
def test_a_png_that_lies_about_its_frames_gives_no_more_than_it_has(count: int) -> None:
    data = bytearray(animated("PNG"))
    at = data.index(b"acTL") + 4
    data[at : at + 4] = struct.pack(">I", count)
    data[at + 8 : at + 12] = struct.pack(">I", zlib.crc32(bytes(data[at - 4 : at + 8])))
    if tried(bytes(data)) is None:
        assert (result(bytes(data)).frames or 1) <= min(4, max(1, count))
    else:
        assert count > 4


@pytest.mark.parametrize("box", [b"stsz", b"stts", b"stsc", b"stco"])
@pytest.mark.parametrize("count", [0, 1, 3, 5, 2**31, 2**32 - 1])
def test_an_avif_that_lies_about_its_frames_gives_no_more_than_it_has(box: bytes, count: int) -> None:
    data = animated("AVIF")
    at = data.index(box) + (12 if box == b"stsz" else 8)
    lying = data[:at] + struct.pack(">I", count) + data[at + 4 :]
    if tried(lying, format="webp") is None:
        assert (result(lying, format="webp").frames or 1) <= 4
    tried(lying, Inspect())


def test_a_webp_whose_frames_are_not_where_it_says_is_refused() -> None:
    data = animated("WEBP")
    for size in (0, 1, 2**31, 2**32 - 2):
        at = data.index(b"ANMF") + 4
        assert tried(data[:at] + struct.pack("<I", size) + data[at + 4 :]) is not None
    canvas = data.index(b"VP8X") + 12
    assert tried(data[:canvas] + bytes(6) + data[canvas + 6 :]) is not None


@pytest.mark.parametrize("count", [0, 1, 3, 250, 2**32 - 1])
def test_a_phones_file_that_lies_about_its_pictures_has_its_first(count: int) -> None:
    data = patched(mpo(), struct.pack("<HHII", 0xB001, 4, 1, 2), struct.pack("<HHII", 0xB001, 4, 1, count))
    assert result(data).width == 640
    assert tried(data, frame=1) is not None
    assert json.loads(rendered(data, Inspect()))["frames"] == 1


def test_an_icon_in_an_icon_is_refused_and_a_small_lie_forgiven() -> None:
    inner = icon((16, encoded(drawing((16, 16)), "PNG")))
    assert tried(icon((16, inner))) is not None
    assert tried(icon((16, b""))) is not None
    for kept in (8, 22, 30, 60):
        assert tried(inner[:kept]) is not None
    assert result(icon((16, encoded(drawing((64, 64)), "PNG")))).width in (16, 64)


FORMATS = ["jpeg", "png", "webp", "avif", "heic"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", [*ABSURD_EXIF, *ODD_ORIENTATIONS])
def test_absurd_exif_gives_a_sentence_or_a_picture(name: str, kind: str) -> None:
    data = with_metadata(name, {**ABSURD_EXIF, **ODD_ORIENTATIONS}[kind])
    for metadata, target in (("keep", "jpeg"), ("keep", "tiff"), ("keep", "avif"), ("copyright", "webp")):
        tried(data, metadata=metadata, format=target)
    tried(data, Inspect())
    # Of an AVIF it is read by libavif and Pillow as they open it.
    assert tried(data, format="png") is None or (name == "avif" and kind in ABSURD_EXIF)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "avif"])
@pytest.mark.parametrize("kind", ["no more than a mark", "no TIFF", "a BigTIFF of 2^60 entries"])
def test_exif_that_cannot_be_read_counts_as_none_unless_it_is_to_be_kept(name: str, kind: str) -> None:
    data = with_metadata(name, ABSURD_EXIF[kind])
    made = result(data, format="png")
    assert (made.width, made.height) == (64, 48)
    assert tried(data, Inspect()) is None
    for metadata in ("keep", "copyright"):
        sentence = "the Exif data is damaged and cannot be kept; leave metadata at strip"
        assert tried(data, format="png", metadata=metadata) == sentence


@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_a_picture_is_turned_whatever_else_its_exif_has(name: str) -> None:
    entries: list[Entry] = [(ORIENTATION, 3, 1, 6), (0x13B, 5, 1, 38)]
    made = result(with_metadata(name, exif(entries, rest=bytes(8))), format="png")
    assert (made.width, made.height) == (48, 64)


@pytest.mark.parametrize("kind", ["0", "9", "65535", "a text", "bytes", "not a number"])
def test_an_orientation_that_is_none_turns_nothing(kind: str) -> None:
    made = result(with_metadata("jpeg", ODD_ORIENTATIONS[kind]), format="png")
    assert (made.width, made.height) == (64, 48)


def test_a_heic_without_exif_keeps_none() -> None:
    assert not decoded(rendered(with_metadata("heic"), metadata="keep")).getexif()


@pytest.mark.parametrize(
    "beginning", [b"<xmp:Thumbnails ", b"<xmp:Thumbnails></xap:Thumbnails>", b"<tiff:Orientation>"]
)
def test_xmp_that_only_begins_takes_no_time(beginning: bytes) -> None:
    assert tried(encoded(drawing(), "WEBP", xmp=beginning * 500_000), metadata="keep") is None


def table_profile(space: bytes, grid: int, channels: int, size: int) -> bytes:
    """Return a profile whose table claims a grid of so many points in each of its channels."""
    made = cmyk_profile(lambda *inks: (255 - 60 * sum(inks), 128, 128))
    at = made.index(b"mft1") + 8
    return made[:16] + space + made[20:at] + bytes([channels, 3, grid]) + made[at + 3 :] + bytes(size)


P3 = DISPLAY_P3
PROFILES = {
    "cut": P3[:200],
    "cut in its header": P3[:50],
    "its header alone": P3[:128],
    "too long by its own word": struct.pack(">I", 2**31) + P3[4:],
    "too short by its own word": struct.pack(">I", 10) + P3[4:],
    "five megabytes": P3 + bytes(5_000_000),
    "for inks": P3[:16] + b"CMYK" + P3[20:],
    "for grey": grey_profile(2.2),
    "for Lab": P3[:16] + b"Lab " + P3[20:],
    "2^31 tags": P3[:128] + struct.pack(">I", 2**31) + P3[132:],
    "tags beyond the end": P3[:132] + b"\xff" * 96 + P3[228:],
    "a device link": P3[:12] + b"link" + P3[16:],
    "a grid of 255": table_profile(b"RGB ", 255, 3, 1000),
    "a grid of 0": table_profile(b"RGB ", 0, 3, 1000),
    "16 channels": table_profile(b"RGB ", 255, 16, 1000),
    "a curve of 2^31": rgb_profile(((1, 0, 0),) * 3, b"curv" + bytes(4) + struct.pack(">I", 2**31) + bytes(100)),
    "a gamma of 0": rgb_profile(((0, 0, 0),) * 3, gamma_curve(0)),
    "no white": P3.replace(b"".join(struct.pack(">i", round(each * 65536)) for each in D50), bytes(12)),
}


@pytest.mark.parametrize("name", [*FORMATS, "tiff"])
@pytest.mark.parametrize("kind", PROFILES)
def test_an_absurd_profile_gives_a_sentence_or_a_picture(name: str, kind: str) -> None:
    data = with_metadata(name, profile=PROFILES[kind])
    for target, colorspace in (("png", "keep"), ("jpeg", "srgb"), ("gif", "keep"), ("tiff", "keep")):
        sentence = tried(data, format=target, colorspace=colorspace)
        # PNG's profiles are compressed, and inflated up to a megabyte.
        assert sentence is None or (name, kind) == ("png", "five megabytes")
    tried(data, Inspect())


@pytest.mark.parametrize("grid", [0, 1, 60, 255])
def test_an_absurd_profile_for_inks_gives_a_picture(grid: int) -> None:
    data = encoded(drawing(mode="CMYK"), "JPEG", icc_profile=table_profile(b"CMYK", grid, 4, 5000))
    for target in ("png", "jpeg", "webp"):
        with in_time():
            assert result(data, format=target, colorspace="srgb").width == 200
