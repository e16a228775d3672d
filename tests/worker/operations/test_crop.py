"""The operation crop: boxes in pixels and of an aspect ratio, where they lie, and what cannot be."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.pictures import Size, drawing
from tests.support.rendering import transform
from worker.errors import PictureError
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations.base import WORKING_MODES, Assets
from worker.operations.crop import Crop

LIMIT = 100_000_000
RATIO = "width:height like 16:9, or a number above 0 like 1.5, each below 100000"
PHOTOGRAPHS = Path(__file__).parents[2] / "photographs"


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize(
    ("parameters", "box"),
    [
        ({"left": 20, "top": 30, "width": 50, "height": 40}, (20, 30, 70, 70)),
        ({"left": 20, "top": 30}, (20, 30, 200, 100)),
        ({"left": 20}, (20, 0, 200, 100)),
        ({"top": 30, "height": 1}, (0, 30, 200, 31)),
        ({"left": 199, "top": 99}, (199, 99, 200, 100)),
        ({"left": 0, "top": 0, "width": 200, "height": 100}, (0, 0, 200, 100)),
        ({"width": 50, "height": 40}, (75, 30, 125, 70)),
        ({"width": 51, "height": 41}, (74, 29, 125, 70)),
        ({"width": 50}, (75, 0, 125, 100)),
        ({"height": 40, "position": "south"}, (0, 60, 200, 100)),
        ({"width": 50, "height": 40, "position": "northeast"}, (150, 0, 200, 40)),
        ({"width": 50, "height": 40, "position": "west"}, (0, 30, 50, 70)),
        ({"aspect_ratio": "1:1"}, (50, 0, 150, 100)),
        ({"aspect_ratio": "1", "position": "west"}, (0, 0, 100, 100)),
        ({"aspect_ratio": "4:1"}, (0, 25, 200, 75)),
        ({"aspect_ratio": "4.0", "position": "north"}, (0, 0, 200, 50)),
        ({"aspect_ratio": "2:1"}, (0, 0, 200, 100)),
        ({"aspect_ratio": "1.91:1", "position": "east"}, (9, 0, 200, 100)),
        ({"aspect_ratio": "0.001"}, (99, 0, 100, 100)),
        ({"aspect_ratio": "99999:1", "position": "southwest"}, (0, 99, 200, 100)),
    ],
)
def test_crop_keeps_the_box_as_it_is(parameters: dict[str, Any], box: tuple[int, int, int, int], mode: str) -> None:
    image = drawing((200, 100), mode)
    crop = Crop(**parameters)
    result = transform(image, [crop], LIMIT)
    assert result.mode == mode
    assert result.size == crop.output_size(image.size) == (box[2] - box[0], box[3] - box[1])
    assert result.tobytes() == image.crop(box).tobytes()


@pytest.mark.parametrize(
    ("parameters", "reach"),
    [
        ({"left": 150, "top": 0, "width": 51, "height": 100}, "201 x 100"),
        ({"top": 60, "height": 41}, "200 x 101"),
        ({"width": 201}, "201 x 100"),
        ({"width": 65_535, "height": 65_535, "position": "smart"}, "65535 x 65535"),
        ({"left": 200}, "201 x 100"),
        ({"left": 65_535, "top": 65_535}, "65536 x 65536"),
    ],
)
def test_a_box_outside_of_the_picture_is_told(parameters: dict[str, Any], reach: str) -> None:
    message = f"the crop box extends to {reach} pixels, outside of the image, which has 200 x 100"
    with pytest.raises(PictureError, match=message):
        transform(drawing((200, 100)), [Crop(**parameters)], LIMIT)


@pytest.mark.parametrize(
    ("name", "ratio", "face"),
    [("astronaut", "9:16", (85, 55, 190, 185)), ("astronaut_tall", "16:9", (95, 55, 200, 185))],
)
def test_smart_keeps_the_face(name: str, ratio: str, face: tuple[int, int, int, int]) -> None:
    photograph = Image.open(PHOTOGRAPHS / f"{name}.jpg")
    marked = Image.new("L", photograph.size)
    marked.paste(255, face)
    crop = Crop(aspect_ratio=ratio, position="smart").prepare([photograph], Assets())
    assert crop(marked).histogram()[255] == (face[2] - face[0]) * (face[3] - face[1])


def test_all_frames_of_an_animation_are_cut_at_the_same_place() -> None:
    first, second = (Image.new("RGB", (300, 100), "grey") for _ in range(2))
    first.paste(drawing((60, 60)), (230, 20))
    second.paste(drawing((60, 60)), (10, 20))
    cut = Crop(width=100, height=80, position="smart").prepare([first, second], Assets())
    assert cut(first).getcolors(1) is None
    assert cut(second).getcolors(1) == [(8000, (128, 128, 128))]


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("position", ["center", "southeast", "smart"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 21)])
def test_the_smallest_pictures_can_be_cropped(size: Size, position: Any, mode: str) -> None:
    image = drawing(size, mode)
    for crop in (Crop(width=1, height=1, position=position), Crop(aspect_ratio="16:9", position=position), Crop()):
        assert transform(image, [crop], LIMIT).size == crop.output_size(size)


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({}, ["aspect_ratio: is missing; set it, or some of left, top, width and height"]),
        ({"position": "smart"}, ["aspect_ratio: is missing; set it, or some of left, top, width and height"]),
        (
            {"aspect_ratio": "1", "left": "5", "height": "5"},
            [
                "left: cannot be combined with aspect_ratio; set one of the two",
                "height: cannot be combined with aspect_ratio; set one of the two",
            ],
        ),
        (
            {"left": "5", "width": "5", "position": "north"},
            ["position: cannot be combined with left and top; set one of the two"],
        ),
        *[
            (
                {"aspect_ratio": text},
                [f"aspect_ratio: must be {RATIO}; got {text!r}"],
            )
            for text in ("0", "0:5", "5:0", "0.0:1", "-1", "1:", ":1", "1:2:3", "1e3", "16/9", "1 : 1", "999999", "٣")
        ],
        ({"width": "0"}, ["width: must be a whole number from 1 to 65535; got '0'"]),
        ({"left": "-1"}, ["left: must be a whole number from 0 to 65535; got '-1'"]),
    ],
)
def test_parameters_that_make_no_sense_are_problems(fields: dict[str, str], problems: list[str]) -> None:
    with pytest.raises(InvalidParameters) as caught:
        parse_plan({"operation": "crop", **fields}, InputFormat.PNG, 20)
    assert str(caught.value) == "; ".join(problems)


@pytest.mark.parametrize("text", ["16:9", "1.5", "0.5:1", "1.91:1", "007:1", "0.0001:99999.9999"])
def test_ratios_that_are_read(text: str) -> None:
    parse_plan({"operation": "crop", "aspect_ratio": text, "position": "smart"}, InputFormat.PNG, 20)
