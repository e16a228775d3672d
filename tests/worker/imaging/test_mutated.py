"""Mutated files of unusual kinds: a result or a sentence for the client, whatever is asked of them."""

import struct
from random import Random
from typing import Any

import pytest

from tests.support.animations import RAINBOW, gif, gif_frame
from tests.support.hostile import chunk, png
from tests.support.pictures import drawing, encoded
from tests.support.rendering import result
from tests.worker.imaging.test_color_spaces import avif_by_nclx, png_by_cicp
from tests.worker.imaging.test_formats import heic
from tests.worker.imaging.test_gain_map import ultra_hdr
from tests.worker.imaging.test_png import cgbi, premultiplied_bgra, with_chunks
from tests.worker.imaging.test_rights import PRESS, RIGHTS, jpeg_with_iptc, with_xmp
from tests.worker.imaging.test_variants_of_formats import MASKS, clap, dib, icon_of, scan, with_property
from worker.errors import PictureError
from worker.imaging.decoding import check_header
from worker.imaging.formats import sniff
from worker.imaging.guards import Limits
from worker.operations.rotate import Rotate

LIMITS = Limits(max_pixels=4_000_000, max_frames=64, max_output_pixels=8_000_000)

PICTURE = drawing((40, 30))

FILES = {
    "avif with clap and PQ": with_property(avif_by_nclx(9, 16, PICTURE), clap(20, 16, 0, 0)),
    "heic": heic(PICTURE),
    "bmp of 10 bits": dib(*MASKS["10 bits and alpha"], [1, 2, 3, 4]),
    "bmp of 4 bits": dib(*MASKS["4444"], [1, 2, 3, 4]),
    "ico of two depths": icon_of(
        (0, encoded(drawing((16, 16), "RGBA"), "PNG")), (32, encoded(drawing((16, 16), "1"), "PNG"))
    ),
    "gif in parts": gif(
        (16, 12),
        [gif_frame((4, 3, 5, 4), list(range(20)), disposal=each, transparent=7) for each in (1, 2, 3, 0, 2)],
        RAINBOW,
        0,
    ),
    "png with color chunks": with_chunks(
        png_by_cicp(9, 16, PICTURE),
        chunk(b"gAMA", struct.pack(">I", 45_455)),
        chunk(b"cHRM", bytes(range(32))),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + RIGHTS),
    ),
    "png with a color of 16 bits": png((2, 1), chunk(b"tRNS", bytes(6)), bits=16, color=2, pixels=b"\0" + bytes(12)),
    "png of Apple's variant": cgbi((40, 30), premultiplied_bgra(PICTURE)),
    "tiff of floats": scan("<", 32, struct.pack("<4f", 0, 0.2, 0.5, 1), (339, 3, 3), (340, 11, 0.0), (341, 11, 1.0)),
    "tiff with 0 for white": scan(">", 16, bytes(16), photometric=0),
    "ultra hdr": ultra_hdr(6),
    "jpeg with iptc": jpeg_with_iptc(PRESS),
    "webp with xmp": with_xmp("webp", RIGHTS),
}

OPTIONS: list[dict[str, Any]] = [
    {"format": "png"},
    {"format": "gif"},
    {"format": "jpeg", "metadata": "copyright"},
    {"format": "jpeg", "metadata": "keep", "hdr": "keep"},
    {"format": "tiff", "metadata": "keep"},
    {"format": "webp", "colorspace": "p3"},
    {"format": "png", "on_damage": "keep"},
    {"format": "gif", "on_damage": "keep"},
]

NUMBERS = (bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0")


def mutated(data: bytes, random: Random) -> bytes:
    """Return the file after some changes: other bytes, extreme numbers, parts left out or repeated, or cut off."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 10))):
        place = random.randrange(len(changed))
        match random.randrange(10):
            case 0 | 1:
                changed[place : place + 4] = random.choice(NUMBERS)
            case 2:
                del changed[place : place + random.randrange(1, 40)]
            case 3:
                changed[place:place] = changed[max(0, place - random.randrange(1, 60)) : place]
            case 4:
                del changed[place + 1 :]
            case _:
                changed[place] = random.randrange(256)
        changed = changed or bytearray(data)
    return bytes(changed)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", range(2))
def test_a_mutated_file_gives_a_result_or_a_reason(name: str, seed: int) -> None:
    random = Random(seed)
    tried = 0
    while tried < 200:
        data = mutated(FILES[name], random)
        source = sniff(data)
        if source is None:
            continue
        tried += 1
        operations = random.choice(([], [Rotate(angle=0)], [Rotate(angle=30, background="#dc5014")]))
        for is_whole in (True, False):
            try:
                check_header(data, source, LIMITS, is_whole=is_whole)
            except PictureError as exc:
                assert len(str(exc)) > 20  # noqa: PT017 - some are accepted
        try:
            result(data, *operations, limits=LIMITS, **random.choice(OPTIONS))
        except PictureError as exc:
            assert len(str(exc)) > 20  # noqa: PT017 - some give a picture
