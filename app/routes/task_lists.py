"""`GET /tasks` lists tasks in pages, newest first; `POST /tasks/retry` retries a page of them."""

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
from app.keys import Caller
from app.openapi.examples import RECORDS
from app.state import Request
from app.tasks.bulk_retry import retry_all
from app.tasks.views import TaskRecord, task_record
from worker.operations import OPERATIONS
from worker.storage import StorageUnavailable
from worker.tasks.listing import CURSOR, Page, Selection, page
from worker.tasks.queue_state import QueueFull, check_capacity
from worker.tasks.schedule import ALLOWED_NAME, NAME
from worker.tasks.status import Status

if TYPE_CHECKING:
    OperationName = str
else:
    from typing import Literal

    OperationName = Literal[tuple(OPERATIONS)]


BATCH_ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def _milliseconds(text: str) -> int:
    """Parse an RFC 3339 time; raise `ValueError`, also for a time without a zone."""
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
    """The query of a listing."""

    status: Annotated[
        tuple[Status, ...], Meta(min_length=1, description="Only tasks in these states, comma-separated.")
    ] = ()
    operation: Annotated[OperationName, Meta(description="Only tasks with this operation.")] | None = None
    owner: (
        Annotated[
            str,
            Meta(
                pattern=NAME,
                description="Only tasks created with the API key of this name.",
                extra={"allowed": ALLOWED_NAME},
            ),
        ]
        | None
    ) = None
    batch: (
        Annotated[
            str,
            Meta(
                pattern=BATCH_ID,
                description="Only tasks of the batch with this id.",
                extra={"allowed": "the id of a batch, of 36 characters"},
            ),
        ]
        | None
    ) = None
    since: Annotated[Time, Meta(description="Only tasks of this time or later.")] | None = None
    before: Annotated[Time, Meta(description="Only tasks before this time.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Maximum number of tasks on a page.")] = 50
    cursor: (
        Annotated[
            str,
            Meta(
                pattern=CURSOR,
                description="The position of the page, from the `next` of the previous page.",
                extra={"allowed": "the cursor in the `next` of the previous page"},
            ),
        ]
        | None
    ) = None

    @property
    def selection(self) -> Selection:
        return Selection(
            self.status,
            self.operation,
            self.owner,
            self.batch,
            None if self.since is None else _milliseconds(self.since),
            None if self.before is None else _milliseconds(self.before),
        )


RETRIED = {Status.FAILURE, Status.REVOKED}
"""The states of tasks that can be retried."""


def _check_retried(statuses: tuple[Status, ...]) -> None:
    if not set(statuses) <= RETRIED:
        raise ValueError(statuses)


class RetryQuery(TasksQuery, frozen=True, kw_only=True):
    """The query of a bulk retry, which applies only to tasks that ended without a result."""

    status: Annotated[
        tuple[Annotated[Status, Meta(extra_json_schema={"enum": sorted(RETRIED)})], ...],
        Meta(
            min_length=1,
            description="Only tasks in these states, comma-separated.",
            extra={"allowed": "FAILURE, REVOKED or FAILURE,REVOKED", "check": _check_retried},
        ),
    ]


class Retried(msgspec.Struct, frozen=True):
    """The outcome of a bulk retry of one page."""

    retried: int
    upload_gone: Annotated[int, Meta(description="Tasks that cannot be retried because their uploads were deleted.")]
    moved_on: Annotated[int, Meta(description="Tasks that another request has retried or deleted meanwhile.")]
    queue_full: Annotated[int, Meta(description="Tasks for which the queue had no room.")]
    next: (
        Annotated[str, Meta(description="Path and query of the POST request for the next page; null on the last page.")]
        | None
    )


class TaskPage(msgspec.Struct, frozen=True):
    """A page of tasks, newest first."""

    tasks: list[TaskRecord]
    next: Annotated[str, Meta(description="Path and query of the next page; null on the last page.")] | None


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
    """List the tasks of the caller, newest first by creation or, with a single `status`, by entry into that state.

    A page can have fewer tasks than `limit`, even none, although more follow. `next`, also sent as a `Link` header
    (RFC 8288), is null only on the last page.
    """
    tasks, following = await _page(request, _own(read_query(request, TasksQuery), request.state["caller"]))
    headers = {} if following is None else {"Link": f'<{following}>; rel="next"'}
    return json_response(TaskPage([task_record(task) for task in tasks.tasks], following), headers=headers)


@describe(
    "Tasks",
    Answer(200, "The number of tasks by outcome.", Retried, {"page": Retried(48, 2, 0, 0, None)}),
    problems=(QueueFull, StorageUnavailable),
    query=RetryQuery,
)
async def retry_tasks(request: Request) -> Response:
    """Retry the failed or revoked tasks of a page; `next` is the request for the following page.

    Tasks that cannot be retried are counted and not changed. 429 if the queue is full at the start.
    """
    query = _own(read_query(request, RetryQuery), request.state["caller"])
    await check_capacity(request.state["redis"], request.state["settings"].queue_limit)
    tasks, following = await _page(request, query)
    return json_response(
        Retried(
            **await retry_all(request.state["tasks"], request.state["storage"], request.state["caller"], tasks.tasks),
            next=following,
        )
    )


async def _page(request: Request, query: TasksQuery) -> tuple[Page, str | None]:
    """Return a page of tasks, and the path and query of the same request for the next page."""
    tasks = await page(request.state["redis"], query.selection, query.limit, query.cursor)
    if tasks.next_cursor is None:
        return tasks, None
    return tasks, f"{request.url.path}?{urlencode({**request.query_params, 'cursor': tasks.next_cursor})}"


def _own(query: TasksQuery, caller: Caller) -> TasksQuery:
    """Restrict a query to the tasks that the caller may see; raise `AdminOnly` if it asks for others."""
    if caller.is_admin:
        return query
    if query.owner not in (None, caller.name):
        raise AdminOnly
    return msgspec.structs.replace(query, owner=caller.name)
