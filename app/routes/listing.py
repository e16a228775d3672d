"""`GET /tasks`: the tasks, newest first, page by page."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from starlette.responses import Response

from app.errors import AdminOnly
from app.keys import NAME, Caller
from app.query import read_query
from app.responses import json_response
from app.state import Request
from app.views import record_view
from worker.listing import CURSOR, Selection, page
from worker.operations import OPERATIONS
from worker.states import Status

if TYPE_CHECKING:
    OperationName = str
else:
    from typing import Literal

    OperationName = Literal[tuple(OPERATIONS)]


def _milliseconds(text: str) -> int:
    """Read an RFC 3339 time; raises `ValueError`, also for one that does not say its zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(text)
    return round(time.timestamp() * 1000)


Time = Annotated[
    str,
    Meta(
        extra_json_schema={"format": "date-time"},
        extra={"allowed": "a time like 2026-03-01T12:00:00Z (RFC 3339)", "check": _milliseconds},
    ),
]


class TasksQuery(msgspec.Struct, frozen=True):
    """Which tasks, and how many at once."""

    status: Annotated[tuple[Status, ...], Meta(description="Those in any of these states, with commas.")] = ()
    operation: Annotated[OperationName, Meta(description="Those with this operation.")] | None = None
    owner: Annotated[str, Meta(pattern=NAME, description="Those made with the key of this name.")] | None = None
    since: Annotated[Time, Meta(description="Those of this time or later.")] | None = None
    before: Annotated[Time, Meta(description="Those before this time.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Most tasks on a page.")] = 50
    cursor: Annotated[str, Meta(pattern=CURSOR, description="Where to go on: from the page before.")] | None = None

    @property
    def selection(self) -> Selection:
        return Selection(
            self.status,
            self.operation,
            self.owner,
            None if self.since is None else _milliseconds(self.since),
            None if self.before is None else _milliseconds(self.before),
        )


async def list_tasks(request: Request) -> Response:
    """List the caller's tasks by their creation, the newest first; with one `status` alone, by when they came into it.

    A page may hold fewer than `limit`, and none, with more to come: `next`, also as a link (RFC 8288), says where.
    """
    query = _own(read_query(request, TasksQuery), request.state["caller"])
    found = await page(request.state["redis"], query.selection, query.limit, query.cursor)
    following, headers = None, {}
    if found.next_cursor is not None:
        following = f"/tasks?{urlencode({**request.query_params, 'cursor': found.next_cursor})}"
        headers = {"Link": f'<{following}>; rel="next"'}
    return json_response({"tasks": [record_view(task) for task in found.tasks], "next": following}, headers=headers)


def _own(query: TasksQuery, caller: Caller) -> TasksQuery:
    """Narrow a query to the tasks that are the caller's to see; raise `AdminOnly` if it is for others."""
    if caller.is_admin:
        return query
    if query.owner not in (None, caller.name):
        raise AdminOnly
    return msgspec.structs.replace(query, owner=caller.name)
