"""PNG files as they are found: faulty chunks that the picture does not need, and Apple's variant."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import ExifTags, Image

from tests.support.hostile import chunk, png
from tests.support.pictures import decoded, drawing, encoded
from tests.support.profiles import DISPLAY_P3
from tests.support.rendering import LIMITS, rendered
from worker.errors import PictureError
from worker.imaging.containers.png import MARK, chunks
from worker.imaging.decoding import check_header, open_image, upright_size
from worker.imaging.formats import InputFormat
from worker.operations.rotate import Rotate

UNCHANGED = Rotate(angle=0)


def with_chunks(data: bytes, *added: bytes, before: bytes = b"IDAT") -> bytes:
    """Return a PNG with chunks added before its pixels or its end."""
    place = data.index(before) - 4
    return data[:place] + b"".join(added) + data[place:]


def with_bad_checksum(made: bytes) -> bytes:
    return made[:-1] + bytes([made[-1] ^ 1])


XMP = b"XML:com.adobe.xmp\0\0\0\0\0<x/>"
NOISE = bytes(index * 7919 % 251 for index in range(2_000_000))

FAULTY = {
    "tEXt, wrong checksum": with_bad_checksum(chunk(b"tEXt", b"Comment\0hello")),
    "gAMA, wrong checksum": with_bad_checksum(chunk(b"gAMA", struct.pack(">I", 45_455))),
    "pHYs, wrong checksum": with_bad_checksum(chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))),
    "iCCP, wrong checksum": with_bad_checksum(chunk(b"iCCP", b"p3\0\0" + zlib.compress(DISPLAY_P3))),
    "XMP, wrong checksum": with_bad_checksum(chunk(b"iTXt", XMP)),
    "gAMA, wrong length": chunk(b"gAMA", b"\0\0"),
    "cHRM, wrong length": chunk(b"cHRM", bytes(31)),
    "pHYs, wrong length": chunk(b"pHYs", bytes(8)),
    "sRGB, wrong length": chunk(b"sRGB", b""),
    "iCCP, not compressed": chunk(b"iCCP", b"p3\0\0" + DISPLAY_P3),
    "iCCP, cut off": chunk(b"iCCP", b"p3\0\0" + zlib.compress(DISPLAY_P3)[:-9]),
    "iCCP, without a name": chunk(b"iCCP", b""),
    "zTXt of 2 MB": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000))),
    "iTXt of 2 MB": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "XMP of 2 MB": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "XMP, not compressed": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0<x/>"),
    "XMP, without a text": chunk(b"iTXt", b"XML:com.adobe.xmp"),
    "iCCP of 5 MB": chunk(b"iCCP", b"big\0\0" + zlib.compress(NOISE * 2 + bytes(1_000_000))),
    "eXIf, wrong checksum": with_bad_checksum(chunk(b"eXIf", b"MM\0*")),
}


@pytest.mark.parametrize("fault", FAULTY)
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_a_faulty_ancillary_chunk_is_left_out_and_the_picture_stays(fault: str, before: bytes) -> None:
    picture = drawing((64, 48))
    data = with_chunks(encoded(picture, "PNG"), FAULTY[fault], before=before)
    for metadata in ("strip", "keep"):
        result = decoded(rendered(data, UNCHANGED, metadata=metadata))
        assert result.convert("RGB").tobytes() == picture.tobytes()
        assert "icc_profile" not in result.info
    assert check_header(data, InputFormat.PNG, LIMITS, is_whole=True) == (64, 48)


def test_good_chunks_beside_a_faulty_one_are_kept() -> None:
    data = with_chunks(
        encoded(drawing((64, 48)), "PNG", icc_profile=DISPLAY_P3), chunk(b"iTXt", XMP), FAULTY["pHYs, wrong checksum"]
    )
    result = decoded(rendered(data, UNCHANGED, metadata="keep"))
    assert result.info["icc_profile"] == DISPLAY_P3
    assert result.info["xmp"] == b"<x/>"


def test_a_profile_may_be_as_large_in_a_png_as_in_a_jpeg() -> None:
    profile = DISPLAY_P3 + NOISE[:1_400_000]
    profile = struct.pack(">I", len(profile)) + profile[4:]
    for source in ("PNG", "JPEG"):
        result = decoded(rendered(encoded(drawing((64, 48)), source, icc_profile=profile), UNCHANGED))
        assert result.info["icc_profile"] == profile


@pytest.mark.parametrize("kind", [b"tRNS", b"acTL", b"fcTL"])
def test_a_fault_in_a_chunk_that_the_picture_needs_is_damage(kind: bytes) -> None:
    animation = encoded(drawing((64, 48)), "PNG", save_all=True, append_images=[drawing((64, 48), hue=90)])
    data = with_chunks(encoded(drawing((64, 48)), "PNG"), chunk(b"tRNS", bytes(6))) if kind == b"tRNS" else animation
    assert rendered(data, UNCHANGED)
    start, end = next((start, end) for each, start, end in chunks(data) if each == kind)
    with pytest.raises(PictureError, match="the image data is damaged"):
        rendered(data[: end + 3] + bytes([data[end + 3] ^ 1]) + data[end + 4 :], UNCHANGED)
    assert start < end


def premultiplied_bgra(picture: Image.Image) -> bytes:
    rgba = iter(picture.convert("RGBA").tobytes())
    pixels = zip(rgba, rgba, rgba, rgba, strict=True)
    return bytes(
        value
        for red, green, blue, a in pixels
        for value in (*(round(each * a / 255) for each in (blue, green, red)), a)
    )


def cgbi(size: tuple[int, int], pixels: bytes, color: int = 6, *added: bytes) -> bytes:
    """Return a PNG as Xcode writes it: a CgBI chunk first, then IDAT without zlib's header and checksum."""
    raw = zlib.compressobj(wbits=-15)
    width = len(pixels) // size[1]
    rows = b"".join(b"\0" + pixels[start : start + width] for start in range(0, len(pixels), width))
    plain = png(size, bits=8, color=color)
    idat = chunk(b"IDAT", raw.compress(rows) + raw.flush())
    return MARK + chunk(b"CgBI", b"\x50\0\x20\x02") + plain[8:33] + b"".join(added) + idat + chunk(b"IEND", b"")


