"""What `inspect` says, against files whose facts are known and hashes from the reference implementations."""

import base64
import hashlib
import random
import struct
import time
from io import BytesIO
from typing import Any

import blurhash
import msgspec
import pytest
import thash
from PIL import ExifTags, Image, ImageCms, ImageOps

from tests.support.pictures import drawing, encoded
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations.base import Source
from worker.operations.inspect import Inspect
from worker.pixels.modes import convert_to_modes, normalize_mode

Tag = ExifTags.Base
Report = dict[str, Any]

KEYS = {
    "format", "width", "height", "mode", "frames", "has_alpha", "bytes", "sha256", "icc_profile", "has_gps",
    "digital_source_type", "has_c2pa", "exif",
    "average_color", "dominant_color", "palette", "blurhash", "thumbhash", "phash",
}  # fmt: skip


def inspected(data: bytes, scale: int = 1, **parameters: int) -> Report:
    """Inspect a file as the engine does, through JSON and back; a JPEG may be decoded at 1/2, 1/4 or 1/8."""
    operation = Inspect(**parameters)
    file = Image.open(BytesIO(data))
    source = Source(
        data=data,
        format=str(file.format).lower(),
        mode=file.mode,
        size=file.size,
        frames=getattr(file, "n_frames", 1),
        has_alpha=file.has_transparency_data,
        exif=file.getexif(),
        icc_profile=file.info.get("icc_profile"),
    )
    picture = Image.open(BytesIO(data))
    size = ImageOps.exif_transpose(picture).size
    picture = Image.open(BytesIO(data))
    picture.draft(None, (file.width // scale, file.height // scale))
    upright = convert_to_modes(normalize_mode(ImageOps.exif_transpose(picture)), operation.modes)
    text = msgspec.json.encode(operation.report(upright, size, source))
    report: Report = msgspec.json.decode(text)
    assert set(report) == KEYS
    return report


def png(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "PNG", **options)


def with_exif(entries: dict[int, Any], main: dict[int, Any] | None = None) -> bytes:
    exif = Image.Exif()
    exif.update(main or {})
    exif.get_ifd(ExifTags.IFD.Exif).update(entries)
    return encoded(drawing(), "JPEG", exif=exif.tobytes())


def raw_exif(entries: list[tuple[int, int, int, bytes]], tail: bytes = b"", *, directories: int = 1) -> bytes:
    """An Exif block by hand: entries of the Exif directory as they are, whatever they say."""
    start = 8 + 2 + 12 * directories + 4
    pointers = struct.pack("<HHLL", ExifTags.IFD.Exif, 4, 1, start) * directories
    main = b"II*\0" + struct.pack("<LH", 8, directories) + pointers + bytes(4)
    table = b"".join(struct.pack("<HHL4s", *entry) for entry in entries)
    return main + struct.pack("<H", len(entries)) + table + bytes(4) + tail


def photograph(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Something smooth with detail of its own."""
    noise = Image.frombytes("RGB", (12, 9), random.Random(seed).randbytes(12 * 9 * 3))
    return noise.resize(size, Image.Resampling.BICUBIC)


def bits_between(one: Report, other: Report) -> int:
    return (int(one["phash"], 16) ^ int(other["phash"], 16)).bit_count()


def channels(color: str) -> tuple[int, ...]:
    assert color.startswith("#")
    return tuple(bytes.fromhex(color[1:]))


def distance(one: str, other: str) -> int:
    return max(abs(a - b) for a, b in zip(channels(one), channels(other), strict=True))


def test_it_tells_what_the_upload_was() -> None:
    data = png(drawing((40, 30), "RGBA"))
    report = inspected(data)
    assert (report["format"], report["mode"], report["frames"], report["has_alpha"]) == ("png", "RGBA", 1, True)
    assert (report["width"], report["height"], report["bytes"]) == (40, 30, len(data))
    assert report["sha256"] == hashlib.sha256(data).hexdigest()
    assert (report["icc_profile"], report["has_gps"], report["exif"]) == (None, False, {})


def test_the_size_is_that_of_the_upright_picture_and_the_orientation_that_of_the_file() -> None:
    report = inspected(with_exif({}, {Tag.Orientation: 6}))
    assert (report["width"], report["height"]) == (150, 200)
    assert report["exif"] == {"orientation": 6}


def test_an_animation_tells_its_frames() -> None:
    data = encoded(drawing(), "WEBP", save_all=True, append_images=[drawing(hue=90), drawing(hue=180)])
    assert inspected(data)["frames"] == 3


def test_what_the_camera_wrote_is_shown_and_where_it_was_is_not() -> None:
    exif = Image.Exif()
    exif.update({Tag.Make: "Canon", Tag.Model: "EOS", Tag.Artist: "Ada", Tag.Copyright: "CC0", Tag.Software: "1.0"})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({ExifTags.GPS.GPSLatitudeRef: "N"})
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {
            Tag.DateTimeOriginal: "2024:05:06 07:08:09",
            Tag.ExposureTime: 1 / 250,
            Tag.FNumber: 2.8,
            Tag.ISOSpeedRatings: 400,
            Tag.FocalLength: 35.0,
            Tag.LensModel: "EF 35",
        }
    )
    for data in (encoded(drawing(), "JPEG", exif=exif.tobytes()), png(drawing(), exif=exif.tobytes())):
        report = inspected(data)
        assert report["has_gps"] is True
        assert "latitude" not in str(report).lower()
        assert report["exif"] == {
            "make": "Canon",
            "model": "EOS",
            "lens": "EF 35",
            "software": "1.0",
            "datetime_original": "2024-05-06T07:08:09",
            "exposure_time": 0.004,
            "f_number": 2.8,
            "iso": 400,
            "focal_length": 35.0,
            "artist": "Ada",
            "copyright": "CC0",
        }


def test_a_tiff_tells_its_exif_too() -> None:
    exif = Image.Exif()
    exif[Tag.Make] = "Leica"
    assert inspected(encoded(drawing(), "TIFF", exif=exif))["exif"]["make"] == "Leica"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Jos\u00e9".encode(), "Jos\u00e9"),
        ("Jos\u00e9".encode("latin-1"), "Jos\u00e9"),
        (b"a\x00b", "a"),
        (b"two\nlines\x1b[31m", "two lines [31m"),
        (b"  spaces  ", "spaces"),
        (b"x" * 50_000, "x" * 197 + "..."),
        (("\u00e9" * 20_000).encode(), "\u00e9" * 197 + "..."),
    ],
    ids=["UTF-8", "Latin-1", "NUL", "control characters", "spaces", "long", "long UTF-8"],
)
def test_texts_are_one_bounded_line(written: bytes, shown: str) -> None:
    assert inspected(with_exif({}, {Tag.Artist: written}))["exif"] == {"artist": shown}


@pytest.mark.parametrize("text", [b"\0\0\0\0\0\0", b"     ", b"\n\t\x01\x7f  "])
def test_texts_that_say_nothing_are_left_out(text: bytes) -> None:
    assert inspected(with_exif({}, {Tag.Artist: text}))["exif"] == {}


@pytest.mark.parametrize("when", ["0000:00:00 00:00:00", "2024:13:40 25:61:61", "yesterday", "    :  :     :  :  "])
def test_a_time_that_never_was_is_left_out(when: str) -> None:
    assert inspected(with_exif({Tag.DateTimeOriginal: when}))["exif"] == {}


@pytest.mark.parametrize(
    ("entry", "tail", "shown"),
    [
        ((Tag.FNumber, 5, 1), struct.pack("<LL", 28, 10), {"f_number": 2.8}),
        ((Tag.FNumber, 5, 1), struct.pack("<LL", 1, 0), {}),
        ((Tag.FNumber, 5, 1), struct.pack("<LL", 0, 0), {}),
        ((Tag.FNumber, 10, 1), struct.pack("<ll", -5, 1), {}),
        ((Tag.FNumber, 11, 1, struct.pack("<f", float("nan"))), b"", {}),
        ((Tag.FNumber, 12, 1), struct.pack("<d", float("inf")), {}),
        ((Tag.FNumber, 12, 1), struct.pack("<d", 1.7e308), {"f_number": 1.7e308}),
        ((Tag.FNumber, 2, 4, b"f/8\0"), b"", {}),
        ((Tag.FNumber, 5, 2**32 - 1), struct.pack("<LL", 28, 10), {"f_number": 2.8}),
        ((Tag.FNumber, 5, 1), b"short", {}),
        ((Tag.FNumber, 99, 1), b"", {}),
        ((Tag.ISOSpeedRatings, 3, 1, b"\x90\x01\0\0"), b"", {"iso": 400}),
        ((Tag.ISOSpeedRatings, 5, 1), struct.pack("<LL", 400, 1), {}),
        ((Tag.LensModel, 3, 1, b"\1\0\0\0"), b"", {}),
        ((Tag.LensModel, 2, 2**32 - 1), b"Lens", {}),
        ((Tag.LensModel, 2, 0, bytes(4)), b"", {}),
    ],
)
def test_absurd_values_are_left_out(entry: tuple[Any, ...], tail: bytes, shown: Report) -> None:
    place = struct.pack("<L", 8 + 2 + 12 + 4 + 2 + 12 + 4)
    block = raw_exif([(*entry, place)[:4]], tail)
    assert inspected(png(drawing(), exif=b"Exif\0\0" + block))["exif"] == shown


def test_megabytes_of_numbers_and_thousands_of_directories_cost_nothing() -> None:
    rationals = 500_000
    place = 8 + 2 + 12 * 60_000 + 4 + 2 + 12 + 4
    entry = (int(Tag.FNumber), 5, rationals, struct.pack("<L", place))
    block = raw_exif([entry], struct.pack("<LL", 28, 10) * rationals, directories=60_000)
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + block)
    source = Source(b"", "png", "RGB", (9, 9), 1, has_alpha=False, exif=exif, icc_profile=None)
    began = time.process_time()
    assert Inspect().report(drawing((9, 9)), (9, 9), source)["exif"] == {"f_number": 2.8}
    assert time.process_time() - began < 0.5


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damage when it reads the orientation
def test_no_damage_to_the_exif_data_breaks_the_report() -> None:
    chance = random.Random(1)
    whole = bytearray(with_exif({Tag.FNumber: 2.8, Tag.LensModel: "Lens"}, {Tag.Make: "Canon", Tag.Artist: "Ada"}))
    exif_from, exif_to = whole.index(b"Exif") + 6, whole.index(b"Lens") + 4
    file = Image.open(BytesIO(bytes(whole)))
    file.load()
    for _ in range(300):
        damaged = whole[exif_from:exif_to]
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(8, len(damaged))] = chance.randrange(256)
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + bytes(damaged[: chance.randint(10, len(damaged))]))
        source = Source(b"", "jpeg", "RGB", (5, 5), 1, has_alpha=False, exif=exif, icc_profile=bytes(damaged))
        msgspec.json.encode(Inspect().report(drawing((5, 5)), (5, 5), source))


@pytest.mark.parametrize("profile", [b"", b"x", b"\0" * 128, b"junk" * 1000])
def test_a_broken_profile_has_no_name(profile: bytes) -> None:
    exif = Image.Exif()
    source = Source(b"", "png", "RGB", (9, 9), 1, has_alpha=False, exif=exif, icc_profile=profile)
    assert Inspect().report(drawing((9, 9)), (9, 9), source)["icc_profile"] is None


def test_a_profile_is_named() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert inspected(png(drawing(), icc_profile=profile))["icc_profile"] == "sRGB built-in"


def test_the_palette_of_a_drawing_is_its_colors_by_share() -> None:
    image = Image.new("RGB", (100, 100), "#102030")
    image.paste("#ffcc00", (0, 0, 100, 30))
    image.paste("#00aa55", (0, 30, 100, 40))
    report = inspected(png(image))
    assert report["palette"] == [
        {"color": "#102030", "share": 0.6},
        {"color": "#ffcc00", "share": 0.3},
        {"color": "#00aa55", "share": 0.1},
    ]
    assert report["dominant_color"] == "#102030"
    assert report["average_color"] == "#566125"


@pytest.mark.parametrize("colors", [1, 2, 5, 16])
def test_a_palette_has_at_most_as_many_colors_as_are_asked_for(colors: int) -> None:
    report = inspected(png(photograph(1)), colors=colors)
    shares = [entry["share"] for entry in report["palette"]]
    assert len(shares) == colors
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=0.001)
    assert report["dominant_color"] == inspected(png(photograph(1)))["palette"][0]["color"]


def test_one_color_is_the_average() -> None:
    report = inspected(png(photograph(1)), colors=1)
    assert report["palette"] == [{"color": report["average_color"], "share": 1.0}]


def test_colors_that_look_alike_are_one() -> None:
    image = Image.new("RGB", (80, 80), "#3366cc")
    for number in range(80):
        image.paste((0x33 + number % 5 - 2, 0x66 + number % 3 - 1, 0xCC - number % 4), (0, number, 80, number + 1))
    (only,) = inspected(encoded(image, "JPEG", quality=60), colors=16)["palette"]
    assert only["share"] == 1
    assert distance(only["color"], "#3366cc") <= 3


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("size", [(60, 40), (900, 600)])
def test_transparent_pixels_have_no_say_in_colors(mode: str, size: tuple[int, int]) -> None:
    image = Image.new("RGBA", size, (255, 255, 255, 0))
    image.paste((90, 90, 90, 255), (0, 0, size[0] // 2, size[1]))
    report = inspected(png(image.convert(mode)))
    assert report["average_color"] == report["dominant_color"] == "#5a5a5a"
    assert report["palette"] == [{"color": "#5a5a5a", "share": 1.0}]


def test_translucent_pixels_count_as_far_as_they_are_opaque() -> None:
    image = Image.new("RGBA", (10, 10), (255, 0, 0, 255))
    image.paste((0, 0, 255, 85), (0, 0, 5, 10))
    report = inspected(png(image))
    assert [(entry["color"], entry["share"]) for entry in report["palette"]] == [("#ff0000", 0.75), ("#0000ff", 0.25)]
    assert report["average_color"] == "#bf0040"


@pytest.mark.parametrize("size", [(1, 1), (300, 200)])
def test_a_picture_that_is_wholly_transparent_has_no_colors_and_no_hashes(size: tuple[int, int]) -> None:
    report = inspected(png(Image.new("RGBA", size, (255, 0, 0, 0))))
    for key in ("average_color", "dominant_color", "palette", "blurhash", "thumbhash", "phash"):
        assert report[key] is None


def waves(mode: str = "RGB") -> Image.Image:
    """What the reference implementations were given."""
    samples = bytes(
        value
        for y in range(24)
        for x in range(32)
        for value in (x * 8, y * 10, x * y % 256, *([255 - x * 8] if mode == "RGBA" else []))
    )
    return Image.frombytes(mode, (32, 24), samples)


def test_the_hashes_are_those_of_the_reference_implementations() -> None:
    report = inspected(png(waves()))
    assert report["blurhash"] == "LxH27h2lwtX3mAWUjwfAgFfmfTfi"  # woltapp/blurhash, in C, with 4 x 3 components
    assert report["thumbhash"] == "2xgOHZpgdodwiIiGiGeIh/OkD/eI"  # evanw/thumbhash, in JavaScript
    assert report["phash"] == "823d726c5b56a94b"  # ImageHash's phash


def test_the_thumbhash_of_a_picture_with_alpha_is_that_of_the_reference() -> None:
    ours, theirs = (
        list(base64.b64decode(text))
        for text in (inspected(png(waves("RGBA")))["thumbhash"], "l7iFDIw4ImZAiIZoh2/nQq/4h4iIeIeIBw==")
    )
    nibbles = [(part >> place & 15) for half in (ours, theirs) for part in half for place in (0, 4)]
    half = len(nibbles) // 2
    # Languages round a wave that is next to nothing up or down: one step of 15.
    assert all(abs(a - b) <= 1 for a, b in zip(nibbles[:half], nibbles[half:], strict=True))


def test_the_previews_show_the_picture() -> None:
    image = drawing((400, 300))
    report = inspected(png(image))
    small = image.resize((8, 6), Image.Resampling.BOX)
    decoded = blurhash.decode(report["blurhash"], 8, 6)
    by_blurhash = Image.frombytes("RGB", (8, 6), bytes(value for row in decoded for pixel in row for value in pixel))
    width, height, samples = thash.thumb_hash_to_rgba(list(base64.b64decode(report["thumbhash"])), base_size=32)
    by_thumbhash = Image.frombytes("RGBA", (width, height), bytes(samples)).convert("RGB").resize((8, 6))
    flat = Image.new("RGB", (8, 6), report["average_color"])
    for shown in (by_blurhash, by_thumbhash):
        assert squares(shown, small) < squares(flat, small) * 0.8


def squares(one: Image.Image, other: Image.Image) -> int:
    return sum((a - b) ** 2 for a, b in zip(one.tobytes(), other.tobytes(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_the_same_photograph_has_nearly_the_same_perceptual_hash_and_another_has_not(seed: int) -> None:
    photo = photograph(seed, (1600, 1200))
    original = inspected(encoded(photo, "JPEG", quality=95))
    for same in (
        encoded(photo, "JPEG", quality=20),
        encoded(photo.resize((333, 250)), "PNG"),
        encoded(photo.resize((1000, 700)), "WEBP", quality=50),
        encoded(photo.point(lambda value: value * 0.8 + 20), "JPEG"),
    ):
        assert bits_between(original, inspected(same)) <= 6
    assert bits_between(original, inspected(png(photograph(seed + 100)))) >= 16


def test_a_reduced_decode_hardly_changes_the_report() -> None:
    photo = encoded(photograph(7, (3200, 2400)), "JPEG", quality=90)
    assert Inspect().scaled_size((3200, 2400)) == (200, 150)
    full, reduced = inspected(photo), inspected(photo, scale=8)
    assert bits_between(full, reduced) <= 4
    assert distance(full["average_color"], reduced["average_color"]) <= 2
    assert (full["width"], full["height"]) == (reduced["width"], reduced["height"]) == (3200, 2400)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 21), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_and_size_can_be_inspected(mode: str, size: tuple[int, int]) -> None:
    picture = drawing(size, mode)
    if "A" in mode:
        picture.putalpha(128)
    data = encoded(picture, "TIFF" if mode == "CMYK" else "PNG")
    for colors in (1, 16):
        report = inspected(data, colors=colors)
        assert (report["width"], report["height"]) == size
        assert len(report["phash"]) == 16
        assert 1 <= len(report["palette"]) <= colors


def test_it_leaves_the_picture_as_it_is() -> None:
    image = drawing((300, 300), "RGBA")
    before = image.tobytes()
    source = Source(b"", "png", "RGBA", (300, 300), 1, has_alpha=True, exif=Image.Exif(), icc_profile=None)
    Inspect().report(image, (300, 300), source)
    assert image.tobytes() == before


def test_the_number_of_colors_is_bounded() -> None:
    assert Inspect().colors == 5
    for colors in ("0", "17", "2.5", "many"):
        with pytest.raises(InvalidParameters, match="a whole number from 1 to 16"):
            parse_plan({"operation": "inspect", "colors": colors}, None, 20)
