"""`GET /failures`: the failed tasks in groups, by code, message and operation."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.parameters import read_query
from app.http.responses import json_response
from app.openapi.examples import TASK_ID
from app.routes.monitoring import NO_STORE, RangeQuery
from app.state import Request
from worker.errors import CAUSES, ErrorCode
from worker.tasks.lists.failures import Group, grouped
from worker.tasks.lists.listing import MOST_EXAMINED, Selection, page
from worker.tasks.status import Status, TaskId, Time
from worker.telemetry.clock import now_ms, rfc3339

MOST_GROUPS = 50

MOST_FAILURES = MOST_EXAMINED
"""Failed tasks that are read for one answer."""


class FailureGroup(Struct, frozen=True, kw_only=True):
    """Failed tasks of the same kind."""

    id: Annotated[str, Meta(description="The value for `failure` in lists, retries and deletions of tasks.")]
    error_code: ErrorCode | None
    message: Annotated[str, Meta(description="The error with # in place of numbers and ids.")]
    operation: (
        Annotated[
            str,
            Meta(
                description="The operation at which the tasks failed, or all of theirs if the code does not say which."
            ),
        ]
        | None
    )
    retry_helps: Annotated[bool, Meta(description="Whether the same tasks may succeed if they are retried.")]
    count: int
    first_at: Time
    last_at: Time
    newest: Annotated[TaskId, Meta(description="The id of the task that failed last.")]
    example: Annotated[str, Meta(description="The error of that task.")]
    history: Annotated[list[int], Meta(description="The failures in each step of the range, oldest first.")]


class Failures(Struct, frozen=True, kw_only=True):
    """The failures of a range of time that still have their tasks."""

    since: Annotated[Time, Meta(description="The start of the range, or of what was read of it.")]
    step_s: Annotated[int, Meta(description="The length of a step of the histories in seconds.")]
    count: Annotated[int, Meta(description="The number of failed tasks.")]
    complete: Annotated[bool, Meta(description=f"False if only the last {MOST_FAILURES:,} failures were read.")]
    groups: Annotated[list[FailureGroup], Meta(description=f"The {MOST_GROUPS} largest groups, the largest first.")]


_EXAMPLE = FailureGroup(
    id="3f6a0c1d9e42",
    error_code=ErrorCode.TOO_LARGE,
    message="# x # pixels are too many; an image may have # pixels in total",
    operation="resize",
    retry_helps=False,
    count=23,
    first_at="2026-03-01T12:00:00.000Z",
    last_at="2026-03-01T12:41:07.000Z",
    newest=TASK_ID,
    example="9000 x 9000 pixels are too many; an image may have 64,000,000 pixels in total",
    history=[20, 3],
)


@describe(
    "Monitoring",
    Answer(
        200,
        "The groups.",
        Failures,
        {"one": Failures(since="2026-03-01T11:42:00.000Z", step_s=60, count=23, complete=True, groups=[_EXAMPLE])},
    ),
    query=RangeQuery,
)
async def failures(request: Request) -> Response:
    """Return why tasks of the caller failed in the last hour or day, in groups by code, message and operation.

    A task that was retried or deleted is no longer among them.
    """
    span, caller = read_query(request, RangeQuery).span, request.state["caller"]
    step_ms = span.length_s * 1000
    from_ms = (span.number(now_ms()) - span.count + 1) * step_ms
    selection = Selection((Status.FAILURE,), owner=None if caller.is_admin else caller.name, from_ms=from_ms)
    found = await page(request.state["redis"], selection, MOST_FAILURES)
    groups = grouped(found.tasks, from_ms, step_ms, span.count)
    is_complete = found.next_cursor is None
    body = Failures(
        since=rfc3339(from_ms if is_complete or found.oldest_ms is None else found.oldest_ms),
        step_s=span.length_s,
        count=len(found.tasks),
        complete=is_complete,
        groups=list(map(_view, groups[:MOST_GROUPS])),
    )
    return json_response(body, headers=NO_STORE)


def _view(group: Group) -> FailureGroup:
    kind = group.kind
    return FailureGroup(
        id=kind.id,
        error_code=kind.code,
        message=kind.message,
        operation=kind.operation,
        retry_helps=kind.code is None or CAUSES[kind.code].retry_helps,
        count=group.count,
        first_at=rfc3339(group.first_ms),
        last_at=rfc3339(group.last_ms),
        newest=group.newest.id,
        example=group.newest.error or "",
        history=group.history,
    )
