"""`POST /tasks/retry` and `POST /tasks/delete`: actions on a page of tasks."""

import asyncio
from collections.abc import Callable, Set
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.parameters import read_query
from app.http.responses import json_response
from app.routes.task_lists import TasksQuery, own_query, page_of_query
from app.state import Request
from app.tasks.bulk_retry import retry_all
from worker.runner.cleanup import remove
from worker.storage import StorageUnavailable
from worker.tasks.queue_state import QueueFull, check_capacity
from worker.tasks.status import FINAL_STATES, Status

CONCURRENT_DELETIONS = 20

RETRIED = {Status.FAILURE, Status.REVOKED}
"""The states of tasks that can be retried."""


def _only(allowed: Set[Status]) -> Callable[[tuple[Status, ...]], None]:
    """Return the check of a parameter that raises `ValueError` for other states."""

    def check(statuses: tuple[Status, ...]) -> None:
        if not allowed >= set(statuses):
            raise ValueError(statuses)

    return check


class RetryQuery(TasksQuery, frozen=True, kw_only=True):
    """The query of a bulk retry, which applies only to tasks that ended without a result."""

    status: Annotated[
        tuple[Annotated[Status, Meta(extra_json_schema={"enum": sorted(RETRIED)})], ...],
        Meta(
            min_length=1,
            description="Only tasks in these states, comma-separated.",
            extra={"allowed": f"one or both of {', '.join(sorted(RETRIED))}, comma-separated", "check": _only(RETRIED)},
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


ENDED = ", ".join(sorted(FINAL_STATES))


class DeleteQuery(TasksQuery, frozen=True, kw_only=True):
    """The query of a bulk deletion, which applies only to tasks that have ended."""

    status: Annotated[
        tuple[Annotated[Status, Meta(extra_json_schema={"enum": sorted(FINAL_STATES)})], ...],
        Meta(
            min_length=1,
            description="Only tasks in these states, comma-separated.",
            extra={"allowed": f"one or more of {ENDED}, comma-separated", "check": _only(FINAL_STATES)},
        ),
    ]


class Deleted(msgspec.Struct, frozen=True):
    """The outcome of a bulk deletion of one page."""

    deleted: int
    moved_on: Annotated[int, Meta(description="Tasks that another request has retried or deleted meanwhile.")]
    next: (
        Annotated[str, Meta(description="Path and query of the POST request for the next page; null on the last page.")]
        | None
    )


@describe(
    "Tasks",
    Answer(200, "The number of tasks by outcome.", Retried, {"page": Retried(48, 2, 0, 0, None)}),
    problems=(QueueFull, StorageUnavailable),
    query=RetryQuery,
)
async def retry_tasks(request: Request) -> Response:
    """Retry all failed or revoked tasks of a page; `next` is the request for the following page.

    Tasks that cannot be retried are counted and not changed. 429 if the queue is full at the start.
    """
    query = own_query(read_query(request, RetryQuery), request.state["caller"])
    await check_capacity(request.state["redis"], request.state["settings"].queue_limit)
    tasks, following = await page_of_query(request, query)
    return json_response(
        Retried(
            **await retry_all(request.state["tasks"], request.state["storage"], request.state["caller"], tasks.tasks),
            next=following,
        )
    )


@describe(
    "Tasks",
    Answer(200, "The number of tasks by outcome.", Deleted, {"page": Deleted(50, 0, None)}),
    problems=(StorageUnavailable,),
    query=DeleteQuery,
)
async def delete_tasks(request: Request) -> Response:
    """Delete the ended tasks of a page, with their records, uploads and results; `next` is the following page."""
    query = own_query(read_query(request, DeleteQuery), request.state["caller"])
    found, following = await page_of_query(request, query)
    tasks, storage, deleted = request.state["tasks"], request.state["storage"], 0
    for start in range(0, len(found.tasks), CONCURRENT_DELETIONS):
        several = found.tasks[start : start + CONCURRENT_DELETIONS]
        deleted += sum(await asyncio.gather(*(remove(task.id, tasks, storage) for task in several)))
    return json_response(Deleted(deleted, len(found.tasks) - deleted, following))
