"""HDR becomes sRGB: values of the standards, and the error of the table."""

from itertools import pairwise
from random import Random

import pytest
from PIL import Image

from tests.support.profiles import srgb_curve
from worker.pixels.icc import BT709, BT2020, DISPLAY_P3, Primaries, Transfer
from worker.pixels.tone_mapping import to_sdr, tone_mapped

PQ = {0.1: 0.0623, 1: 0.149946, 50: 0.440282, 100: 0.508078, 203: 0.580689, 1000: 0.751827}
"""Luminance in cd/m2 -> PQ value (SMPTE ST 2084; ITU-R BT.2408, table 1)."""


def light(value: float) -> float:
    """Return the luminance in cd/m2 of a gray on a display whose white has 203."""
    return 203 * srgb_curve(value)


@pytest.mark.parametrize("luminance", [0.1, 1, 50])
def test_shadows_and_midtones_keep_their_luminance(luminance: float) -> None:
    """The curve of BT.2390 begins at a knee, here at 90 cd/m2."""
    for primaries in (BT709, BT2020):
        shown = to_sdr((PQ[luminance],) * 3, primaries, "pq")
        assert light(shown[0]) == pytest.approx(luminance, rel=0.02)
        assert max(shown) - min(shown) < 0.001


def test_highlights_are_compressed_up_to_the_peak() -> None:
    levels = [to_sdr((number / 200,) * 3, BT2020, "pq")[0] for number in range(201)]
    assert all(low <= high for low, high in pairwise(levels))
    assert to_sdr((PQ[1000],) * 3, BT2020, "pq")[0] == pytest.approx(1, abs=0.002)
    assert 0.85 < to_sdr((PQ[203],) * 3, BT2020, "pq")[0] < 0.95  # reference white leaves room for highlights
    assert len({round(level, 4) for level in levels[100:150]}) > 45


def test_hlg_is_what_pq_is_at_the_same_luminance() -> None:
    """BT.2408, table 1: 75 % HLG and 58 % PQ are reference white; BT.2100: 50 % HLG is 1000 (1/12)^1.2 cd/m2."""
    assert to_sdr((0.75,) * 3, BT2020, "hlg")[0] == pytest.approx(to_sdr((PQ[203],) * 3, BT2020, "pq")[0], abs=0.005)
    assert light(to_sdr((0.5,) * 3, BT2020, "hlg")[0]) == pytest.approx(1000 * (1 / 12) ** 1.2, rel=0.02)
    assert to_sdr((1.0,) * 3, BT2020, "hlg")[0] == pytest.approx(1, abs=0.002)


def test_colors_within_srgb_keep_their_hue() -> None:
    """A color of BT.2020 that is 20, 10 and 5 cd/m2 in the primaries of BT.709 (ITU-R BT.2087, inverse matrix)."""
    red, green, blue = 20.0, 10.0, 5.0
    wide = (
        0.6274 * red + 0.3293 * green + 0.0433 * blue,
        0.0691 * red + 0.9195 * green + 0.0114 * blue,
        0.0164 * red + 0.0880 * green + 0.8956 * blue,
    )
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    powers = [(value / 10_000) ** m1 for value in wide]
    shown = to_sdr(
        tuple(((c1 + c2 * power) / (1 + c3 * power)) ** m2 for power in powers),
        BT2020,
        "pq",
    )
    assert [light(value) for value in shown] == pytest.approx([red, green, blue], rel=0.02)


@pytest.mark.parametrize("primaries", [BT2020, DISPLAY_P3])
@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_the_table_is_close_to_the_formula(primaries: Primaries, transfer: Transfer) -> None:
    random = Random(7)
    pixels = bytes(random.randrange(256) for _ in range(3 * 4000))
    found = tone_mapped(Image.frombytes("RGB", (4000, 1), pixels), primaries, transfer).tobytes()
    off = sorted(
        abs(255 * value - shown)
        for start in range(0, len(pixels), 3)
        for value, shown in zip(
            to_sdr(tuple(byte / 255 for byte in pixels[start : start + 3]), primaries, transfer),  # type: ignore[arg-type]
            found[start : start + 3],
            strict=True,
        )
    )
    assert off[len(off) // 2] < 1
    assert off[len(off) * 99 // 100] < 6


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_alpha_stays_and_gray_is_gray(mode: str) -> None:
    image = Image.linear_gradient("L").convert(mode)
    if mode != "L":
        image.putalpha(Image.radial_gradient("L"))
    found = tone_mapped(image, BT2020, "pq")
    assert found.mode == mode
    if mode != "L":
        assert found.getchannel("A").tobytes() == Image.radial_gradient("L").tobytes()
    color = found.convert("RGB").getpixel((9, 128))
    assert isinstance(color, tuple)
    assert max(color) - min(color) <= 1
    assert color[0] == pytest.approx(255 * to_sdr((128 / 255,) * 3, BT2020, "pq")[0], abs=2)
