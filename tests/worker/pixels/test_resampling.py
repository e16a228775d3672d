"""Both resamplers against a convolution in Python floats, written from the definitions of the filters."""

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from operator import mul
from random import Random

import pytest
from PIL import Image

from worker.operations.base import WORKING_MODES
from worker.pixels import resampling
from worker.pixels.geometry import MAX_SIDE, Box, Size
from worker.pixels.resampling import SIMD_FILTERS, SIMD_MODES, Filter, resample

Plane = list[list[float]]


def lanczos(x: float) -> float:
    return 1.0 if x == 0 else math.sin(math.pi * x) * 3 * math.sin(math.pi * x / 3) / (math.pi * x) ** 2


def catmull_rom(x: float) -> float:
    x = abs(x)
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x < 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2


KERNELS: dict[Filter, tuple[Callable[[float], float], float]] = {
    "lanczos": (lanczos, 3),
    "bicubic": (catmull_rom, 2),
    "bilinear": (lambda x: 1 - abs(x), 1),
    "box": (lambda _: 1, 0.5),
    "hamming": (
        lambda x: 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x) * (0.54 + 0.46 * math.cos(math.pi * x)),
        1,
    ),
}
"""Each kernel with the distance at which it ends."""


def scaled_rows(rows: Sequence[Sequence[float]], count: int, start: float, end: float, by: Filter) -> Plane:
    kernel, support = KERNELS[by]
    step = (end - start) / count
    width = max(1.0, step)
    scaled = []
    for number in range(count):
        center = start + (number + 0.5) * step
        first, last = (math.ceil(center + sign * support * width - 0.5) for sign in (-1, 1))
        taps = range(max(0, first), min(len(rows[0]), max(last, first + 1)))
        weights = [kernel((tap + 0.5 - center) / width) for tap in taps]
        scaled.append([sum(map(mul, weights, row[taps.start :])) / sum(weights) for row in rows])
    return [list(row) for row in zip(*scaled, strict=True)]


def scaled_plane(plane: Plane, size: Size, by: Filter, box: Box) -> Plane:
    left, upper, right, lower = box
    across = scaled_rows(plane, size[0], left, right, by)
    down = scaled_rows(list(zip(*across, strict=True)), size[1], upper, lower, by)
    return [list(row) for row in zip(*down, strict=True)]


def samples(band: Image.Image) -> Sequence[int]:
    data = band.tobytes()
    return memoryview(data).cast("H") if band.mode == "I;16" else data


def planes(image: Image.Image) -> list[Plane]:
    """Return the bands as rows of floats, with the colors multiplied by alpha if there is one."""
    width = image.width
    bands = [[float(value) for value in samples(band)] for band in image.split()]
    if image.mode in ("LA", "RGBA"):
        *colors, alpha = bands
        bands = [[value * cover / 255 for value, cover in zip(color, alpha, strict=True)] for color in colors] + [alpha]
    return [[band[at : at + width] for at in range(0, len(band), width)] for band in bands]


def picture(mode: str, size: Size) -> Image.Image:
    """Make a smooth image with some noise; no filter clips its colors, and its alpha is 0 and 255 in places."""
    rnd = Random(f"{mode} {size}")
    scale = 256 if mode == "I;16" else 1
    bands = []
    for number, name in enumerate(Image.new(mode, (1, 1)).getbands()):
        values = []
        for y in range(size[1]):
            for x in range(size[0]):
                wave = math.sin((x + number * 3) / 9) + math.cos(y / 7)
                value = 128 + 200 * wave if name == "A" else 128 + 20 * wave + rnd.uniform(-6, 6)
                values.append(int(min(255, max(0, value)) * scale))
        band = Image.new("I;16" if mode == "I;16" else "L", size)
        band.putdata(values)
        bands.append(band)
    return bands[0] if len(bands) == 1 else Image.merge(mode, bands)


def distance(found: list[Plane], expected: list[Plane]) -> float:
    """Return the largest difference of two samples; alpha may overshoot where floats are not clipped."""
    return max(
        abs(value - min(max(wanted, 0), 255 if len(expected) > 1 else wanted))
        for band, wanted_band in zip(found, expected, strict=True)
        for row, wanted_row in zip(band, wanted_band, strict=True)
        for value, wanted in zip(row, wanted_row, strict=True)
    )


@pytest.fixture(params=["simd", "pillow"])
def resampler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pillow":
        monkeypatch.setattr(resampling, "simd", None)  # as where there is no wheel
    else:
        assert resampling.RESAMPLER != "Pillow"
    return str(request.param)


