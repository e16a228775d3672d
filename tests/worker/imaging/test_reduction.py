"""Reduced decoding, and variants made of each other, against Lanczos on all pixels, in decibels."""

from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests.support.pictures import Size, decoded, encoded
from tests.support.rendering import LIMITS, rendered, upload
from tests.worker.operations.test_resize import psnr
from worker.imaging import decoding
from worker.imaging.formats import InputFormat
from worker.imaging.plan import Output, Plan, Variant
from worker.imaging.render import render
from worker.operations.invert import Invert
from worker.operations.resize import Resize
from worker.pixels.geometry import DECODER_GAP
from worker.pixels.resampling import Scales

PHOTOGRAPHS = Path(__file__).parents[2] / "photographs"

LEAST_DB = 47

SMALL = ("astronaut", "astronaut_tall", "cat", "coffee")
LARGE = ("coffee, enlarged to 2 MP", "cat, tiled to 2 MP", "coffee, tiled to 12 MP")


@cache
def photograph(name: str) -> bytes:
    stem, _, kind = name.partition(", ")
    data = (PHOTOGRAPHS / f"{stem}.jpg").read_bytes()
    if not kind:
        return data
    size = (4000, 3000) if "12 MP" in kind else (1632, 1224)
    picture = decoded(data).convert("RGB")
    if "enlarged" in kind:
        return encoded(picture.resize(size, Image.Resampling.BICUBIC), "JPEG", quality=92)
    large = Image.new("RGB", size)
    for left in range(0, size[0], picture.width):
        for upper in range(0, size[1], picture.height):
            large.paste(picture, (left, upper))
    return encoded(large, "JPEG", quality=92)


def targets(size: Size, gap: float) -> list[Size]:
    """Return the sizes that fare worst, just reduced by 2, 4 or 8, and those of icons."""
    widths = {16, 20, 25, 32, *(int(size[0] / (gap * factor)) for factor in (2, 4, 8))}
    return [(width, round(size[1] * width / size[0])) for width in sorted(widths) if width < size[0] / gap]


def report(capsys: pytest.CaptureFixture[str], name: str, how: str, figures: dict[Size, float]) -> None:
    with capsys.disabled():
        print(f"\n{name}, {how}:", ", ".join(f"{w} x {h} {db:.1f} dB" for (w, h), db in figures.items()), end=" ")  # noqa: T201


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_a_jpeg_decoded_at_a_reduced_scale_is_as_good_as_one_decoded_in_full(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = photograph(name)
    full = decoded(data)
    figures = {}
    for size in targets(full.size, DECODER_GAP):
        resize = Resize(width=size[0], height=size[1])
        result = decoded(rendered(data, resize, format="png"))
        figures[size] = psnr(result, full.resize(size, Image.Resampling.LANCZOS))
    report(capsys, name, "decoder", figures)
    assert min(figures.values()) >= LEAST_DB


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_variants_made_of_each_other_are_as_good_as_each_alone_from_all_pixels(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each half as wide as the one before, from which it is made, down to an icon."""
    full = decoded(photograph(name))
    sizes = [(full.width * 2 // 3, full.height * 2 // 3)]
    while sizes[-1][0] >= 32:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    wishes = {str(width): Variant((Resize(width=width, height=height),), Output()) for width, height in sizes[::-1]}
    results = render(upload(encoded(full, "PNG", compress_level=0)), Plan(wishes), LIMITS)
    assert list(results) == list(wishes)
    figures = {
        size: psnr(decoded(results[str(size[0])].data), full.resize(size, Image.Resampling.LANCZOS)) for size in sizes
    }
    report(capsys, name, "chained", figures)
    assert min(figures.values()) >= LEAST_DB


def test_variants_with_the_same_operations_are_the_same_picture_and_each_reports_its_steps() -> None:
    """Their operations are applied once, whatever stands between them in the request."""
    large, small = (Resize(width=300), Invert()), (Resize(width=200), Invert())
    pipelines = {"a": large, "b": small, "c": (Resize(width=300), Invert()), "d": (Resize(width=200),)}
    variants = {name: Variant(operations, Output(format="png")) for name, operations in pipelines.items()}
    steps: list[tuple[str, str]] = []
    results = render(
        upload(photograph("coffee")), Plan(variants), LIMITS, on_step=lambda name, step, _: steps.append((name, step))
    )
    assert list(results) == list(variants)
    assert results["a"].data == results["c"].data
    assert ImageChops.invert(decoded(results["d"].data)).tobytes() == decoded(results["b"].data).tobytes()
    assert sorted(steps) == [*((name, step) for name in "abc" for step in ("invert", "resize")), ("d", "resize")]


def test_a_variant_is_made_of_the_smallest_larger_result_that_will_do() -> None:
    scales = Scales(Image.new("RGB", (1000, 1000)), (0, 0, 1000, 1000))
    for side in (600, 400):
        scales.keep(Image.new("RGB", (side, side)))
    assert [scales.source((side, side))[0].width for side in (501, 300, 200)] == [1000, 600, 400]
    scales.keep(Image.new("RGB", (390, 390)))  # too like the last one to be worth its memory
    assert scales.source((190, 190))[0].width == 400


def test_a_large_photograph_is_indeed_decoded_at_a_reduced_scale() -> None:
    data = photograph("coffee, tiled to 12 MP")
    for width, most in ((184, 500), (369, 1000), (739, 2000), (16, 500)):
        reduced = decoding.decode_still(decoding.open_image(data, InputFormat.JPEG, LIMITS), [Resize(width=width)])
        assert (reduced.frames[0].width, reduced.size) == (most, Image.open(BytesIO(data)).size)
