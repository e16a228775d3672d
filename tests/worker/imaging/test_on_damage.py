"""Damaged files: `on_damage=keep` shows what can be read and says so; a file without its last bytes is whole."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from PIL import Image, ImageChops

from app.api_settings import Settings
from tests.conftest import Client, environment, process
from tests.support.animations import animated
from tests.support.pictures import decoded, drawing, encoded
from tests.support.rendering import result
from tests.worker.imaging.test_formats import heic
from worker.errors import PictureError
from worker.operations import OPERATIONS
from worker.operations.resize import Resize
from worker.operations.rotate import Rotate

SIZE = (256, 192)
UNCHANGED = Rotate(angle=0)
DAMAGE = "the image data is damaged or truncated; the result shows what could be read"


def picture(mode: str = "RGB", seed: int = 7) -> Image.Image:
    """Return a picture that fills a file evenly, and is the same in every run."""
    noise = Image.frombytes("RGB", SIZE, Random(seed).randbytes(3 * SIZE[0] * SIZE[1]))
    return Image.blend(drawing(SIZE), noise, 0.3).convert(mode)


def cut(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def flipped(data: bytes) -> bytes:
    place = len(data) * 6 // 10
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def smeared(data: bytes) -> bytes:
    place = len(data) * 6 // 10
    return data[:place] + b"\xff" * 200 + data[place + 200 :]


READABLE: list[tuple[str, dict[str, Any], Callable[[bytes], bytes]]] = [
    ("JPEG", {"quality": 95}, cut),
    ("JPEG", {"quality": 95, "progressive": True}, cut),
    ("PNG", {}, cut),
    ("PNG", {}, flipped),
    ("GIF", {"interlace": 0}, cut),
    ("BMP", {}, cut),
    ("JPEG2000", {"progression": "RLCP", "tile_size": (64, 64)}, cut),
    ("TIFF", {"compression": "tiff_adobe_deflate"}, smeared),
]


@pytest.mark.parametrize(("name", "options", "spoil"), READABLE)
@pytest.mark.parametrize("operation", [UNCHANGED, Resize(width=128)])
def test_keep_shows_what_can_be_read_and_warns(
    name: str, options: dict[str, Any], spoil: Callable[[bytes], bytes], operation: Rotate | Resize
) -> None:
    whole = encoded(picture("P" if name == "GIF" else "RGB"), name, **options)
    with pytest.raises(PictureError, match="the image data is damaged or truncated"):
        result(spoil(whole), operation)
    assert result(whole, operation, on_damage="keep").warnings == ()
    kept = result(spoil(whole), operation, on_damage="keep", format="png")
    assert kept.warnings == (DAMAGE,)
    found, expected = decoded(kept.data), decoded(result(whole, operation, format="png").data)
    assert found.size == expected.size
    # BMP has its last row first.
    top, bottom = (0, found.height // 4), (found.height * 3 // 4, found.height)
    upper, lower = bottom if name == "BMP" else top
    box = (0, upper, found.width, lower)
    difference = ImageChops.difference(found.convert("RGB").crop(box), expected.convert("RGB").crop(box))
    most = max(high for _, high in difference.getextrema())  # type: ignore[misc]
    assert most <= (90 if options.get("progressive") else 0 if isinstance(operation, Rotate) else 3)


@pytest.mark.parametrize("name", ["WEBP", "AVIF", "HEIC", "JXL"])
def test_what_cannot_be_read_at_all_fails_with_keep_too(name: str) -> None:
    whole = heic(drawing(SIZE)) if name == "HEIC" else encoded(picture(), name)
    with pytest.raises(PictureError):
        result(cut(whole), UNCHANGED, on_damage="keep")


@pytest.mark.parametrize("name", ["gif", "apng"])
def test_an_animation_ends_before_its_first_damaged_frame(name: str) -> None:
    frames = [picture(seed=number) for number in range(6)]
    whole = encoded(
        frames[0], "GIF" if name == "gif" else "PNG", save_all=True, append_images=frames[1:], duration=80, loop=0
    )
    kept = result(cut(whole), UNCHANGED, on_damage="keep")
    assert kept.frames is not None
    assert 1 < kept.frames < 6
    assert kept.warnings == (f"the animation is damaged or truncated; the result ends after frame {kept.frames}",)
    with pytest.raises(PictureError, match="damaged or truncated"):
        result(cut(whole), UNCHANGED)


def test_of_an_animation_whose_first_frame_is_damaged_the_part_of_that_frame_is_kept() -> None:
    frames = [picture(seed=1), picture(seed=2)]
    whole = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80)
    kept = result(whole[: len(whole) // 4], UNCHANGED, on_damage="keep")
    assert (kept.frames, kept.warnings) == (1, (DAMAGE,))


def test_a_whole_animation_has_no_warning() -> None:
    assert result(animated("gif"), UNCHANGED, on_damage="keep").warnings == ()


def test_a_report_of_a_damaged_file_says_so() -> None:
    assert result(cut(encoded(picture(), "PNG")), OPERATIONS["inspect"](), on_damage="keep").warnings == (DAMAGE,)


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("operation", [UNCHANGED, Resize(width=64)])
def test_a_jpeg_that_lacks_only_its_end_marker_is_whole(
    missing: int, progressive: bool, mode: str, operation: Rotate | Resize
) -> None:
    data = encoded(picture(mode), "JPEG", progressive=progressive)
    for on_damage in ("refuse", "keep"):
        found = result(data[:-missing], operation, on_damage=on_damage, format="tiff")
        # A reduced scale is not used for it.
        expected = decoded(result(data, UNCHANGED, operation, format="tiff").data)
        assert decoded(found.data).tobytes() == expected.tobytes()
        assert found.warnings == ()


@pytest.mark.parametrize("missing", [4, 8, 40, 400])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_pixels_is_not(missing: int, progressive: bool) -> None:
    data = encoded(picture(), "JPEG", progressive=progressive)
    with pytest.raises(PictureError, match="damaged or truncated"):
        result(data[:-missing], UNCHANGED)
    assert result(data[:-missing], UNCHANGED, on_damage="keep").warnings == (DAMAGE,)


async def test_the_record_of_a_task_has_the_warnings(api: Client, settings: Settings) -> None:
    with process("-m", "worker", **environment(settings)):
        data = cut(encoded(picture(), "PNG"))
        assert (await api.ended(await api.upload(data, operation="flip")))["status"] == "FAILURE"
        task_id = await api.upload(data, operation="flip", on_damage="keep")
        assert (await api.ended(task_id))["status"] == "SUCCESS"
        record = (await api.get(f"/tasks/{task_id}")).json()
        assert record["outputs"][0]["warnings"] == [DAMAGE]
        whole = await api.upload(encoded(picture(), "PNG"), operation="flip", on_damage="keep")
        await api.ended(whole)
        assert "warnings" not in (await api.get(f"/tasks/{whole}")).json()["outputs"][0]
