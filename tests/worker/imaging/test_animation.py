"""Animations into one another: their frames, times and loops, through operations."""

from dataclasses import replace
from typing import Any

import pytest
from PIL import ExifTags, Image

from tests.support.animations import (
    DURATIONS,
    RAINBOW,
    Shown,
    animated,
    as_browsers_show,
    gif,
    gif_frame,
    pictures,
    shown,
    visible,
)
from tests.support.pictures import decoded, drawing, encoded, mean_difference
from tests.support.rendering import rendered, result, transform
from worker.errors import PictureError
from worker.imaging.formats import OutputFormat
from worker.operations.base import Operation
from worker.operations.crop import Crop
from worker.operations.flip import Flip
from worker.operations.grayscale import Grayscale
from worker.operations.resize import Resize
from worker.operations.rotate import Rotate
from worker.operations.trim import Trim
from worker.operations.watermark import Watermark

WIDTH, HEIGHT = 20, 16

EXACT: dict[str, dict[str, Any]] = {"gif": {}, "png": {}, "webp": {"lossless": True}}
"""The formats that keep every pixel of a GIF, and how."""


def patchwork(transparent: int | None, repetitions: int | None = None) -> bytes:
    """Return a GIF whose frames are parts of the picture, with every disposal after every other."""
    background = [(x * 7 + y * 3) % 200 for y in range(HEIGHT) for x in range(WIDTH)]
    frames = [gif_frame((0, 0, WIDTH, HEIGHT), background, disposal=1, transparent=transparent)]
    for number, disposal in enumerate((1, 2, 3, 0, 2, 3, 1, 2, 2, 3, 3, 0)):
        pixels = [
            (x * y + number * 30) % 250 if (x + y) % 3 or transparent is None else transparent
            for y in range(5)
            for x in range(6)
        ]
        place = number + 1, number % 9 + 1, 6, 5
        frames.append(gif_frame(place, pixels, disposal=disposal, transparent=transparent, hundredths=5 + number))
    return gif((WIDTH, HEIGHT), frames, RAINBOW, repetitions)


def shown_by_browsers(data: bytes) -> Shown:
    return replace(shown(data), frames=as_browsers_show(data))


def same(one: Shown, other: Shown) -> bool:
    return [frame.tobytes() for frame in one.frames] == [frame.tobytes() for frame in other.frames]


@pytest.mark.parametrize("target", EXACT)
@pytest.mark.parametrize("transparent", [None, 255], ids=["opaque", "transparent"])
def test_every_disposal_of_a_gif_is_obeyed_to_the_pixel(transparent: int | None, target: str) -> None:
    data = patchwork(transparent)
    made = result(data, format=target, **EXACT[target])
    before, after = shown_by_browsers(data), shown(made.data)
    assert len(before.frames) == len(after.frames) == made.frames == 13
    assert same(before, after)
    assert after.durations_ms == before.durations_ms == [100, *range(50, 170, 10)]
    if target == "gif":
        assert [frame.tobytes() for frame in as_browsers_show(made.data)] == [
            frame.tobytes() for frame in before.frames
        ]


def test_a_gif_of_parts_stays_small() -> None:
    """An opaque GIF holds only what changes from frame to frame, as it came."""
    first = [number % 251 for number in range(200 * 150)]
    parts = [gif_frame((number, number, 20, 20), [number] * 400, disposal=1) for number in range(20)]
    data = gif((200, 150), [gif_frame((0, 0, 200, 150), first, disposal=1), *parts], RAINBOW, 0)
    made = result(data)
    assert made.frames == 21
    assert same(shown(data), shown(made.data))
    assert len(made.data) < len(data)


@pytest.mark.parametrize("transparent", [None, 255], ids=["opaque", "transparent"])
@pytest.mark.parametrize("steps", [(), (Flip(),)], ids=["as it is", "flipped"])
def test_a_gif_becomes_an_avif_frame_by_frame(transparent: int | None, steps: tuple[Operation, ...]) -> None:
    data = patchwork(transparent)
    after, before = shown(rendered(data, *steps, format="avif", quality=100)), shown_by_browsers(data)
    expected = [transform(frame, steps) for frame in before.frames]
    assert after.durations_ms == before.durations_ms
    for number, frame in enumerate(after.frames):  # AVIF halves the resolution of colors
        differences = [mean_difference(frame, other) for other in expected]
        assert differences[number] == min(differences) < 25


