"""`GET /tasks/{id}/timeline`: the events of a task that are still in the event stream."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.responses import json_response
from app.openapi.examples import TASK_ID
from app.routes.event_streams import EventName, name_of
from app.state import Request, get_own_task
from worker.tasks.events import Event, events_of_task
from worker.tasks.status import Status, TaskId, TaskNotFound, Time
from worker.telemetry.clock import rfc3339


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a task: a new state, a completed operation or a stored output."""

    event: EventName
    at: Time
    attempt: int
    progress: Annotated[float, Meta(description="From 0 to 1.")] | UnsetType = UNSET
    operation: str | UnsetType = UNSET
    path: Annotated[str, Meta(description="The path of the output.")] | UnsetType = UNSET
    variant: str | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class Timeline(msgspec.Struct, frozen=True):
    """The events of a task, oldest first."""

    task_id: TaskId
    events: list[Entry]


@describe(
    "Tasks",
    Answer(
        200,
        "The timeline.",
        Timeline,
        {
            "begun": Timeline(
                TASK_ID,
                [
                    Entry(event="queued", at="2026-03-01T12:00:00.000Z", attempt=0, status=Status.PENDING),
                    Entry(event="started", at="2026-03-01T12:00:00.012Z", attempt=1, status=Status.STARTED),
                    Entry(
                        event="operation", at="2026-03-01T12:00:00.040Z", attempt=1, progress=0.5, operation="resize"
                    ),
                ],
            )
        },
    ),
    problems=(TaskNotFound,),
)
async def timeline(request: Request) -> Response:
    """List the events of a task with their times: each time it was queued, started and ended, and all steps."""
    task = await get_own_task(request)
    events = await events_of_task(request.state["redis"], task)
    return json_response(Timeline(task.id, [entry for event in events for entry in _entries(event)]))


def _entries(event: Event) -> list[Entry]:
    at = rfc3339(event.at_ms)
    entries = [
        Entry(
            event="operation" if step.operation is not None else "output",
            at=at,
            attempt=event.attempt,
            **msgspec.to_builtins(step),
        )
        for step in event.steps
    ]
    if event.status is not None:
        entries.append(Entry(event=name_of(event.status), at=at, attempt=event.attempt, status=event.status))
    return entries
