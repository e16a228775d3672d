"""The limits of animations: held from the header where it counts the frames, else at the first frame beyond."""

import msgspec
import pytest

from tests.support.animations import RAINBOW, animated, gif, gif_frame
from tests.support.rendering import LIMITS, rendered, result
from worker.errors import PictureError
from worker.operations.resize import Resize


def damaged(source: str) -> bytes:
    """Return an animation of 4 frames of 40 x 30 pixels whose second frame cannot be decoded."""
    data = bytearray(animated(source))
    places = {"PNG": (b"fdAT", 12), "WEBP": (b"ANMF", 40)}
    mark, offset = places[source]
    at = data.index(mark, data.index(mark) + 4 if source == "WEBP" else 0) + offset
    data[at : at + 16] = b"\xff" * 16
    return bytes(data)


@pytest.mark.parametrize("source", ["PNG", "WEBP"])
def test_limits_hold_before_a_frame_is_decoded_where_the_header_counts_them(source: str) -> None:
    """The file is damaged, which only decoding can tell; the limit comes first."""
    data = damaged(source)
    with pytest.raises(PictureError, match="damaged"):
        rendered(data)
    with pytest.raises(PictureError, match="more than 3 frames are too many"):
        rendered(data, limits=msgspec.structs.replace(LIMITS, max_frames=3))
    with pytest.raises(PictureError, match="40 x 30 pixels in 4 frames are too many; an image may have 4,799 pixels"):
        rendered(data, limits=msgspec.structs.replace(LIMITS, max_pixels=4_799))


@pytest.mark.parametrize("source", ["GIF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("target", ["gif", "webp"])
def test_limits_count_all_frames(source: str, target: str) -> None:
    data = animated(source)
    assert (
        result(data, format=target, limits=msgspec.structs.replace(LIMITS, max_frames=4, max_pixels=4_800)).frames == 4
    )
    with pytest.raises(PictureError, match="more than 3 frames are too many"):
        rendered(data, format=target, limits=msgspec.structs.replace(LIMITS, max_frames=3))
    with pytest.raises(PictureError, match="pixels in 4 frames are too many; an image may have 4,799 pixels in total"):
        rendered(data, format=target, limits=msgspec.structs.replace(LIMITS, max_pixels=4_799))
    with pytest.raises(
        PictureError, match="200 x 150 pixels in 4 frames are too many; an image may have 119,999 pixels"
    ):
        rendered(
            data, Resize(width=200, height=150), format=target,
            limits=msgspec.structs.replace(LIMITS, max_output_pixels=119_999),
        )  # fmt: skip
    rendered(
        data,
        Resize(width=200, height=150),
        format=target,
        limits=msgspec.structs.replace(LIMITS, max_output_pixels=120_000),
    )
    still = msgspec.structs.replace(LIMITS, max_pixels=1_200, max_frames=1)
    assert result(data, format="jpeg", limits=still).frames == 1


def test_a_gif_without_end_is_refused_at_the_limit() -> None:
    """Nothing in a GIF says how many frames it has: no more are decoded than may be there."""
    frame = gif_frame((0, 0, 1, 1), [1])
    data = gif((500, 400), [frame] * 100_000, RAINBOW)
    with pytest.raises(PictureError, match="more than 256 frames are too many"):
        rendered(data)
    with pytest.raises(PictureError, match="500 x 400 pixels in 6 frames are too many"):
        rendered(data, limits=msgspec.structs.replace(LIMITS, max_pixels=1_000_000))
    with pytest.raises(PictureError, match="frame must be below 256, the maximum number of frames; got 256"):
        rendered(data, frame=256)
