"""Files made to do harm: refused with a sentence or made into a picture, with bounded memory, in bounded time."""

import json
import subprocess
import sys
import zlib
from pathlib import Path

import msgspec
import pytest

from app.api_settings import Settings
from tests.conftest import DEADLINE_S, Client, environment, process
from tests.support.animations import RAINBOW, animated, gif, gif_frame
from tests.support.hostile import (
    bmp,
    chunk,
    good,
    in_time,
    overlapping_pages,
    patched,
    png,
    resized,
    scans,
    tiff,
    tiled,
    tried,
    vast,
)
from tests.support.pictures import drawing, encoded
from tests.support.rendering import LIMITS, rendered, result
from worker.errors import PictureError
from worker.imaging.decoding import check_header
from worker.imaging.formats import InputFormat, sniff
from worker.operations.inspect import Inspect
from worker.operations.resize import Resize


@pytest.mark.parametrize("name", good())
@pytest.mark.parametrize("size", [(60_000, 60_000), (1, 2_000_000)])
def test_a_picture_is_refused_for_the_size_in_its_header_before_it_is_decoded(name: str, size: tuple[int, int]) -> None:
    """By us where the format can say such a size, by the decoder's own limits else."""
    width, height = (
        min(side, 65_535) if name in ("jpeg", "jpeg progressive", "jpeg mpo", "gif", "webp") else side for side in size
    )
    small = msgspec.structs.replace(LIMITS, max_pixels=10_000)
    data = resized(name, (width, height))
    with (
        in_time(),
        pytest.raises(PictureError, match=r"pixels are too many|pixels in \d+ frames|header cannot be read"),
    ):
        rendered(data, limits=small)
    source = sniff(data)
    assert source is not None
    with pytest.raises(PictureError):
        check_header(data, source, small, is_whole=True)


@pytest.mark.parametrize("name", good())
@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(name: str, size: tuple[int, int]) -> None:
    assert tried(resized(name, size)) is not None


VAST = [
    "jpeg",
    "jpeg progressive",
    "png",
    "png deep",
    "webp",
    "avif",
    "gif",
    "tiff deflate",
    "bmp",
    "ico png",
    "heic",
    "jxl",
]

