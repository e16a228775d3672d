"""`POST /batches` and the routes of a batch: many tasks as one."""

import asyncio
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.exceptions import (
    BodyTooLarge,
    BodyTooSlow,
)
from app.http.parameters import read_query
from app.http.responses import json_response
from app.openapi.examples import BATCH_ID, RECORDS, TASK_ID
from app.routes.results import LOCATION
from app.state import Request, get_own_batch
from app.tasks.bulk_retry import retry_all
from app.tasks.views import TaskRecord, task_record, timestamp
from app.uploads.batch_submission import submit_batch
from app.uploads.idempotency import KEY
from app.uploads.submission import PROBLEMS
from worker.runner.cleanup import remove
from worker.storage import StorageUnavailable
from worker.tasks.batches import Batch, BatchNotFound, BatchRunning, get_batch, page_of, task_ids, tasks_of
from worker.tasks.queue_state import QueueFull, check_capacity
from worker.tasks.status import FINAL_STATES, Status, TaskId, TaskNotFound, Time, WrongState
from worker.telemetry.clock import rfc3339

AT_ONCE = 20
"""Tasks of a batch that are changed at the same time."""


class BatchAccepted(Struct, frozen=True):
    """The accepted batch."""

    batch_id: TaskId
    task_ids: Annotated[list[TaskId], Meta(description="The ids of the tasks, in the order of the images.")]
    message: str = "Image processing started"


class BatchView(Struct, frozen=True):
    """A batch and a page of its tasks, in the order of the images."""

    batch_id: TaskId
    status: Annotated[Literal["running", "completed"], Meta(description="completed when all tasks have ended.")]
    total: Annotated[int, Meta(description="Number of tasks at its creation.")]
    counts: Annotated[dict[Status, int], Meta(description="Number of tasks in each state, without deleted ones.")]
    progress: Annotated[float, Meta(description="Fraction of the tasks that have ended, from 0 to 1.")]
    owner: str | None
    created_at: Time
    ended_at: Annotated[Time, Meta(description="When the last task ended.")] | None
    callback_url: str | None
    tasks: list[TaskRecord]
    next: Annotated[str, Meta(description="Path and query of the next page; null on the last page.")] | None


class BatchQuery(Struct, frozen=True):
    """The query of a batch."""

    limit: Annotated[int, Meta(ge=0, le=200, description="Maximum number of tasks on a page.")] = 50
    first: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Number of the first task, from 0.")] = 0


_EXAMPLE = BatchView(
    BATCH_ID,
    "completed",
    1,
    {Status.PENDING: 0, Status.STARTED: 0, Status.SUCCESS: 1, Status.FAILURE: 0, Status.REVOKED: 0},
    1,
    None,
    "2026-03-01T12:00:00.000Z",
    "2026-03-01T12:00:00.061Z",
    None,
    [msgspec.structs.replace(RECORDS["done"], position=msgspec.UNSET, webhook=msgspec.UNSET)],
    None,
)

_BATCH = Answer(200, "The batch.", BatchView, {"batch": _EXAMPLE})


@describe(
    "Batches",
    Answer(
        202,
        "All images are accepted, each as a task of its own; `Location` is the path of the batch.",
        BatchAccepted,
        {"accepted": BatchAccepted(BATCH_ID, [TASK_ID])},
        headers=(LOCATION,),
    ),
    problems=(*PROBLEMS, BatchNotFound, BodyTooSlow, BodyTooLarge),
    headers=(KEY,),
    body="batch",
)
async def create_batch(request: Request) -> Response:
    """Create a task for each of many images: all of them, or none if one is not accepted.

    Send a form with the field `file` or `url` once for each image, and the other fields of `POST /process-image/` once
    for all; or a JSON object in which `url` is a list. `each`, a list of one object for each image, has fields that
    differ. `callback_url` gets one webhook when all tasks have ended, `task_callback_url` one for each.
    """
    created = await get_batch(request.state["redis"], await submit_batch(request))  # it may be an earlier, deleted one
    batch_id = created.id
    accepted = BatchAccepted(batch_id, await task_ids(request.state["redis"], batch_id))
    return json_response(accepted, 202, {"Location": f"/batches/{batch_id}"})


