"""`GET /tasks` lists tasks: pages, filters, search and order."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from app.http.description import Answer, Header, describe
from app.http.exceptions import AdminOnly
from app.http.parameters import read_query
from app.http.responses import json_response
from app.keys import Caller
from app.openapi.examples import RECORDS
from app.state import Request
from app.tasks.views import TaskRecord, task_record, timestamp
from worker.errors import ErrorCode
from worker.imaging.formats import InputFormat
from worker.operations import OPERATIONS
from worker.tasks.lists.failures import FAILURE
from worker.tasks.lists.listing import CURSOR, MOST_EXAMINED, Page, Selection, Sort, page, sorted_page
from worker.tasks.schedule import ALLOWED_NAME, ALLOWED_TAG, NAME, TAG
from worker.tasks.status import Status

if TYPE_CHECKING:
    OperationName = str
    InputFormatName = str
else:
    from typing import Literal

    OperationName = Literal[tuple(OPERATIONS)]
    InputFormatName = Literal[tuple(known.value for known in InputFormat)]


AnyQuery = TypeVar("AnyQuery", bound="TasksQuery")

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
    tag: (
        Annotated[
            str,
            Meta(
                pattern=TAG,
                description="Only tasks with this tag.",
                extra={"allowed": f"one tag of {ALLOWED_TAG}"},
            ),
        ]
        | None
    ) = None
    code: Annotated[ErrorCode, Meta(description="Only failures with this error code.")] | None = None
    failure: (
        Annotated[
            str,
            Meta(
                pattern=FAILURE,
                description="Only failures of the group with this id, from `GET /failures`.",
                extra={"allowed": "the id of a group of failures, of 12 characters"},
            ),
        ]
        | None
    ) = None
    format: Annotated[InputFormatName, Meta(description="Only tasks whose upload has this format.")] | None = None
    q: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=100,
                description=(
                    "Only tasks with this text, in upper or lower case, in their file name, URL, error or tags, or "
                    "whose id or request id begins with it."
                ),
            ),
        ]
        | None
    ) = None
    since: Annotated[Time, Meta(description="Only tasks at or after this time.")] | None = None
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
        is_failed = self.code is not None or self.failure is not None
        return Selection(
            self.status or ((Status.FAILURE,) if is_failed else ()),
            self.operation,
            self.owner,
            self.batch,
            None if self.since is None else _milliseconds(self.since),
            None if self.before is None else _milliseconds(self.before),
            self.tag,
            self.code,
            self.failure,
            self.q,
            self.format,
        )


class Order(StrEnum):
    ASCENDING = "asc"
    DESCENDING = "desc"


class ListQuery(TasksQuery, frozen=True, kw_only=True):
    """The query of a listing, with its order."""

    sort: (
        Annotated[
            Sort,
            Meta(
                description=(
                    "Sort by the time of creation, the time in the queue, the time of the last attempt, or the bytes "
                    f"of the results: one page, with the first `limit` of the newest {MOST_EXAMINED:,} tasks, or of "
                    "those after `cursor`. Default: pages, newest first; with `order`, `created`."
                )
            ),
        ]
        | None
    ) = None
    order: (
        Annotated[Order, Meta(description="asc for the smallest first, desc (the default of `sort`) for the greatest.")]
        | None
    ) = None


class Searched(msgspec.Struct, frozen=True):
    """How far a search or a sorted list went."""

    tasks: Annotated[int, Meta(description="The number of tasks that were examined.")]
    oldest: Annotated[Time, Meta(description="The time of the oldest of them.")] | None
    complete: Annotated[bool, Meta(description="Whether no older tasks are left to examine.")]


class TaskPage(msgspec.Struct, frozen=True):
    """A page of tasks, newest first."""

    tasks: list[TaskRecord]
    next: Annotated[str, Meta(description="Path and query of the next page; null on the last page.")] | None
    searched: (
        Annotated[Searched, Meta(description="Only with `q`, `tag`, `code`, `failure`, `format`, `sort` or `order`.")]
        | UnsetType
    ) = UNSET


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
    query=ListQuery,
)
async def list_tasks(request: Request) -> Response:
    """List the tasks of the caller, newest first by creation or, with a single `status`, by entry into that state.

    A page can have fewer tasks than `limit`, even none, although more follow. `next`, also sent as a `Link` header
    (RFC 8288), is null only on the last page. At most 2,000 tasks are read for a page, so a search of more tasks
    takes several pages; `searched` says how far it went.
    """
    query = own_query(read_query(request, ListQuery), request.state["caller"])
    if query.sort is not None or query.order is not None:
        return await _sorted(request, query)
    found, following = await page_of_query(request, query)
    headers = {} if following is None else {"Link": f'<{following}>; rel="next"'}
    searched = _searched(found) if query.selection.is_search else UNSET
    return json_response(TaskPage(list(map(task_record, found.tasks)), following, searched), headers=headers)


async def _sorted(request: Request, query: ListQuery) -> Response:
    """Answer with tasks in another order than that of their index."""
    sort, is_ascending = query.sort or Sort.CREATED, query.order is Order.ASCENDING
    found = await sorted_page(
        request.state["redis"], query.selection, query.limit, sort, query.cursor, ascending=is_ascending
    )
    return json_response(TaskPage(list(map(task_record, found.tasks)), None, _searched(found)))


def _searched(found: Page) -> Searched:
    return Searched(found.examined, timestamp(found.oldest_ms), found.next_cursor is None)


async def page_of_query(request: Request, query: TasksQuery) -> tuple[Page, str | None]:
    """Return a page of tasks, and the path and query of the same request for the next page."""
    tasks = await page(request.state["redis"], query.selection, query.limit, query.cursor)
    if tasks.next_cursor is None:
        return tasks, None
    return tasks, f"{request.url.path}?{urlencode({**request.query_params, 'cursor': tasks.next_cursor})}"


def own_query(query: AnyQuery, caller: Caller) -> AnyQuery:
    """Restrict a query to the tasks that the caller may see; raise `AdminOnly` if it asks for others."""
    if caller.is_admin:
        return query
    if query.owner not in (None, caller.name):
        raise AdminOnly
    return msgspec.structs.replace(query, owner=caller.name)