@pytest.mark.parametrize("target", ["gif", "png", "webp", "avif"])
@pytest.mark.parametrize("source", ["GIF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_every_animation_goes_into_every_animated_format(mode: str, source: str, target: str) -> None:
    extra = {"disposal": 2} if source == "GIF" else {}
    data = animated(source, mode, **extra)
    options = {"webp": {"lossless": True}, "avif": {"quality": 100}}.get(target, {})
    made = result(data, format=target, **options)  # type: ignore[arg-type]
    after, before = shown(made.data), shown(data)
    assert made.frames == len(after.frames) == 4
    assert after.durations_ms == DURATIONS
    for one, other in zip(after.frames, before.frames, strict=True):
        assert mean_difference(one, other) < (10 if target == "avif" else 1)


REPETITIONS = {None: 1, 0: 0, 1: 2, 4: 5}
"""A GIF's repetitions -> how often it is shown, 0 for ever: WebP and PNG say it so."""


@pytest.mark.parametrize("repetitions", REPETITIONS)
def test_an_animation_is_shown_as_often_as_it_was(repetitions: int | None) -> None:
    """GIF counts repetitions, or says nothing and is shown once; WebP and PNG count all showings, 0 is for ever."""
    data = patchwork(None, repetitions)
    assert shown(rendered(data)).loop == repetitions
    for target in ("png", "webp"):
        there = rendered(data, format=target)
        assert shown(there).loop == REPETITIONS[repetitions]
        assert shown(rendered(there, format="gif")).loop == repetitions
        assert shown(rendered(there, format="webp" if target == "png" else "png")).loop == REPETITIONS[repetitions]


def test_an_avif_which_has_no_word_on_it_is_shown_for_ever() -> None:
    for target in ("gif", "png", "webp"):
        assert shown(rendered(animated("AVIF"), format=target)).loop == 0


@pytest.mark.parametrize("duration_ms", [0, 1, 16.67, 65_536, 700_000, 20_000_000])
def test_times_and_loops_beyond_a_format_are_its_longest(duration_ms: float) -> None:
    data = animated("PNG", duration=duration_ms, loop=70_000)
    for target, longest_ms, loop in (
        ("gif", 655_350, 65_535),
        ("png", 65_535_000, 65_535),
        ("webp", 2**24 - 1, 65_535),
    ):
        after = shown(rendered(data, format=target))
        expected = round(min(duration_ms, longest_ms))
        assert after.loop == loop
        assert after.durations_ms == pytest.approx([expected] * 4, abs=5 if target == "gif" else 0.5)
    assert len(shown(rendered(data, format="avif")).frames) == 4


@pytest.mark.parametrize(
    ("target", "frames"), [("gif", [90, 60]), ("png", [90, 60]), ("webp", [90, 60]), ("avif", None)]
)
def test_the_record_tells_how_many_frames_there_are_where_an_encoder_joins_like_ones(
    target: str, frames: list[int] | None
) -> None:
    first, second, *_ = pictures()
    options = {"save_all": True, "append_images": [first, second], "duration": [40, 50, 60], "lossless": True}
    made = result(encoded(first, "WEBP", **options), format=target)
    after = shown(made.data)
    assert made.frames == len(after.frames)
    assert sum(after.durations_ms) == 150
    assert frames is None or after.durations_ms == frames


@pytest.mark.parametrize("target", list(OutputFormat))
def test_a_gif_of_one_frame_is_a_still(target: OutputFormat) -> None:
    pixels = [number % WIDTH // 10 * 3 + number // WIDTH // 8 * 90 for number in range(WIDTH * HEIGHT)]
    for count in (1, 3):
        frame = gif_frame((0, 0, WIDTH, HEIGHT), pixels, transparent=None if count == 1 else 255)
        data = gif((WIDTH, HEIGHT), [frame] * count, RAINBOW, 0)
        made = result(data, format=target.value)
        assert made.frames == getattr(decoded(made.data), "n_frames", 1)
        assert mean_difference(decoded(made.data), shown(data).frames[0]) < 12
        if target is not OutputFormat.AVIF:
            assert made.frames == 1


def test_frames_with_palettes_of_their_own_keep_all_their_colors() -> None:
    frames, colors = [], set()
    for number in range(4):
        palette = bytes(value for each in range(256) for value in (each, number * 60, 255 - each))
        colors |= {(each, number * 60, 255 - each) for each in range(256)}
        frames.append(gif_frame((0, 0, 16, 16), list(range(256)), palette=palette, disposal=number % 3))
    data = gif((16, 16), frames, RAINBOW, 0)
    for target, options in EXACT.items():
        after = shown(rendered(data, format=target, **options))
        assert same(after, shown(data))
        assert {pixel[:3] for frame in after.frames for pixel in frame.get_flattened_data()} == colors  # type: ignore[index]
    assert len(colors) == 1024


def with_default_image() -> bytes:
    """Return a PNG whose first picture, for those who know no animation, is no frame."""
    options = {"save_all": True, "default_image": True, "append_images": pictures(), "duration": DURATIONS, "loop": 3}
    return encoded(drawing((40, 30), hue=200).convert("RGBA"), "PNG", **options)


@pytest.mark.parametrize("target", EXACT)
def test_the_picture_of_a_png_for_those_who_know_no_animation_is_no_frame(target: str) -> None:
    made = result(with_default_image(), format=target, **EXACT[target])
    after = shown(made.data)
    assert (made.frames, after.durations_ms, after.loop) == (4, DURATIONS, 2 if target == "gif" else 3)
    assert [frame.tobytes() for frame in after.frames] == [visible(frame).tobytes() for frame in pictures()]


def test_the_picture_of_a_png_for_those_who_know_no_animation_is_its_still() -> None:
    still = drawing((40, 30), hue=200)
    outputs: list[dict[str, Any]] = [{"format": "tiff"}, {"format": "png", "frame": 0}]
    for output in outputs:
        assert mean_difference(decoded(rendered(with_default_image(), **output)), still) == 0
    assert mean_difference(decoded(rendered(with_default_image(), format="png", frame=1)), pictures()[0]) == 0


@pytest.mark.parametrize("source", ["GIF", "PNG", "WEBP", "AVIF"])
def test_one_frame_can_be_had_and_formats_without_animation_get_the_first(source: str) -> None:
    data = animated(source)
    for target in OutputFormat:
        options: dict[str, Any] = {"quality": 100} if target.default_quality is not None else {}
        for frame in (None, 0, 2, 3):
            if frame is None and target.is_animated:
                continue
            made = result(data, format=target.value, frame=frame, **options)
            assert made.frames == 1
            assert mean_difference(decoded(made.data), shown(data).frames[frame or 0]) < 6
        with pytest.raises(PictureError, match="the image has no frame 4; the first is 0"):
            rendered(data, format=target.value, frame=4)


@pytest.mark.parametrize("target", ["gif", "png", "webp", "avif"])
@pytest.mark.parametrize(
    "steps",
    [
        (Resize(width=33, height=21),),
        (Crop(left=15, top=12, width=15, height=11),),
        (Grayscale(),),
        (Rotate(angle=30),),
        (Watermark(text="A", size=8, opacity=1),),
        (Resize(width=30, fit="inside"), Flip(), Grayscale()),
    ],
    ids=lambda steps: "+".join(type(step).__name__ for step in steps),
)
def test_operations_are_done_to_every_frame(steps: tuple[Operation, ...], target: str) -> None:
    data = animated("WEBP")
    options = {"webp": {"lossless": True}, "avif": {"quality": 100}}.get(target, {})
    after = shown(rendered(data, *steps, format=target, **options))  # type: ignore[arg-type]
    expected = [transform(frame, steps) for frame in pictures()]
    assert len(after.frames) == 4
    for one, other in zip(after.frames, expected, strict=True):
        assert one.size == other.size
        assert mean_difference(one, other) < (16 if target == "avif" else 9)


def test_trim_leaves_all_frames_one_size() -> None:
    frames = [Image.new("RGB", (60, 40), "white") for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste((200, 30 * number, 0), (10 + 5 * number, 8, 20 + 5 * number, 14 + 4 * number))
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50)
    after = shown(rendered(data, Trim()))
    expected = [visible(frame.crop((10, 8, 30, 22)).convert("RGBA")) for frame in frames]
    assert [frame.tobytes() for frame in after.frames] == [frame.tobytes() for frame in expected]


@pytest.mark.parametrize("source", ["PNG", "WEBP"])  # Pillow crashes as it writes a turned AVIF animation
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_animations_are_upright(orientation: int, source: str) -> None:
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE}
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    after = shown(rendered(animated(source, exif=exif), format="png"))
    assert len(after.frames) == 4
    for frame, picture in zip(after.frames, pictures(), strict=True):
        expected = picture.transpose(turn[orientation]) if orientation in turn else picture
        assert frame.size == expected.size
        assert mean_difference(frame, expected) < 3
