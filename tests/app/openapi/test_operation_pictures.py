"""The pictures of operations on `/docs` are what the operations give now."""

import msgspec
import pytest

from app.http.responses import STATIC
from app.openapi.operation_sections import PICTURE_SIZE, PICTURES
from tests.conftest import Client
from tests.pictures_of_operations import MAX_BYTES, expected
from tests.support.pictures import decoded, mean_difference
from worker.operations import OPERATIONS

FILES = {path.name: path.read_bytes() for path in (STATIC / PICTURES).iterdir()}
EXPECTED = expected()

TOLERANCE = 3.0
"""Mean difference, of 255: encoders and resampling differ a little from machine to machine."""

AGAIN = "write them again with `python -m tests.pictures_of_operations`"


def test_each_operation_has_a_picture_and_all_are_small() -> None:
    assert set(FILES) == set(EXPECTED), AGAIN
    assert {name for name, kind in OPERATIONS.items() if not kind.is_report} <= {name[:-5] for name in FILES}
    assert sum(map(len, FILES.values())) < MAX_BYTES


@pytest.mark.parametrize("name", EXPECTED)
def test_a_picture_is_what_the_operation_gives(name: str) -> None:
    if name.endswith(".json"):
        assert msgspec.json.decode(FILES[name]) == msgspec.json.decode(EXPECTED[name]), AGAIN
        return
    stored, now = decoded(FILES[name]), decoded(EXPECTED[name])
    assert stored.size == now.size == PICTURE_SIZE
    assert mean_difference(stored, now) < TOLERANCE, AGAIN


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("grayscale", "inspect")])
def test_a_picture_shows_a_difference(name: str) -> None:
    before = FILES.get(f"before-{name}.webp", FILES["before.webp"])
    assert mean_difference(decoded(before), decoded(FILES[f"{name}.webp"])) > TOLERANCE


async def test_pictures_wait_until_they_are_seen_and_move_nothing(api: Client) -> None:
    text = (await api.get("/docs")).text
    images = [part.partition(">")[0] for part in text.split("<img ")[1:]]
    assert len(images) == 2 * len(OPERATIONS) - 1  # a report has no picture of its result
    for image in images:
        assert 'loading="lazy"' in image
        assert f'width="{PICTURE_SIZE[0]}" height="{PICTURE_SIZE[1]}"' in image
