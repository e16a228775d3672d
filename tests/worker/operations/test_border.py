import pytest

from tests.support.pictures import drawing
from tests.support.rendering import transform
from worker.errors import PictureError
from worker.operations.base import WORKING_MODES
from worker.operations.border import Border

LIMIT = 1_000_000

BLACK = {"L": 0, "LA": (0, 255), "RGB": (0, 0, 0), "RGBA": (0, 0, 0, 255), "CMYK": (255, 255, 255, 0), "I;16": 0}


@pytest.mark.parametrize("mode", WORKING_MODES)
@pytest.mark.parametrize("size", [(31, 20), (1, 1), (1, 7)])
def test_a_black_border_lies_around_the_untouched_picture(mode: str, size: tuple[int, int]) -> None:
    image = drawing(size, mode)
    width, height = size
    result = transform(image, [Border(width=3)], LIMIT)
    assert (result.mode, result.size) == (mode, (width + 6, height + 6))
    assert result.crop((3, 3, width + 3, height + 3)).tobytes() == image.tobytes()
    corners = [(0, 0), (width + 5, 0), (2, height + 5), (width + 3, 3)]
    assert [result.getpixel(corner) for corner in corners] == [BLACK[mode]] * 4


@pytest.mark.parametrize(
    ("mode", "color", "result", "pixel"),
    [
        ("L", "red", "RGB", (255, 0, 0)),
        ("L", "white", "L", 255),
        ("RGB", "#ff000080", "RGBA", (255, 0, 0, 128)),
        ("I;16", "#808080", "I;16", 0x8080),
        ("I;16", "transparent", "LA", (0, 0)),
        ("CMYK", "#ff000080", "RGBA", (255, 0, 0, 128)),
    ],
)
def test_the_border_has_the_color_that_was_asked_for(mode: str, color: str, result: str, pixel: object) -> None:
    image = transform(drawing((20, 20), mode), [Border(color=color)], LIMIT)
    assert (image.mode, image.size, image.getpixel((0, 0))) == (result, (40, 40), pixel)


def test_a_border_over_the_limit_is_refused() -> None:
    with pytest.raises(PictureError, match="pixels are too many"):
        transform(drawing((20, 20)), [Border(width=5000)], LIMIT)
