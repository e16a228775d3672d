"""`GET /tasks/{id}/timeline`: what has happened to a task, as far back as the log of events goes."""

from typing import Any

import msgspec
from starlette.responses import Response

from app.access import own_task
from app.responses import json_response
from app.routes.events import name_of
from app.state import Request
from app.views import timestamp
from worker.events import Event, between

CLOCKS_DIFFER_MS = 5_000
"""The log has Redis' time, a task the time of the machines that made and ended it."""


async def timeline(request: Request) -> Response:
    """List every time that a task was queued, begun and ended, and the steps in between, with their times."""
    task = await own_task(request)
    until_ms = None if task.ended_ms is None else task.ended_ms + CLOCKS_DIFFER_MS
    found = await between(request.state["redis"], task.id, task.created_ms - CLOCKS_DIFFER_MS, until_ms)
    return json_response({"task_id": task.id, "events": [entry for event in found for entry in _entries(event)]})


def _entries(event: Event) -> list[dict[str, Any]]:
    common = {"at": timestamp(event.at_ms), "attempt": event.attempt}
    entries = [
        {"event": "operation" if step.operation is not None else "output", **common, **msgspec.to_builtins(step)}
        for step in event.steps
    ]
    if event.status is not None:
        entries.append({"event": name_of(event.status), **common, "status": event.status})
    return entries
