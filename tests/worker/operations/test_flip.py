import pytest
from PIL import Image

from tests.support.pictures import drawing
from tests.support.rendering import transform
from worker.operations.base import WORKING_MODES
from worker.operations.flip import Flip

LIMIT = 1_000_000


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize(
    ("direction", "corners"),
    [("horizontal", (1, 0, 3, 2)), ("vertical", (2, 3, 0, 1)), ("both", (3, 2, 1, 0))],
)
def test_every_pixel_goes_to_the_mirrored_place(mode: str, direction: str, corners: tuple[int, ...]) -> None:
    image = drawing((31, 20), mode)
    places = [(3, 5), (27, 5), (3, 14), (27, 14)]
    before = [image.getpixel(place) for place in places]
    flipped = transform(image, [Flip(direction=direction)], LIMIT)  # type: ignore[arg-type]
    assert (flipped.mode, flipped.size) == (mode, (31, 20))
    assert [flipped.getpixel(place) for place in places] == [before[corner] for corner in corners]
    assert transform(flipped, [Flip(direction=direction)], LIMIT).tobytes() == image.tobytes()  # type: ignore[arg-type]


def test_without_a_direction_left_and_right_are_swapped() -> None:
    image = Image.frombytes("L", (2, 1), bytes([10, 200]))
    assert transform(image, [Flip()], LIMIT).tobytes() == bytes([200, 10])


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_a_single_line_can_be_flipped(mode: str, size: tuple[int, int]) -> None:
    assert transform(drawing(size, mode), [Flip(direction="both")], LIMIT).size == size