def test_apples_variant_is_decoded() -> None:
    picture = drawing((64, 48), "RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((64, 48)).point(lambda value: max(value, 1)))
    data = cgbi((64, 48), premultiplied_bgra(picture))
    result = decoded(rendered(data, UNCHANGED)).convert("RGBA")
    assert result.getchannel("A").tobytes() == picture.getchannel("A").tobytes()
    pairs = zip(result.tobytes(), picture.tobytes(), strict=True)
    alphas = (alpha for alpha in picture.getchannel("A").tobytes() for _ in range(4))
    off = [abs(one - other) * alpha / 255 for (one, other), alpha in zip(pairs, alphas, strict=True)]
    assert max(off) <= 1.5  # one step of the premultiplied color
    assert check_header(data, InputFormat.PNG, LIMITS, is_whole=True) == (64, 48)


@pytest.mark.parametrize(("color", "mode"), [(0, "L"), (2, "RGB")])
def test_apples_variant_without_alpha_is_decoded(color: int, mode: str) -> None:
    picture = drawing((64, 48), mode)
    pixels = picture.tobytes() if mode == "L" else picture.tobytes("raw", "BGR")
    result = decoded(rendered(cgbi((64, 48), pixels, color), UNCHANGED))
    assert result.convert(mode).tobytes() == picture.tobytes()


def test_apples_variant_keeps_its_other_chunks() -> None:
    profile = chunk(b"iCCP", b"p3\0\0" + zlib.compress(DISPLAY_P3))
    result = decoded(rendered(cgbi((8, 8), bytes(256), 6, profile), UNCHANGED))
    assert result.info["icc_profile"] == DISPLAY_P3


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-40], lambda data: data[:70] + bytes(99) + data[169:], lambda data: data[:33]]
)
def test_apples_variant_may_be_damaged(spoil: Callable[[bytes], bytes]) -> None:
    data = spoil(cgbi((64, 48), NOISE[: 64 * 48 * 4]))
    with pytest.raises(PictureError, match="damaged"):
        rendered(data, UNCHANGED)


def test_apples_variant_is_held_to_the_limit_of_pixels() -> None:
    with pytest.raises(PictureError, match="20000 x 20000 pixels are too many"):
        rendered(cgbi((20_000, 20_000), bytes(20_000)), UNCHANGED)


def test_files_are_those_that_pillow_refuses() -> None:
    """Otherwise there would be nothing to leave out."""
    refused = 0
    for fault in FAULTY.values():
        try:
            Image.open(BytesIO(with_chunks(encoded(drawing((64, 48)), "PNG"), fault))).load()
        except Exception:
            refused += 1
    assert refused >= 12


def test_exif_and_xmp_after_the_pixels_are_read_without_decoding_them() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    late = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")), chunk(b"iTXt", XMP)
    data = with_chunks(encoded(drawing((64, 48)), "PNG"), *late, before=b"IEND")
    image = open_image(data, InputFormat.PNG, LIMITS)
    assert upright_size(image) == (48, 64)
    assert image.info["xmp"] == b"<x/>"
    assert image.tile  # type: ignore[attr-defined] # what is left to decode
    assert check_header(data, InputFormat.PNG, LIMITS, is_whole=True) == (48, 64)
    assert decoded(rendered(data, UNCHANGED)).size == (48, 64)