@describe("Batches", _BATCH, problems=(BatchNotFound,), query=BatchQuery)
async def batch(request: Request) -> Response:
    """Return a batch: the number of tasks in each state, the progress, and a page of its tasks."""
    return json_response(await _view(request, await get_own_batch(request), read_query(request, BatchQuery)))


@describe("Batches", _BATCH, problems=(BatchNotFound,))
async def cancel_batch(request: Request) -> Response:
    """Cancel the tasks of a batch that have not ended; running ones stop at their next step."""
    found = await get_own_batch(request)
    redis, tasks = request.state["redis"], request.state["tasks"]

    async def cancel(task_id: str) -> None:
        try:
            await tasks.cancel(task_id)
        except (TaskNotFound, WrongState):  # it has ended
            return

    ids = await task_ids(redis, found.id)
    for start in range(0, len(ids), AT_ONCE):
        await asyncio.gather(*map(cancel, ids[start : start + AT_ONCE]))
    return json_response(await _view(request, await get_own_batch(request), BatchQuery()))


class BatchRetried(Struct, frozen=True):
    """The outcome of a retry of the failed tasks of a batch."""

    batch_id: TaskId
    retried: int
    upload_gone: Annotated[int, Meta(description="Tasks that cannot be retried because their uploads were deleted.")]
    moved_on: Annotated[int, Meta(description="Tasks that another request has retried or deleted meanwhile.")]
    queue_full: Annotated[int, Meta(description="Tasks for which the queue had no room.")]


@describe(
    "Batches",
    Answer(200, "The number of tasks by outcome.", BatchRetried, {"retried": BatchRetried(BATCH_ID, 3, 0, 0, 0)}),
    problems=(BatchNotFound, QueueFull, StorageUnavailable),
)
async def retry_batch(request: Request) -> Response:
    """Retry the failed tasks of a batch; its webhook is sent again when they have ended."""
    found, state = await get_own_batch(request), request.state
    await check_capacity(state["redis"], state["settings"].queue_limit)
    failed = [task for task in await tasks_of(state["redis"], found.id) if task.status is Status.FAILURE]
    outcomes = await retry_all(state["tasks"], state["storage"], state["caller"], failed)
    return json_response(BatchRetried(found.id, **outcomes))


@describe(
    "Batches",
    Answer(204, "The batch is deleted."),
    problems=(BatchNotFound, BatchRunning, StorageUnavailable),
)
async def delete_batch(request: Request) -> Response:
    """Delete a batch whose tasks have all ended, with their records, uploads and results."""
    found = await get_own_batch(request)
    found.require_ended()
    tasks, storage = request.state["tasks"], request.state["storage"]
    ids = await task_ids(request.state["redis"], found.id)
    for start in range(0, len(ids), AT_ONCE):
        await asyncio.gather(*(remove(task_id, tasks, storage) for task_id in ids[start : start + AT_ONCE]))
    return Response(status_code=204)


async def _view(request: Request, found: Batch, query: BatchQuery) -> BatchView:
    tasks, following = await page_of(request.state["redis"], found.id, query.first, query.limit)
    ended = sum(count for status, count in found.counts.items() if status in FINAL_STATES)
    known = sum(found.counts.values())
    return BatchView(
        found.id,
        "running" if found.unfinished else "completed",
        found.total,
        found.counts,
        round(ended / known, 4) if known else 1,
        found.owner,
        rfc3339(found.created_ms),
        timestamp(found.ended_ms),
        found.callback_url,
        [task_record(task) for task in tasks],
        None if following is None else f"/batches/{found.id}?limit={query.limit}&first={following}",
    )