WHOLE: Box = (0, 0, 1, 1)
SHAPES: list[tuple[Size, Size, Box]] = [
    ((1, 1), (1, 1), WHOLE),
    ((1, 1), (9, 5), WHOLE),
    ((23, 17), (1, 1), WHOLE),
    ((23, 17), (9, 7), WHOLE),
    ((23, 17), (41, 31), WHOLE),
    ((23, 17), (7, 40), (0.13, 0.29, 0.77, 0.9)),
    ((23, 17), (11, 9), (0, 0, 0.31, 1)),
    ((23, 17), (11, 9), (0.61, 0.43, 1, 1)),
    ((23, 17), (5, 5), (0.5, 0.5, 0.51, 0.51)),
    ((MAX_SIDE, 1), (40, 1), WHOLE),
    ((1, MAX_SIDE), (1, 3), (0, 0.1, 1, 0.7)),
    ((3, 1), (MAX_SIDE, 1), WHOLE),
]
"""Size of the image, size of the result, and the box as a share of the image.

No edge of a box of pixels falls on the center of one, which may then count or not.
"""


@pytest.mark.parametrize("by", KERNELS)
@pytest.mark.parametrize("mode", WORKING_MODES)
def test_both_resamplers_are_within_rounding_of_floats(mode: str, by: Filter, resampler: str) -> None:
    for (width, height), size, (left, upper, right, lower) in SHAPES:
        image = picture(mode, (width, height))
        box = left * width, upper * height, right * width, lower * height
        result = resample(image, size, by, box)
        assert (result.mode, result.size) == (mode, size)
        expected = [scaled_plane(plane, size, by, box) for plane in planes(image)]
        assert distance(planes(result), expected) <= (10 if mode == "I;16" else 2.5), (width, height, size, box)


@pytest.mark.parametrize("by", [by for by in KERNELS if by in SIMD_FILTERS])
def test_transparent_pixels_leave_no_fringe(by: Filter, resampler: str) -> None:
    """The invisible black around a bright disc must not darken its edge."""
    image = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    for x in range(60):
        for y in range(60):
            if math.hypot(x - 30, y - 30) < 22:
                image.putpixel((x, y), (250, 200, 40, 255))
    for size in ((17, 17), (90, 90)):
        red, green, blue, alpha = planes(resample(image, size, by))
        for color, value in ((red, 250), (green, 200), (blue, 40)):
            for row, cover in zip(color, alpha, strict=True):
                assert all(each >= value * part / 255 - 5 for each, part in zip(row, cover, strict=True))
    assert resample(Image.new("RGBA", (9, 9), (255, 255, 255, 0)), (5, 5), by).getchannel("A").getextrema() == (0, 0)


def test_a_box_may_end_at_any_fraction_and_at_every_edge(resampler: str) -> None:
    rnd = Random(5)
    image = Image.new("RGB", (97, 61), (10, 20, 30))
    for _ in range(2000):
        left, upper = rnd.uniform(0, 96), rnd.uniform(0, 60)
        right, lower = (
            rnd.choice([97.0, rnd.uniform(left + 1e-6, 97)]),
            rnd.choice([61.0, rnd.uniform(upper + 1e-6, 61)]),
        )
        assert resample(image, (3, 2), "lanczos", (left, upper, right, lower)).getextrema() == (
            (10, 10),
            (20, 20),
            (30, 30),
        )


def test_large_images_lie_in_several_blocks_of_memory(resampler: str) -> None:
    """Pillow stores 16 MB in one piece; a pixel at each end says that all pieces are read."""
    image = Image.new("RGB", (4000, 4000), (90, 90, 90))
    image.paste((200, 0, 0), (0, 3000, 4000, 4000))
    small = resample(image, (4, 4), "box")
    assert small.getcolors() == [(4, (200, 0, 0)), (12, (90, 90, 90))]


@pytest.mark.parametrize("mode", SIMD_MODES)
def test_the_image_is_not_changed(mode: str, resampler: str) -> None:
    image = picture(mode, (23, 17))
    before = image.tobytes()
    resample(image, (5, 5))
    assert image.tobytes() == before


def test_without_the_wheel_everything_works_on_pillow() -> None:
    code = (
        "import sys; sys.modules['cykooz_resizer'] = None\n"
        "from worker.pixels.resampling import RESAMPLER, resample\n"
        "from PIL import Image\n"
        "print(RESAMPLER, resample(Image.new('RGB', (9, 9)), (3, 2)).size)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "Pillow (3, 2)\n"
