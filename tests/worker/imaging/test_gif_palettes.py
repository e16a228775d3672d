"""GIFs as results: still parts stay still, palettes are shared, and files stay small."""

from io import BytesIO
from math import log10
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests.support.animations import gif, gif_frame
from tests.support.pictures import encoded
from tests.support.rendering import rendered
from worker.operations import OPERATIONS
from worker.operations.resize import Resize

SIZE = (320, 240)
PHOTOGRAPHS = Path(__file__).parents[2] / "photographs"
STILL = (0, 0, SIZE[0], 95)
"""A box that nothing reaches."""


def scene(mode: str = "RGB") -> list[Image.Image]:
    """Return a photograph over which a square moves."""
    photograph = Image.open(PHOTOGRAPHS / "cat.jpg").resize(SIZE).convert(mode)
    frames = []
    for number in range(10):
        frame = photograph.copy()
        frame.paste((255, 40 * (number % 6), 0), (20 + number * 15, 110, 60 + number * 15, 150))
        frames.append(frame)
    if mode == "RGBA":
        for frame in frames:
            frame.paste((0, 0, 0, 0), (0, 200, 320, 240))
    return frames


def animation(frames: list[Image.Image], name: str = "PNG") -> bytes:
    return encoded(frames[0], name, save_all=True, append_images=frames[1:], duration=80, loop=0)


def frames_of(data: bytes) -> list[Image.Image]:
    image, frames = Image.open(BytesIO(data)), []
    for number in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(number)
        frames.append(image.convert("RGBA"))
    return frames


def psnr(one: Image.Image, other: Image.Image) -> float:
    counts = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).histogram()
    return 10 * log10(255**2 / max(sum(n * (value % 256) ** 2 for value, n in enumerate(counts)) / sum(counts), 1e-9))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_still_parts_stay_still(mode: str, scale: float) -> None:
    found = frames_of(rendered(animation(scene(mode)), Resize(scale=scale), format="gif"))
    assert len(found) == 10
    box = tuple(int(edge * scale) for edge in STILL)
    for frame in found[1:]:
        assert frame.crop(box).tobytes() == found[0].crop(box).tobytes()  # type: ignore[arg-type]
    for frame, original in zip(found, scene(), strict=True):
        expected = Resize(scale=scale).apply(original)
        visible = (0, 0, expected.width, int(expected.height * 0.8))
        assert psnr(frame.crop(visible), expected.crop(visible)) > 31


def test_a_smaller_gif_has_fewer_bytes() -> None:
    source = rendered(animation(scene()), format="gif")
    assert len(rendered(source, Resize(scale=0.5))) < 0.5 * len(source)
    assert len(rendered(source)) <= 1.05 * len(source)


def test_a_gif_keeps_the_palette_of_its_source() -> None:
    """A drawing in 64 colors, whose edges get further colors when it is scaled down."""
    flat = [frame.quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB") for frame in scene()]
    sheet = Image.new("RGB", (SIZE[0], SIZE[1] * len(flat)))
    for number, frame in enumerate(flat):
        sheet.paste(frame, (0, SIZE[1] * number))
    palette = sheet.quantize(128, Image.Quantize.MEDIANCUT)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in flat]
    data = animation(indexed, "GIF")
    table = Image.open(BytesIO(data)).global_palette.palette  # type: ignore[attr-defined]
    colors = {tuple(table[place : place + 3]) for place in range(0, len(table), 3)}
    made = rendered(data, Resize(scale=0.5))
    found = {pixel[:3] for frame in frames_of(made) for _, pixel in frame.getcolors(99_999) or ()}  # type: ignore[index]
    assert found <= colors
    assert len(made) < len(data)


def test_colors_that_the_palette_does_not_have_get_another() -> None:
    gray = [index % 256 for index in range(160 * 120)]
    levels = bytes(value for level in range(256) for value in (level, level, level))
    data = gif((160, 120), [gif_frame((0, 0, 160, 120), gray)], levels, 0)
    [frame] = frames_of(rendered(data, OPERATIONS["duotone"](dark="midnightblue", light="orange"), Resize(width=80)))
    expected = OPERATIONS["duotone"](dark="midnightblue", light="orange").apply(
        Image.frombytes("L", (160, 120), bytes(gray))
    )
    assert psnr(frame, Resize(width=80).apply(expected)) > 30


def test_scenes_that_share_no_colors_get_palettes_of_their_own() -> None:
    scenes = [Image.open(PHOTOGRAPHS / name).resize(SIZE).convert("RGB") for name in ("cat.jpg", "cat.jpg")]
    scenes[1] = ImageChops.invert(scenes[1].transpose(Image.Transpose.ROTATE_180))
    found = frames_of(rendered(animation(scenes), format="gif"))
    alone = [frames_of(rendered(encoded(frame, "PNG"), format="gif"))[0] for frame in scenes]
    for frame, single, original in zip(found, alone, scenes, strict=True):
        assert psnr(frame, original) > psnr(single, original) - 3.5
