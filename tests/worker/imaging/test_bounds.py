"""Bounds of numbers and texts in a request, of the answer to a bad one, and of the work that an output may take."""

from collections.abc import Iterator

import msgspec
import pytest
from msgspec import inspect
from PIL import Image

from app.routes.event_streams import EventsQuery
from app.routes.task_lists import TasksQuery
from tests.conftest import Client, eventually, problem_fields
from tests.support.pictures import drawing, encoded
from tests.support.rendering import LIMITS, one, upload
from worker.imaging.encoding import _avif_speed
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import MAX_PROBLEMS, InvalidParameters, parse_plan
from worker.imaging.pipeline import Stopped
from worker.imaging.plan import Output
from worker.imaging.render import render
from worker.operations import OPERATIONS
from worker.validation.fields import convert_fields

STRUCTS: list[type[msgspec.Struct]] = [Output, TasksQuery, EventsQuery, *OPERATIONS.values()]


def simple_types(info: inspect.Type) -> Iterator[inspect.Type]:
    """Yield the alternatives of a type."""
    match info:
        case inspect.Metadata(type=inner):
            yield from simple_types(inner)
        case inspect.UnionType(types=types):
            for each in types:
                yield from simple_types(each)
        case _:
            yield info


def typed() -> Iterator[tuple[type[msgspec.Struct], str, inspect.Type]]:
    for kind in STRUCTS:
        for field in msgspec.structs.fields(kind):
            for each in simple_types(inspect.type_info(field.type)):
                yield kind, field.name, each


def test_every_whole_number_of_a_client_has_bounds() -> None:
    """`frame` and `max_bytes` took 4,300 digits."""
    unbounded = [(kind, name) for kind, name, each in typed() if isinstance(each, inspect.IntType) and each.le is None]
    assert unbounded == []
    fields = {"operation": "grayscale", "frame": "9" * 4300, "max_bytes": "9" * 4300}
    with pytest.raises(InvalidParameters) as refused:
        parse_plan(fields, InputFormat.JPEG, 20)
    assert [problem.field for problem in refused.value.problems] == ["max_bytes", "frame"]
    assert all("to 2147483647; got '99999" in problem.message for problem in refused.value.problems)


def test_a_newline_at_the_end_of_a_text_is_refused_where_there_is_a_pattern() -> None:
    """`$` matches before it: "16:9" and a newline was a ratio."""
    with_pattern = [
        (kind, name) for kind, name, each in typed() if isinstance(each, inspect.StrType) and each.pattern is not None
    ]
    assert len(with_pattern) >= 3
    for kind, name in with_pattern:
        for text in ("16:9", "red", "#fff", "1_3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e"):
            for is_text in (False, True):
                _, problems = convert_fields(kind, {name: text + "\n"}, is_text=is_text)
                assert [problem.field for problem in problems] == [name]


def test_null_is_refused_in_every_parameter() -> None:
    """A color that was null was a 500."""
    for kind, name, _ in typed():
        _, problems = convert_fields(kind, {name: None}, is_text=False)
        assert [problem.field for problem in problems] == [name]


async def test_a_bad_request_of_many_fields_gets_a_short_answer(api: Client) -> None:
    """64 KB of unknown names made 1.7 MB of problems."""
    names = ",".join(f'"k{number}":1' for number in range(6000))
    refused = await api.post(
        "/process-image/",
        files={"file": encoded(drawing(), "PNG")},
        data={"operations": f'[{{"operation":"invert",{names}}}]'},
    )
    assert len(refused.content) < 60_000
    problems = problem_fields(refused)
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[""] == "and 5,900 more problems"
    long = await api.post("/process-image/", files={"file": encoded(drawing(), "PNG")}, data={"x" * 60_000: "1"})
    assert len(long.content) < 3000


def test_a_search_for_max_bytes_stops_with_its_task() -> None:
    """Up to eight encodings went on after a time-out, and a cancelled task ended as FAILURE after 54 s."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 5  # after those before decoding and encoding, and before two of the attempts

    data = encoded(drawing((640, 480)), "PNG")
    with pytest.raises(Stopped):
        render(upload(data), one([], format="jpeg", max_bytes=3000), LIMITS, should_stop=should_stop)
    assert asked == 5


@pytest.mark.parametrize(("effort", "speeds"), [(None, [7, 7, 7]), (1, [10, 10, 10]), (9, [4, 6, 7])])
def test_the_effort_of_a_large_avif_is_bounded(effort: int | None, speeds: list[int]) -> None:
    """Effort 9 took 48 s of CPU time for 3 MP."""
    sizes = ((1000, 1000), (2000, 2000), (5000, 5000))
    assert [_avif_speed([Image.new("L", size)], effort) for size in sizes] == speeds


async def test_a_task_that_is_cancelled_in_a_search_for_max_bytes_is_revoked(service: Client) -> None:
    data = encoded(drawing((1600, 1200)), "JPEG")
    task_id = await service.upload(data, operation="blur", format="avif", effort="9", max_bytes="10")
    await eventually(lambda: is_started(service, task_id))
    assert (await service.post(f"/tasks/{task_id}/cancel")).status_code == 202
    assert (await service.ended(task_id))["status"] == "REVOKED"


async def is_started(service: Client, task_id: str) -> bool:
    return bool((await service.get(f"/task-status/{task_id}")).json()["status"] == "STARTED")
