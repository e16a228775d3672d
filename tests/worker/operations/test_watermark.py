from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFont

from tests.support.pictures import drawing, mean_difference
from tests.support.rendering import transform
from worker.errors import PictureError
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations.base import WORKING_MODES, Assets
from worker.operations.watermark import Watermark

LIMIT = 10_000_000

COLOURS = ("L", "LA", "RGB", "RGBA")

Bounds = tuple[int, int, int, int]


def lettered(image: Image.Image, text: str = "Darkroom", **parameters: Any) -> Image.Image:
    return transform(image, [Watermark(text=text, **parameters)], LIMIT)


def levels(channel: Image.Image) -> list[float]:
    return [value for value in channel.get_flattened_data() if not isinstance(value, tuple)]


def overlaid(image: Image.Image, overlay: Image.Image, **parameters: Any) -> Image.Image:
    return Watermark(**parameters).prepare([image], Assets(overlay=overlay))(image)


def changed(before: Image.Image, after: Image.Image) -> Bounds | None:
    """The box around all pixels that look different."""
    pixels = [
        (index % before.width, index // before.width)
        for index, (one, other) in enumerate(
            zip(before.convert("RGBA").get_flattened_data(), after.convert("RGBA").get_flattened_data(), strict=True)
        )
        if one != other
    ]
    if not pixels:
        return None
    columns, rows = zip(*pixels, strict=True)
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


@pytest.mark.parametrize("mode", WORKING_MODES)
def test_text_lies_in_the_lower_right_corner_and_nothing_else_changes(mode: str) -> None:
    image = drawing((200, 150), mode)
    result = lettered(image)
    assert (result.mode, result.size) == ({"CMYK": "RGB", "I;16": "L"}.get(mode, mode), (200, 150))
    if mode in COLOURS:
        box = changed(image, result)
        assert box is not None
        assert box[0] > 120
        assert box[1] > 120
        assert 193 <= box[2] <= 197
        assert 140 <= box[3] <= 147


@pytest.mark.parametrize("ground", ["white", "black", "gray"])
@pytest.mark.parametrize("color", ["white", "black", "gray", "red"])
def test_text_can_be_seen_on_every_ground(ground: str, color: str) -> None:
    result = lettered(Image.new("RGB", (200, 100), ground), size=20, color=color)
    contrasts = [max(channel) - min(channel) for channel in map(levels, result.split())]
    assert max(contrasts) > 60


@pytest.mark.parametrize(
    ("mode", "color", "result"),
    [("L", "white", "L"), ("L", "red", "RGB"), ("LA", "red", "RGBA"), ("RGB", "#ffffff80", "RGB")],
)
def test_the_picture_gets_colors_only_when_the_text_has_some(mode: str, color: str, result: str) -> None:
    assert lettered(drawing((200, 150), mode), color=color).mode == result


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_the_text_is_laid_over_transparency_without_fringes(mode: str) -> None:
    image = Image.new(mode, (200, 100))
    result = lettered(image, size=40, color="black", opacity=1.0, position="center")
    assert result.getpixel((0, 0)) == image.getpixel((0, 0))
    alphas = result.getchannel("A").get_flattened_data()
    assert max(value for value in alphas if isinstance(value, int)) == 255
    on_white, on_grey = (Image.new("RGBA", (200, 100), ground) for ground in ("white", "#808080"))
    for paper in (on_white, on_grey):
        direct = lettered(paper, size=40, color="black", opacity=1.0, position="center")
        paper.alpha_composite(result.convert("RGBA"))
        assert mean_difference(direct, paper) < 0.1


def test_opacity_is_how_much_of_the_ground_it_hides() -> None:
    white = Image.new("L", (10, 10), 255)
    for opacity, expected in [(1.0, 255), (0.5, 128), (0.2, 51)]:
        result = overlaid(Image.new("L", (40, 40)), white, opacity=opacity, scale=0.5, position="center")
        assert result.getpixel((20, 20)) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("mode", COLOURS)
@pytest.mark.parametrize("overlay_mode", Watermark.modes)
def test_an_overlay_of_any_mode_lies_on_a_picture_of_any_mode(mode: str, overlay_mode: str) -> None:
    image = drawing((100, 80), mode)
    result = overlaid(image, drawing((50, 50), overlay_mode), margin=0)
    has_colors = overlay_mode in ("RGB", "RGBA") or mode in ("RGB", "RGBA")
    has_alpha = mode in ("LA", "RGBA")
    assert result.mode == {
        (False, False): "L", (False, True): "LA", (True, False): "RGB", (True, True): "RGBA",
    }[has_colors, has_alpha]  # fmt: skip
    box = changed(image, result)
    assert box is not None
    assert box[2:] == (100, 80)
    assert box[:2] in [(75, 55), (87, 55), (75, 67), (87, 67), (88, 55)]


@pytest.mark.parametrize(
    ("overlay", "parameters", "expected"),
    [
        ((50, 50), {}, (72, 52, 97, 77)),
        ((50, 50), {"position": "northwest"}, (2, 2, 27, 27)),
        ((50, 25), {"position": "center", "scale": 0.5}, (25, 27, 75, 52)),
        ((50, 50), {"position": "southwest", "margin": 10}, (10, 45, 35, 70)),
        ((10, 5), {"position": "north", "scale": 1.0, "margin": 0}, (0, 0, 100, 50)),
        ((50, 100), {"position": "east", "scale": 1.0, "margin": 0}, (60, 0, 100, 80)),
        ((50, 25), {"position": "northwest", "margin": 0, "angle": 90}, (0, 0, 12, 25)),
    ],
)
def test_an_overlay_keeps_its_proportions_and_its_place(
    overlay: tuple[int, int], parameters: dict[str, Any], expected: Bounds
) -> None:
    image = Image.new("RGB", (100, 80))
    box = changed(image, overlaid(image, Image.new("RGB", overlay, "white"), **parameters))
    assert box is not None
    assert box == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("angle", [-360, -45, 10, 45, 90, 200.5, 360])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 21)])
