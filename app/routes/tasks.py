"""`GET /task-status/{id}` and `GET /task-result/{id}`, and what can be done to a task."""

from contextlib import suppress

from starlette.responses import Response

from app import views
from app.access import own_task, own_task_id
from app.description import PICTURES, Answer, describe
from app.errors import NoResult, NotFinished, RangeNotSatisfiable, ResultNotFound, SeveralResults, UploadGone
from app.events import ended
from app.examples import DONE, DONE_TWICE, RECORDS, STATUSES, TASK_ID
from app.preferences import APPLIED, PREFER, applied, wait_s
from app.responses import json_response
from app.retries import retried
from app.routes.outputs import (
    CONDITIONS,
    ETAG,
    LAST_MODIFIED,
    LOCATION,
    PART,
    REDIRECT,
    UNCHANGED,
    prefers_picture,
    send_picture,
    succeeded,
)
from app.routes.webhooks import webhook
from app.state import Request
from app.views import TaskRecord, TaskResult, TaskStatus, results, task_record
from worker.states import OwnerWaits, QueueFull, Status, Task, TaskNotFound, TaskRunning, WrongState
from worker.storage import StorageUnavailable
from worker.sweep import remove


@describe(
    "Tasks",
    Answer(200, "How the task is.", TaskStatus, STATUSES, headers=(APPLIED,)),
    problems=(TaskNotFound,),
    headers=(PREFER,),
)
async def task_status(request: Request) -> Response:
    """Say how the task is, to a client that prefers to wait as soon as it has ended."""
    task, headers = await _awaited(request)
    return json_response(views.task_status(task), headers=headers)


@describe("Tasks", Answer(200, "The record.", TaskRecord, RECORDS), problems=(TaskNotFound,))
async def record(request: Request) -> Response:
    """Show all there is to know of a task."""
    task = await own_task(request)
    position = await request.state["tasks"].position(task.id) if task.status is Status.PENDING else None
    return json_response(task_record(task, position, await webhook(request, task)))


@describe(
    "Results",
    Answer(
        200,
        "Where the result lies or, if `Accept` would rather have a picture, the result.",
        TaskResult,
        {"one": TaskResult(TASK_ID, results(DONE)), "variants": TaskResult(TASK_ID, results(DONE_TWICE))},
        media_types=PICTURES,
        headers=(APPLIED, ETAG, LAST_MODIFIED),
    ),
    PART,
    UNCHANGED,
    REDIRECT,
    problems=(
        TaskNotFound,
        ResultNotFound,
        SeveralResults,
        NotFinished,
        NoResult,
        RangeNotSatisfiable,
        StorageUnavailable,
    ),
    headers=(PREFER, *CONDITIONS),
)
async def task_result(request: Request) -> Response:
    """Name the picture, or send it to a client that would rather have an image than JSON."""
    task, headers = await _awaited(request)
    succeeded(task)
    if prefers_picture(request, task):
        return await send_picture(request, task, headers)
    headers = {"Vary": "Accept", **headers}
    return json_response(TaskResult(task.id, results(task)), headers=headers)


async def _awaited(request: Request) -> tuple[Task, dict[str, str]]:
    """Return the task, waited for as long as the client prefers, and the headers that say so."""
    wait = wait_s(request.headers)
    if wait is None:
        return await own_task(request), {}
    task_id = await own_task_id(request)
    return await ended(task_id, request.state["tasks"], request.state["events"], wait), applied(wait)


@describe(
    "Tasks",
    Answer(200, "The task was waiting, and is revoked.", TaskStatus, {"revoked": STATUSES["revoked"]}),
    Answer(202, "The task runs, and will stop.", TaskStatus, {"running": STATUSES["running"]}),
    problems=(TaskNotFound, WrongState),
)
async def cancel(request: Request) -> Response:
    """Revoke a waiting task at once; a running one stops before its next operation, if it has one left."""
    task = await request.state["tasks"].cancel(await own_task_id(request))
    return json_response(views.task_status(task), 200 if task.is_finished else 202)


@describe(
    "Tasks",
    Answer(202, "The task waits again.", TaskStatus, {"waiting": STATUSES["waiting"]}, headers=(LOCATION,)),
    problems=(TaskNotFound, WrongState, UploadGone, QueueFull, OwnerWaits, StorageUnavailable),
)
async def retry(request: Request) -> Response:
    """Queue a failed or revoked task again; 410 when its upload is gone and cannot be fetched from a URL again."""
    task = await retried(request, await own_task(request))
    return json_response(views.task_status(task), 202, {"Location": f"/task-status/{task.id}"})


@describe("Tasks", Answer(204, "All of it is gone."), problems=(TaskNotFound, TaskRunning, StorageUnavailable))
async def delete(request: Request) -> Response:
    """Remove a task that does not run: its record, its upload and its result."""
    tasks, task = request.state["tasks"], await own_task(request)
    if task.status is Status.PENDING:
        with suppress(WrongState):  # it is running or ended by now
            await tasks.cancel(task.id)  # no worker begins it now
    if not await remove(task.id, tasks, request.state["storage"]):
        raise TaskRunning(task.id)
    return Response(status_code=204)
