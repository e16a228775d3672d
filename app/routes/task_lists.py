"""`GET /tasks`, the tasks, newest first, page by page; and `POST /tasks/retry`, which queues a page of them again."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, Meta
from starlette.responses import Response

from app.http.description import Answer, Header, describe
from app.http.exceptions import AdminOnly
from app.http.parameters import read_query
from app.http.responses import json_response
from app.keys import NAME, Caller
from app.openapi.examples import RECORDS
from app.state import Request
from app.tasks.bulk_retry import retry_all
from app.tasks.views import TaskRecord, task_record
from worker.operations import OPERATIONS
from worker.storage import StorageUnavailable
from worker.tasks.capacity import QueueFull
from worker.tasks.listing import CURSOR, Page, Selection, page
from worker.tasks.model import Status
from worker.tasks.queue_state import check_capacity

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

    status: Annotated[
        tuple[Status, ...], Meta(min_length=1, description="Those in any of these states, with commas.")
    ] = ()
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


RETRIED = {Status.FAILURE, Status.REVOKED}
"""Those that can be queued again."""


def _check_retried(statuses: tuple[Status, ...]) -> None:
    if not set(statuses) <= RETRIED:
        raise ValueError(statuses)


class RetryQuery(TasksQuery, frozen=True, kw_only=True):
    """Which tasks are to be queued again; only those that ended without a result can be."""

    status: Annotated[
        tuple[Annotated[Status, Meta(extra_json_schema={"enum": sorted(RETRIED)})], ...],
        Meta(
            min_length=1,
            description="Those in any of these states, with commas.",
            extra={"allowed": "FAILURE, REVOKED or FAILURE,REVOKED", "check": _check_retried},
        ),
    ]


class Retried(msgspec.Struct, frozen=True):
    """What became of the tasks of a page."""

    retried: int
    upload_gone: Annotated[int, Meta(description="Cannot be tried again: their uploads are gone.")]
    moved_on: Annotated[int, Meta(description="Somebody else has queued or removed them meanwhile.")]
    queue_full: Annotated[int, Meta(description="Found no room.")]
    next: Annotated[str, Meta(description="Path and query to POST to for the next page; null after the last.")] | None


class TaskPage(msgspec.Struct, frozen=True):
    """Some tasks, the newest first."""

    tasks: list[TaskRecord]
    next: Annotated[str, Meta(description="Path and query of the next page; null after the last.")] | None


@describe(
    "Tasks",
    Answer(
        200,
        "A page.",
        TaskPage,
        {"page": TaskPage([msgspec.structs.replace(RECORDS["done"], position=UNSET, webhook=UNSET)], None)},
        headers=(
            Header("Link", "The next page (RFC 8288), if there is one.", '</tasks?limit=50&cursor=1>; rel="next"'),
        ),
    ),
    query=TasksQuery,
)
async def list_tasks(request: Request) -> Response:
    """List the caller's tasks by their creation, the newest first; with one `status` alone, by when they came into it.

    A page may hold fewer than `limit`, and none, with more to come: `next`, also as a link (RFC 8288), says where.
    """
    found, following = await _page(request, _own(read_query(request, TasksQuery), request.state["caller"]))
    headers = {} if following is None else {"Link": f'<{following}>; rel="next"'}
    return json_response(TaskPage([task_record(task) for task in found.tasks], following), headers=headers)


@describe(
    "Tasks",
    Answer(200, "How many of the page's tasks came to what.", Retried, {"page": Retried(48, 2, 0, 0, None)}),
    problems=(QueueFull, StorageUnavailable),
    query=RetryQuery,
)
async def retry_tasks(request: Request) -> Response:
    """Queue the failed or revoked tasks of a page again; `next` is the request for those of the page after it.

    Tasks that cannot be queued again are counted, and stay as they are. 429 when the queue is full before it begins.
    """
    query = _own(read_query(request, RetryQuery), request.state["caller"])
    await check_capacity(request.state["redis"], request.state["settings"].queue_limit)
    found, following = await _page(request, query)
    return json_response(
        Retried(
            **await retry_all(request.state["tasks"], request.state["storage"], request.state["caller"], found.tasks),
            next=following,
        )
    )


async def _page(request: Request, query: TasksQuery) -> tuple[Page, str | None]:
    """Return a page of tasks, and the path and query by which this very request goes on to the next."""
    found = await page(request.state["redis"], query.selection, query.limit, query.cursor)
    if found.next_cursor is None:
        return found, None
    return found, f"{request.url.path}?{urlencode({**request.query_params, 'cursor': found.next_cursor})}"


def _own(query: TasksQuery, caller: Caller) -> TasksQuery:
    """Narrow a query to the tasks that are the caller's to see; raise `AdminOnly` if it is for others."""
    if caller.is_admin:
        return query
    if query.owner not in (None, caller.name):
        raise AdminOnly
    return msgspec.structs.replace(query, owner=caller.name)
