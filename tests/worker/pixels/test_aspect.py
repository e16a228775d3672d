"""Proportions as people write them."""

import msgspec
import pytest

from worker.pixels.geometry import AspectRatio, ratio_of


@pytest.mark.parametrize(
    ("text", "ratio"),
    [("16:9", 16 / 9), ("1.5", 1.5), ("1:1", 1), ("4.5:3", 1.5), ("0.5", 0.5), ("10", 10), ("1:99999.9999", 1e-5)],
)
def test_an_aspect_ratio_is_width_to_height_or_a_number(text: str, ratio: float) -> None:
    assert ratio_of(msgspec.convert(text, AspectRatio)) == pytest.approx(ratio)


@pytest.mark.parametrize(
    "text", ["", "0", "0:9", "16:0", "0.0", "16:", ":9", "16:9:1", "-1", "16/9", "1e3", "nan", "100000", "1.", "16 : 9"]
)
def test_what_is_no_aspect_ratio_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, AspectRatio)
