"""Files as scanners, phones and old programs write them, with the pixels that the text of their format says."""

import struct
from io import BytesIO
from typing import Any

import pytest
from PIL import ExifTags, Image

from tests.support.animations import RAINBOW, as_browsers_show, gif, gif_frame, shown
from tests.support.hostile import chunk, png
from tests.support.pictures import decoded, drawing, encoded
from tests.support.profiles import DISPLAY_P3
from tests.support.rendering import LIMITS, rendered, result
from worker.errors import PictureError
from worker.imaging.decoding import check_header
from worker.imaging.formats import InputFormat, sniff
from worker.operations.rotate import Rotate

UNCHANGED = Rotate(angle=0)

TAGS = {"width": 256, "height": 257, "bits": 258, "photometric": 262, "strip": 273, "samples": 277, "bytes": 279}


def scan(order: str, bits: int, data: bytes, *entries: tuple[int, int, Any], photometric: int = 1) -> bytes:
    """Return an uncompressed TIFF of one row; `entries` are tag, type (3 short, 11 float) and value."""
    samples = next((value for tag, _, value in entries if tag == TAGS["samples"]), 1)
    table: list[tuple[int, int, Any]] = [
        (TAGS["width"], 3, len(data) // (bits // 8) // samples), (TAGS["height"], 3, 1), (259, 3, 1),
        (TAGS["bits"], 3, bits if samples == 1 else (bits,) * samples), (TAGS["photometric"], 3, photometric),
        (278, 3, 1), (TAGS["bytes"], 4, len(data)), *entries,
    ]  # fmt: skip
    start = 8 + 2 + 12 * (len(table) + 1) + 4
    table = sorted([*table, (TAGS["strip"], 4, start)], key=lambda entry: entry[0])
    made = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(table))
    for tag, kind, value in table:
        values = value if isinstance(value, tuple) else (value,)
        layout = {3: "H", 4: "I", 11: "f"}[kind]
        packed = struct.pack(f"{order}{len(values)}{layout}", *values)
        assert len(packed) <= 4
        made += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    return made + bytes(4) + data


