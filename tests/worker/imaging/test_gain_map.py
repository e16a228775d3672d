"""The gain map of an Ultra HDR JPEG: dropped, kept through geometry, and never promised where it is not."""

import struct
from io import BytesIO
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from PIL import ExifTags, Image, MpoImagePlugin

from tests.support.pictures import decoded, drawing, encoded, mean_difference
from tests.support.rendering import result
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations import OPERATIONS
from worker.operations.base import Operation
from worker.operations.flip import Flip
from worker.operations.resize import Resize
from worker.operations.rotate import Rotate

SIZE, SMALL = (400, 300), (100, 75)
ISO = b"urn:iso:std:iso:ts:21496:-1\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"

PARAMETERS = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" hdrgm:GainMapMin="0" '
    b'hdrgm:GainMapMax="2.5" hdrgm:HDRCapacityMin="0" hdrgm:HDRCapacityMax="2.5"/></rdf:RDF></x:xmpmeta>'
)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def gain() -> Image.Image:
    """Return a gain map whose corners differ."""
    return drawing(SMALL).convert("L")


def ultra_hdr(orientation: int = 1, *, kind: str = "xmp", packet: bytes = PARAMETERS) -> bytes:
    """Return an Ultra HDR JPEG, with the Multi-Picture index in big-endian numbers as cameras write it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    first = encoded(drawing(SIZE), "JPEG", quality=95, exif=exif.tobytes())
    second = encoded(gain(), "JPEG", quality=95)
    meaning = segment(0xE1, XMP + PARAMETERS) if kind == "xmp" else segment(0xE2, ISO + b"\0\0\0\0" + bytes(20))
    second = second[:2] + meaning + second[2:]
    own = segment(0xE1, XMP + packet) if kind == "xmp" else segment(0xE2, ISO + bytes(4))
    before = first[:2] + own
    index_start = len(before) + 8
    total = index_start + 82 + len(first) - 2
    index = struct.pack(">2sHIH", b"MM", 42, 8, 3)
    index += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, 2)
    index += struct.pack(">HHIII", 0xB002, 7, 32, 50, 0)
    index += struct.pack(">IIIHH", 0x030000, total, 0, 0, 0)
    index += struct.pack(">IIIHH", 0, len(second), total - index_start, 0, 0)
    return before + segment(0xE2, b"MPF\0" + index) + first[2:] + second


def parts(data: bytes) -> tuple[Image.Image, Image.Image]:
    """Return the picture and its gain map, as Pillow reads a Multi-Picture file."""
    file = MpoImagePlugin.MpoImageFile(BytesIO(data))
    assert file.n_frames == 2
    first = file.copy()
    file.seek(1)
    return first, file.copy()


GEOMETRY: list[list[Operation]] = [
    [],
    [Resize(width=200)],
    [Resize(width=150, height=150, fit="cover", position="northwest")],
    [OPERATIONS["crop"](left=100, top=40, width=200, height=160)],
    [OPERATIONS["crop"](aspect_ratio="1:1", position="east")],
    [Rotate(angle=90)],
    [Rotate(angle=180)],
    [Flip(), Flip(direction="vertical"), Resize(width=123)],
]


@pytest.mark.parametrize("operations", GEOMETRY)
@pytest.mark.parametrize("orientation", [1, 6, 4])
@pytest.mark.parametrize("kind", ["xmp", "iso"])
def test_the_gain_map_follows_the_picture(operations: list[Operation], orientation: int, kind: str) -> None:
    data = ultra_hdr(orientation, kind=kind)
    made = result(data, *operations, hdr="keep")
    assert made.warnings == ()
    picture, moved = parts(made.data)
    assert picture.size == (made.width, made.height)
    plain = decoded(result(data, *operations).data)
    assert mean_difference(picture, plain) < 1
    # The same scene at a quarter of the size, processed as a picture of its own.
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    grown = encoded(gain().resize(SIZE, Image.Resampling.BILINEAR), "TIFF")
    upright = encoded(decoded(grown), "JPEG", quality=100, exif=exif.tobytes())
    expected = decoded(result(upright, *operations, format="png").data).convert("L").resize(moved.size)
    assert moved.mode == "L"
    assert abs(moved.width * 4 - picture.width) <= 4
    assert abs(moved.height * 4 - picture.height) <= 4
    assert mean_difference(moved, expected) < 4


@pytest.mark.parametrize("metadata", ["strip", "keep", "copyright"])
def test_the_file_says_where_the_gain_map_is_and_what_it_means(metadata: str) -> None:
    made = result(ultra_hdr(), Resize(width=200), hdr="keep", metadata=metadata).data
    start = made.index(XMP) + len(XMP)
    packet = made[start : made.index(b"</x:xmpmeta>", start) + len(b"</x:xmpmeta>")]
    names = {"Container": "http://ns.google.com/photos/1.0/container/"}
    items = ET.fromstring(packet).findall(".//Container:Item", names)
    item = {key.rpartition("}")[2]: value for key, value in items[1].items()}
    second = made[-int(item["Length"]) :]
    assert item["Semantic"] == "GainMap"
    assert second.startswith(b"\xff\xd8")
    assert PARAMETERS in second
    assert decoded(second).size == (50, 38)
    assert made.count(XMP) == 2
    file = Image.open(BytesIO(made))
    assert (file.format, file.size) == ("JPEG", (200, 150))  # Pillow shows the picture


def test_without_it_nothing_of_the_gain_map_remains() -> None:
    for metadata in ("strip", "keep"):
        made = result(ultra_hdr(), metadata=metadata)
        assert made.warnings == ()
        assert b"hdrgm" not in made.data.replace(b"xmlns:hdrgm", b"")
        assert b"MPF\0" not in made.data


@pytest.mark.parametrize(
    ("operations", "options"),
    [
        ([OPERATIONS["blur"](sigma=2)], {}),
        ([Resize(width=90, height=90, fit="contain")], {}),
        ([Resize(width=90, height=90, fit="cover", position="smart")], {}),
        ([Rotate(angle=30)], {}),
        ([Rotate(angle=90, expand=False)], {}),
        ([], {"colorspace": "p3"}),
        ([], {"max_bytes": 50_000}),
        ([], {"format": "auto", "accept": "webp,jpeg"}),
    ],
)
def test_where_it_cannot_be_kept_there_is_a_warning(operations: list[Operation], options: dict[str, Any]) -> None:
    made = result(ultra_hdr(), *operations, hdr="keep", **options)
    if made.format == "jpeg" and options.get("format") == "auto":
        assert parts(made.data)
        return
    assert len(made.warnings) == 1
    assert made.warnings[0].startswith("the gain map is left out; it needs a JPEG with colorspace=keep")
    assert b"MPF\0" not in made.data


def test_xmp_data_may_leave_no_room_for_it() -> None:
    large = PARAMETERS.replace(b"</rdf:RDF>", b"<!-- " + b"x" * 65_000 + b" --></rdf:RDF>")
    made = result(ultra_hdr(packet=large), hdr="keep", metadata="keep")
    assert made.warnings == ("the gain map is left out; the XMP data leave no room for it",)
    assert b"MPF\0" not in made.data
    assert result(ultra_hdr(packet=large), hdr="keep").warnings == ()


def test_parameters_of_iso_21496_promise_no_xmp() -> None:
    made = result(ultra_hdr(kind="iso"), Resize(width=200), hdr="keep").data
    assert XMP not in made
    assert made.count(ISO) == 2


def test_a_picture_without_a_gain_map_stays_as_it_is() -> None:
    plain = encoded(drawing(SIZE), "JPEG")
    assert result(plain, hdr="keep") == result(plain)


@pytest.mark.parametrize("place", range(0, 3000, 97))
def test_a_damaged_index_or_gain_map_does_no_harm(place: int) -> None:
    data = bytearray(ultra_hdr())
    index = data.index(b"MPF\0")
    for position in (index + place % 90, len(data) - 1 - place):
        spoiled = bytes(data[:position]) + bytes([data[position] ^ 0xFF]) + bytes(data[position + 1 :])
        made = result(spoiled, Resize(width=100), hdr="keep")
        assert decoded(made.data).size == (100, 75)


def test_other_formats_have_no_gain_map() -> None:
    with pytest.raises(InvalidParameters, match="hdr: is not supported by webp"):
        parse_plan({"operation": "flip", "format": "webp", "hdr": "keep"}, None, 20)