def test_a_turned_overlay_stays_within_the_smallest_pictures(size: tuple[int, int], angle: float) -> None:
    result = overlaid(Image.new("RGB", size), Image.new("RGB", (40, 20), "white"), angle=angle, scale=1.0, margin=0)
    assert result.size == size
    assert changed(Image.new("RGB", size), result) is not None


def test_turned_text_is_turned_clockwise_and_fits() -> None:
    image = Image.new("L", (300, 300))
    flat = changed(image, lettered(image, size=30, position="center"))
    upright = changed(image, lettered(image, size=30, position="center", angle=90))
    assert flat is not None
    assert upright is not None
    assert upright[2] - upright[0] == pytest.approx(flat[3] - flat[1], abs=1)
    assert upright[3] - upright[1] == pytest.approx(flat[2] - flat[0], abs=1)
    fallen = lettered(image, size=30, position="center", angle=45)
    assert fallen.crop((190, 190, 210, 210)).getextrema() != (0, 0)
    assert fallen.crop((190, 90, 210, 110)).getextrema() == (0, 0)


def test_tiles_repeat_the_stamp_all_over_the_picture() -> None:
    image = Image.new("L", (100, 70))
    result = overlaid(image, Image.new("L", (8, 8), 255), tile=True, scale=0.1, margin=6, opacity=1.0)
    for row in range(70):
        for column in range(100):
            inside = 3 <= column % 16 < 13 and 3 <= row % 16 < 13
            assert result.getpixel((column, row)) == (255 if inside else 0)


def test_text_can_be_tiled() -> None:
    image = Image.new("L", (300, 200))
    box = changed(image, lettered(image, tile=True, angle=30, size=12))
    assert box is not None
    assert box[2] - box[0] > 280
    assert box[3] - box[1] > 180