# By a process in between: what a process had at most counts from its fork, when it is as large as its parent.
PEAK = """
import resource, subprocess, sys
work = "import sys; from tests.support.rendering import rendered; rendered(open(sys.argv[1], 'rb').read())"
subprocess.run([sys.executable, "-c", work, sys.argv[1]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("name", VAST)
def test_a_vast_picture_in_a_small_file_takes_memory_by_its_pixels(name: str, tmp_path: Path) -> None:
    """AVIF takes most, some 20 bytes for each pixel there and back; an empty process has 70 MB."""
    side = 3000
    file = tmp_path / "vast"
    file.write_bytes(vast(name, side))
    assert file.stat().st_size < 150_000
    peak = subprocess.run(
        [sys.executable, "-c", PEAK, str(file)], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert int(peak) * 1024 < 150_000_000 + 30 * side * side


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_that_swells_is_not_inflated(kind: bytes) -> None:
    swollen = zlib.compress(bytes(50_000_000), 9)
    for count in (1, 80):
        data = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0", b"iCCP": b"key\0\0"}[kind]
        file = png((1, 1), *[chunk(kind, data + swollen)] * count)
        assert tried(file, metadata="keep") is None
    several = zlib.compress(bytes(1_000_000), 9)
    assert tried(png((1, 1), *[chunk(b"zTXt", b"key\0\0" + several)] * 80)) is None


@pytest.mark.parametrize("kind", [b"abCd", b"IDAT"])
def test_chunks_without_number_take_no_time(kind: bytes) -> None:
    assert tried(png((1, 1), *[chunk(kind, b"")] * 80_000)) is None


def test_a_tile_larger_than_its_picture_is_held_to_the_limit() -> None:
    """It is decoded in full: 900 MB for 64 pixels."""
    for side in (30_000, 2**31 - 16):
        for compression in (1, 5, 8):
            with pytest.raises(PictureError, match=f"{side} x {side} pixels are too many"):
                rendered(tiled((8, 8), (side, side), zlib.compress(bytes(64)), compression))


def test_strips_and_entries_without_number_are_refused() -> None:
    for count in (400_000, 2**31):
        data = tiff((8, 8), (273, 3, count, 8), (278, 4, 1, 1), rest=bytes(800_000))
        with pytest.raises(PictureError, match=f"a page must have at most 262,144 strips or tiles; got {count:,}"):
            rendered(data)
    with pytest.raises(PictureError, match="the directories of the file must have at most 65,535 entries"):
        rendered(overlapping_pages(5000), frame=200)
    assert tried(tiff((8, 8), *((1000 + tag, 4, 1, 0) for tag in range(40_000)))) is None


def test_pages_that_go_round_in_a_circle_are_counted_once() -> None:
    for following in (8, 9, 2**32 - 1):
        data = tiff((8, 8), following=following)
        assert tried(data, frame=0) is None
        assert tried(data, frame=1) is not None
        with in_time():
            assert json.loads(rendered(data, Inspect()))["frames"] in (1, 2)
    start = 14 + 12 * 9
    page = tiff((8, 8))[8:]
    pages = b"".join(
        tiff((8, 8), following=start + len(page) * number, rest=bytes(64))[8:] for number in range(1, 8000)
    )
    data = tiff((8, 8), following=start, rest=pages)
    assert tried(data) is None
    assert tried(data, Inspect()) is None
    assert tried(data, frame=255) is None


def test_sub_directories_that_are_their_own_are_not_followed() -> None:
    loops = [(330, 4, 1, 8), (0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8)]
    for metadata in ("strip", "keep", "copyright"):
        assert tried(tiff((8, 8), *loops), metadata=metadata) is None
    assert tried(tiff((8, 8), *loops), Inspect()) is None


def test_numbers_in_place_of_a_profile_and_of_xmp_do_no_harm() -> None:
    for tag in (700, 34_675):
        for entry in ((tag, 4, 1, 2**32 - 1), (tag, 3, 2, 2**32 - 1), (tag, 2, 4, b"abc\0"), (tag, 11, 1, 0)):
            page = tiff((8, 8), entry)
            pages = tiff((8, 8), following=14 + 12 * 9, rest=page[8:])
            for target in ("tiff", "png", "webp"):
                assert tried(page, metadata="keep", format=target) is None
                assert tried(pages, metadata="keep", format=target, frame=1) is None
            assert tried(page, Inspect()) is None


def test_scans_without_number_are_refused() -> None:
    """Each goes over all pixels: a megabyte of them would take an hour on 64 megapixels."""
    for count in (200, 5000):
        with in_time(), pytest.raises(PictureError, match=r"the JPEG must have at most 200 scans; got [\d,]+"):
            rendered(scans(count, 1000))
    assert tried(scans(100, 500)) is None


def test_a_frame_that_makes_the_screen_larger_is_held_to_the_limit_and_cut_off() -> None:
    first = gif_frame((0, 0, 2, 2), [1] * 4)
    for disposal in range(4):
        vast_frame = gif_frame((0, 0, 20_000, 20_000), [1], disposal=disposal)
        data = gif((2, 2), [first, vast_frame, vast_frame], RAINBOW)
        for frame in (None, 1, 2):
            with in_time(), pytest.raises(PictureError, match="20000 x 20000 pixels are too many"):
                rendered(data, frame=frame)
        assert result(data, format="jpeg").width == 2
    larger = gif((2, 2), [first, gif_frame((0, 0, 9, 7), [5] * 63)], RAINBOW)
    for target in ("gif", "webp", "png", "avif"):
        made = result(larger, format=target)
        assert (made.width, made.height, made.frames) == (2, 2, 2)


def test_runs_of_a_bmp_end() -> None:
    for runs in (b"\0\0" * 400_000, b"\0\2\0\0" * 200_000, b"\0\2\xff\xff" * 200_000, b"\1\0" * 400_000):
        tried(bmp((1000, 1000), runs + b"\0\1"))


@pytest.mark.parametrize("source", ["GIF", "PNG", "WEBP", "AVIF"])
def test_the_output_of_an_animation_is_held_to_its_limit_before_the_work(source: str) -> None:
    limits = msgspec.structs.replace(LIMITS, max_output_pixels=4 * 5000 * 5000 - 1)
    with in_time(), pytest.raises(PictureError, match="5000 x 5000 pixels in 4 frames are too many"):
        rendered(animated(source), Resize(width=5000, height=5000), limits=limits)


async def test_the_worker_lives_on(api: Client, settings: Settings) -> None:
    """Each file is refused or its task ends, in time; the same process then makes a good picture."""
    hasty = msgspec.structs.replace(settings, task_timeout_s=DEADLINE_S, input_formats=tuple(InputFormat))
    first = gif_frame((0, 0, 2, 2), [1] * 4)
    files = [
        gif((2, 2), [first, gif_frame((0, 0, 20_000, 20_000), [1], disposal=2)], RAINBOW),
        gif((500, 400), [first] * 20_000, RAINBOW),
        tiled((8, 8), (30_000, 30_000), zlib.compress(bytes(64))),
        tiff((8, 8), (273, 3, 400_000, 8), (278, 4, 1, 1), rest=bytes(800_000)),
        overlapping_pages(5000),
        scans(5000, 1000),
        png((1, 1), chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(50_000_000)))),
        patched(animated("PNG"), b"acTL\0\0\0\4", b"acTL\0\0\0\xff"),
        vast("png deep", 3000),
        *(resized(name, (60_000, 60_000)) for name in ("png", "tiff", "bmp", "ico bmp", "webp animated", "avif")),
        *(data[: len(data) // 2] for data in good().values()),
    ]
    with process("-m", "worker", **environment(hasty)) as worker:
        for number, data in enumerate(files):
            operation = ("grayscale", "inspect", "flip")[number % 3]
            upload = {"file": (f"{number}", data, "application/octet-stream")}
            answer = await api.post("/process-image/", files=upload, data={"operation": operation})
            if answer.status_code != 202:
                assert 400 <= answer.status_code < 500
                assert answer.headers["content-type"] == "application/problem+json"
                assert len(answer.json()["detail"]) > 20
                continue
            view = await api.ended(answer.json()["task_id"])
            assert view["status"] == "SUCCESS" or len(view["error"]) > 20
            assert "unexpected error" not in view.get("error", "")
        assert (await api.ended(await api.upload(encoded(drawing(), "PNG"))))["status"] == "SUCCESS"
        assert worker.is_running()
        worker.terminate()