def values_of(data: bytes, *, scale: int = 1) -> list[int]:
    image = decoded(rendered(data, UNCHANGED, format="png"))
    assert image.mode == "I;16"
    return [int(image.getpixel((x, 0))) // scale for x in range(image.width)]  # type: ignore[arg-type]


SAMPLES = [0, 1000, 30_000, 65_535]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_scan_in_16_bits_may_have_0_for_white(order: str) -> None:
    data = struct.pack(f"{order}4H", *SAMPLES)
    assert values_of(scan(order, 16, data)) == SAMPLES
    assert values_of(scan(order, 16, data, photometric=0)) == [65_535 - each for each in SAMPLES]
    image = decoded(rendered(scan(order, 8, bytes([0, 10, 200, 255]), photometric=0), UNCHANGED, format="png"))
    assert [image.convert("L").getpixel((x, 0)) for x in range(4)] == [255, 245, 55, 0]


@pytest.mark.parametrize("order", ["<", ">"])
def test_floating_point_samples_go_from_0_to_1_or_between_the_samples_that_the_file_names(order: str) -> None:
    ieee = (339, 3, 3)
    plain = scan(order, 32, struct.pack(f"{order}4f", 0, 0.25, 0.5, 1), ieee)
    assert values_of(plain) == pytest.approx([0, 16_384, 32_768, 65_535], abs=1)
    named = (340, 11, -10.0), (341, 11, 30.0)
    scaled = scan(order, 32, struct.pack(f"{order}4f", -10, 0, 10, 30), ieee, *named)
    assert values_of(scaled) == pytest.approx([0, 16_384, 32_768, 65_535], abs=1)
    beyond = scan(order, 32, struct.pack(f"{order}2f", -50, 99), ieee, *named)
    assert values_of(beyond) == [0, 65_535]


@pytest.mark.parametrize("samples", [(0, 255), (-0.5, 0.5), (0, float("inf")), (float("nan"), 0.5)])
def test_other_floating_point_samples_are_refused_with_the_reason(samples: tuple[float, float]) -> None:
    data = scan("<", 32, struct.pack("<2f", *samples), (339, 3, 3))
    with pytest.raises(PictureError, match="must be from 0 to 1, or the file must have SMinSampleValue"):
        rendered(data, UNCHANGED, format="png")


@pytest.mark.parametrize("order", ["<", ">"])
def test_gray_with_associated_alpha_is_divided_by_it(order: str) -> None:
    data = scan(order, 8, bytes([50, 100, 100, 255, 0, 0, 30, 60]), (TAGS["samples"], 3, 2), (338, 3, 1))
    image = decoded(rendered(data, UNCHANGED, format="png"))
    assert [image.getpixel((x, 0)) for x in range(4)] == [(127, 100), (100, 255), (0, 0), (127, 60)]


@pytest.mark.parametrize(("bits", "most"), [(1, 1), (2, 3), (4, 15), (8, 255), (16, 65_535)])
def test_a_transparent_gray_counts_at_the_depth_of_the_file(bits: int, most: int) -> None:
    levels = sorted({0, 1, most // 2, most})
    packed = sum(level << bits * (len(levels) - 1 - place) for place, level in enumerate(levels))
    length = -(-len(levels) * bits // 8)
    row = b"\0" + (packed << (length * 8 - len(levels) * bits)).to_bytes(length, "big")
    for key in levels:
        data = png((len(levels), 1), chunk(b"tRNS", struct.pack(">H", key)), bits=bits, pixels=row)
        image = decoded(rendered(data, UNCHANGED, format="png")).convert("LA")
        found = [image.getpixel((x, 0)) for x in range(len(levels))]
        expected = [(level * 255 // most, 0 if level == key else 255) for level in levels]
        for one, other in zip(found, expected, strict=True):
            assert isinstance(one, tuple)
            assert one == pytest.approx(other, abs=1), (key, found)


def test_a_transparent_color_in_16_bits_is_that_color_alone() -> None:
    key = struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)
    near = struct.pack(">3H", 0x1235, 0x5678, 0x9ABC)
    data = png((2, 1), chunk(b"tRNS", key), bits=16, color=2, pixels=b"\0" + key + near)
    image = decoded(rendered(data, UNCHANGED, format="png"))
    assert [image.getpixel((x, 0)) for x in range(2)] == [(0x12, 0x56, 0x9A, 0), (0x12, 0x56, 0x9A, 255)]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_an_orientation_in_xmp_does_not_turn_a_picture(name: str) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    options: dict[str, Any] = {"xmp": xmp}
    if name == "PNG":
        from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options = {"pnginfo": info}
    data = encoded(drawing((64, 48)), name, **options)
    assert Image.open(BytesIO(data)).getexif().get(ExifTags.Base.Orientation) == 6  # Pillow's reading
    made = result(data, UNCHANGED)
    assert (made.width, made.height) == (64, 48)
    source = sniff(data)
    assert source is not None
    assert check_header(data, source, LIMITS, is_whole=True) == (64, 48)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 8
    both = encoded(drawing((64, 48)), name, exif=turned.tobytes(), **options)
    assert (result(both, UNCHANGED).width, result(both, UNCHANGED).height) == (48, 64)


def with_property(data: bytes, added: bytes) -> bytes:
    """Return an AVIF of one item with a further property, and the places of its data moved accordingly."""

    def place_of(kind: bytes) -> int:
        return data.index(kind) - 4

    def size_of(kind: bytes) -> int:
        return int(struct.unpack_from(">I", data, place_of(kind))[0])

    end_of_ipco = place_of(b"ipco") + size_of(b"ipco")
    properties, at = 0, place_of(b"ipco") + 8
    while at < end_of_ipco:
        properties += 1
        at += struct.unpack_from(">I", data, at)[0]
    ipma = place_of(b"ipma")
    associations = data[ipma + 18]  # after the header, the number of entries and the id of the item
    end = ipma + 19 + associations
    grown = bytearray(data[:end_of_ipco] + added + data[end_of_ipco:end] + bytes([0x80 | properties + 1]) + data[end:])
    grown[ipma + len(added) + 18] += 1
    for kind in (b"meta", b"iprp", b"ipco"):
        more = len(added) + (kind != b"ipco")
        struct.pack_into(">I", grown, place_of(kind), size_of(kind) + more)
    struct.pack_into(">I", grown, ipma + len(added), size_of(b"ipma") + 1)
    offset = place_of(b"iloc") + 8 + 4 + 2 + 2 + 6  # version 0, one item with one extent
    struct.pack_into(">I", grown, offset, struct.unpack_from(">I", data, offset)[0] + len(added) + 1)
    return bytes(grown)


def clap(width: int, height: int, x: int, y: int) -> bytes:
    """Return a clean aperture of a size in pixels, with the offset of its center in halves of a pixel."""
    return struct.pack(">I4sIIIIiIiI", 40, b"clap", width, 1, height, 1, x, 2, y, 2)


def test_an_avif_is_cropped_to_its_clean_aperture_before_it_is_turned() -> None:
    picture = drawing((64, 48))
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    for exif in (b"", turned.tobytes()):
        plain = encoded(picture, "AVIF", quality=100, subsampling="4:4:4")
        data = with_property(plain, clap(40, 20, 8, -12))
        box = 16, 8, 56, 28  # (64 - 40) / 2 + 4, (48 - 20) / 2 - 6
        if exif:
            data = with_property(data, struct.pack(">I4sB", 9, b"irot", 3))
        made = result(data, UNCHANGED, format="png")
        expected = decoded(rendered(plain, UNCHANGED, format="png")).convert("RGB").crop(box)
        if exif:
            expected = expected.transpose(Image.Transpose.ROTATE_270)
        assert (made.width, made.height) == expected.size
        assert decoded(made.data).convert("RGB").tobytes() == expected.tobytes()
        assert check_header(data, InputFormat.AVIF, LIMITS, is_whole=True) == expected.size


@pytest.mark.parametrize(
    "aperture",
    [clap(80, 20, 0, 0), clap(40, 20, 100, 0), clap(41, 20, 0, 0), clap(0, 20, 0, 0), clap(40, 20, 0, 0)[:-8]],
)
def test_an_impossible_aperture_is_ignored(aperture: bytes) -> None:
    aperture = struct.pack(">I", len(aperture)) + aperture[4:]
    try:
        made = result(with_property(encoded(drawing((64, 48)), "AVIF"), aperture), UNCHANGED)
    except PictureError:
        return  # libavif may refuse it
    assert (made.width, made.height) == (64, 48)


def dib(bits: int, masks: tuple[int, ...], pixels: list[int], header: int = 124, *, top_down: bool = False) -> bytes:
    """Return a bitmap of one column with bit masks; `pixels` are its rows from the top."""
    rows = pixels if top_down else pixels[::-1]
    body = b"".join(pixel.to_bytes(bits // 8, "little").ljust(4, b"\0") for pixel in rows)
    height = -len(pixels) if top_down else len(pixels)
    info = struct.pack("<IiiHHIIiiII", header, 1, height, 1, bits, 3, len(body), 0, 0, 0, 0)
    tail = struct.pack(f"<{len(masks)}I", *masks)
    info = (info + tail).ljust(header, b"\0") if header > 40 else info + tail
    start = 14 + len(info)
    return struct.pack("<2sIII", b"BM", start + len(body), 0, start) + info + body


MASKS = {
    "10 bits each": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "10 bits and alpha": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    "RGBX": (32, (0xFF, 0xFF00, 0xFF0000)),
    "444": (16, (0xF00, 0xF0, 0xF)),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "1555": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "565": (16, (0xF800, 0x7E0, 0x1F)),
    "BGRA": (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    "ABGR": (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "one bit each": (16, (1, 2, 4, 8)),
    "blue only": (32, (0, 0, 0xFF)),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("top_down", [False, True])
def test_a_bitmap_may_have_any_masks(name: str, top_down: bool) -> None:
    bits, masks = MASKS[name]
    pixels = [0, 2**bits - 1, 0x12345678 & (2**bits - 1), 0x9ABCDEF0 & (2**bits - 1), 0x5A5AA5A5 & (2**bits - 1)]

    def channel(pixel: int, mask: int) -> float:
        lowest = mask & -mask
        return (pixel & mask) // lowest * 255 / (mask // lowest) if mask else 0

    expected = [[channel(pixel, mask) for mask in masks] for pixel in pixels]
    for header in (124, 56 if len(masks) == 4 else 40):
        found = decoded(rendered(dib(bits, masks, pixels, header, top_down=top_down), UNCHANGED)).convert("RGBA")
        for y, values in enumerate(expected):
            pixel = found.getpixel((0, y))
            assert isinstance(pixel, tuple)
            assert pixel[: len(values)] == pytest.approx(values, abs=1.01), (header, y)
            if len(values) == 3:
                assert pixel[3] == 255


@pytest.mark.parametrize("masks", [(0xF00, 0xF00, 0xF), (0xF0F, 0xF0, 0), (0xF0000, 0xF0, 0xF)])
def test_impossible_masks_are_refused_by_name(masks: tuple[int, int, int]) -> None:
    with pytest.raises(PictureError, match="this kind of BMP is not supported"):
        rendered(dib(16, masks, [1, 2]), UNCHANGED)


@pytest.mark.parametrize("compression", [4, 5, 11])
def test_other_compressions_of_bitmaps_are_refused_by_name(compression: int) -> None:
    data = bytearray(dib(32, (0xFF0000, 0xFF00, 0xFF), [1, 2]))
    data[30] = compression
    with pytest.raises(PictureError, match="this kind of BMP is not supported"):
        rendered(bytes(data), UNCHANGED)


def test_a_bitmap_with_masks_may_be_truncated_or_vast() -> None:
    bits, masks = MASKS["444"]
    with pytest.raises(PictureError, match="damaged or truncated"):
        rendered(dib(bits, masks, [1, 2, 3])[:-3], UNCHANGED)
    data = bytearray(dib(bits, masks, [1, 2, 3]))
    data[18:26] = struct.pack("<ii", 50_000, 50_000)
    with pytest.raises(PictureError, match="50000 x 50000 pixels are too many"):
        rendered(bytes(data), UNCHANGED)


def test_the_profile_of_a_bitmap_is_kept() -> None:
    data = bytearray(dib(32, (0xFF0000, 0xFF00, 0xFF), [0x123456, 0x654321]))
    data[14 + 56 : 14 + 60] = struct.pack("<I", 0x4D424544)
    data[14 + 112 : 14 + 120] = struct.pack("<II", len(data) - 14, len(DISPLAY_P3))
    assert decoded(rendered(bytes(data) + DISPLAY_P3, UNCHANGED)).info["icc_profile"] == DISPLAY_P3
    assert "icc_profile" not in decoded(rendered(bytes(data), UNCHANGED)).info  # it is missing


def icon_of(*images: tuple[int, bytes]) -> bytes:
    """Return an icon of PNGs and bitmaps of 16 x 16 pixels; the directory claims a depth for each."""
    start, table, body = 6 + 16 * len(images), b"", b""
    for claimed, image in images:
        table += struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, claimed, len(image), start + len(body))
        body += image
    return struct.pack("<HHH", 0, 1, len(images)) + table + body


@pytest.mark.parametrize("claimed", [0, 32])
def test_of_equal_sizes_in_an_icon_the_deepest_is_taken(claimed: int) -> None:
    deep = encoded(drawing((16, 16), "RGBA"), "PNG")
    flat = encoded(drawing((16, 16), "1"), "PNG")
    for images in ((deep, flat), (flat, deep), (flat, deep, flat)):
        data = icon_of(*((claimed, image) for image in images))
        assert decoded(rendered(data, UNCHANGED)).convert("RGBA").tobytes() == drawing((16, 16), "RGBA").tobytes()


@pytest.mark.parametrize("transparent", [None, 7])
@pytest.mark.parametrize("background", [0, 9])
def test_what_a_gif_has_not_painted_is_transparent(transparent: int | None, background: int) -> None:
    """Browsers ignore the index of the background in the header (GIF89a, 18) and show what is behind the picture."""
    parts = [
        gif_frame(
            (4, 3, 5, 4), [(index + disposal) % 9 for index in range(20)], disposal=disposal, transparent=transparent
        )
        for disposal in (1, 2, 3, 0)
    ]
    moved = gif_frame((0, 0, 3, 3), [7] * 9, disposal=1)
    data = bytearray(gif((16, 12), [*parts, moved, parts[1], moved, parts[2]], RAINBOW, 0))
    data[11] = background
    expected = as_browsers_show(bytes(data))
    for target in ("png", "gif"):
        found = shown(rendered(bytes(data), UNCHANGED, format=target)).frames
        assert [frame.tobytes() for frame in found] == [frame.tobytes() for frame in expected]
    for number, frame in enumerate(expected):
        still = decoded(rendered(bytes(data), UNCHANGED, format="png", frame=number)).convert("RGBA")
        visible = [pixel if pixel[3] else (0, 0, 0, 0) for pixel in still.get_flattened_data()]  # type: ignore[index]
        assert visible == [pixel if pixel[3] else (0, 0, 0, 0) for pixel in frame.get_flattened_data()]  # type: ignore[index]