@pytest.mark.parametrize("size", [(1000, 800), (300, 200), (120, 90)])
def test_without_a_size_the_text_suits_the_picture(size: tuple[int, int]) -> None:
    image = Image.new("L", size)
    box = changed(image, lettered(image, "Copyright"))
    assert box is not None
    assert box[3] - box[1] == pytest.approx(max(6, min(size) / 20), rel=0.5)


def test_a_long_text_without_a_size_becomes_as_small_as_it_must() -> None:
    image = Image.new("L", (600, 600))
    box = changed(image, lettered(image, "fifty characters of text that is too long by half "))
    assert box is not None
    assert box[0] >= 14
    assert box[2] - box[0] > 500


@pytest.mark.parametrize(
    ("size", "parameters", "message"),
    [
        ((1, 1), {"text": "Darkroom"}, "the text does not fit into 1 x 1 pixels"),
        ((100, 90), {"text": "Darkroom", "size": 60}, "the text needs .* pixels, and there are 96 x 86; choose"),
        ((100, 90), {"text": "Darkroom", "margin": 45}, "a margin of 45 pixels leaves no space in 100 x 90 pixels"),
        ((100, 90), {"text": "caf\u00e9"}, "font Aileron does not have \u00e9;"),
        ((100, 90), {"text": "a\u200b"}, r"font Aileron does not have U\+200B;"),
        ((100, 90), {}, "watermark needs text or an overlay"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_an_error(size: tuple[int, int], parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(PictureError, match=message):
        transform(drawing(size), [Watermark(**parameters)], LIMIT)


def test_another_font_can_be_given(tmp_path: Path) -> None:
    font = ImageFont.load_default(10)
    assert isinstance(font, ImageFont.FreeTypeFont)
    path = tmp_path / "font.ttf"
    path.write_bytes(font.font_bytes)
    image = Image.new("L", (200, 100))
    given = Watermark(text="Darkroom").prepare([image], Assets(font_path=str(path)))(image)
    # Its letters may be set a little closer: HarfBuzz lays them out where there is a file.
    assert changed(image, given) == pytest.approx(changed(image, lettered(image)), abs=3)


def test_every_frame_of_an_animation_gets_the_same_stamp() -> None:
    frames = [Image.new("L", (100, 80), shade) for shade in (0, 0, 90)]
    mark = Watermark(text="Darkroom").prepare(frames, Assets())
    first, second, third = (mark(frame) for frame in frames)
    assert first.tobytes() == second.tobytes() != third.tobytes()
    assert third.getpixel((0, 0)) == 90


def test_only_without_text_an_overlay_is_needed() -> None:
    assert Watermark().uses_overlay
    assert not Watermark(text="Darkroom").uses_overlay


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": ""}, "text: must be one line of 1 to 200 characters, not only spaces; got ''"),
        ({"text": "  "}, "text: must be one line of 1 to 200 characters, not only spaces; got '  '"),
        ({"text": "two\nlines"}, "text: must be one line of 1 to 200 characters"),
        ({"text": "a line\n"}, "text: must be one line of 1 to 200 characters"),
        ({"text": "\x1b[1m"}, "text: must be one line of 1 to 200 characters"),
        ({"text": "x" * 201}, "text: must be one line of 1 to 200 characters"),
        ({"size": "20", "color": "red"}, "size: needs text.*color: needs text"),
        ({"text": "x", "scale": "0.5"}, "scale: needs an overlay"),
        ({"text": "x", "color": "transparent"}, "color: must not be transparent"),
        ({"text": "x", "tile": "true", "position": "north"}, "position: cannot be combined with tile"),
        ({"text": "x", "opacity": "0"}, "opacity: must be .*; got '0'"),
    ],
)
def test_parameters_that_make_no_sense_are_named(fields: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        parse_plan({"operation": "watermark", **fields}, InputFormat.PNG, 20)
