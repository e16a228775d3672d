"""`POST /process-image/`: create a task."""

from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from app.http.description import PICTURES, Answer, describe
from app.http.exceptions import (
    InvalidKey,
    KeyReused,
    MalformedForm,
    NoResult,
    ResultNotFound,
    SeveralResults,
    UnsupportedImage,
    UploadTooLarge,
    UploadTooSlow,
)
from app.http.negotiation import APPLIED, PREFER, preference_applied, wait_s
from app.http.responses import json_response
from app.openapi.examples import STATUSES, TASK_ID
from app.routes.results import CONTENT_LOCATION, ETAG, LAST_MODIFIED, LOCATION, REDIRECT, prefers_picture, send_picture
from app.state import Request
from app.tasks.event_hub import wait_for_end
from app.tasks.views import TaskId, TaskStatus, task_status
from app.uploads.idempotency import KEY
from app.uploads.submission import submit
from worker.imaging.parsing import InvalidParameters
from worker.storage import StorageUnavailable
from worker.tasks.capacity import OwnerQueueFull, QueueFull
from worker.tasks.claims import KeyInUse
from worker.tasks.model import Status, Task, TaskNotFound


class Accepted(Struct, frozen=True):
    """The task that is to be done."""

    task_id: TaskId
    message: str = "Image processing started"


@describe(
    "Process",
    Answer(
        202,
        "The task is accepted; `Location` leads to its status. The answer without `Prefer: wait=N`, and with it for a "
        "task that takes longer.",
        Accepted,
        {"accepted": Accepted(TASK_ID)},
        headers=(LOCATION, APPLIED),
        links=("task_status", "task_result", "record", "task_events", "cancel", "delete"),
    ),
    Answer(
        200,
        "The task has ended in the time that `Prefer: wait=N` gives it: its status or, if `Accept` would rather have a "
        "picture, its result.",
        TaskStatus,
        {name: STATUSES[name] for name in ("done", "variants", "failed")},
        media_types=PICTURES,
        headers=(LOCATION, APPLIED, CONTENT_LOCATION, ETAG, LAST_MODIFIED),
    ),
    REDIRECT,
    problems=(
        MalformedForm,
        InvalidKey,
        TaskNotFound,
        SeveralResults,
        UploadTooSlow,
        NoResult,
        KeyInUse,
        ResultNotFound,
        UploadTooLarge,
        UnsupportedImage,
        InvalidParameters,
        KeyReused,
        QueueFull,
        OwnerQueueFull,
        StorageUnavailable,
    ),
    headers=(PREFER, KEY),
    body="form",
)
async def process_image(request: Request) -> Response:
    """Make a task of a picture and of what is to be done to it.

    Ask for one `operation`, whose parameters are fields of the form beside it; for several `operations` in a row; for
    several `variants` of one picture, each with its operations and its form; or for a `preset`. An
    empty list of operations only converts: `operations=[]` and `format=webp`.

    Everything that can be checked before the task is made is checked then, and one answer names all that is wrong.
    What depends on the picture itself, such as a box that reaches outside of it, may also fail the task later.
    """
    return await _answer(request, await submit(request))


async def _answer(request: Request, task_id: str) -> Response:
    """Say that the task is accepted, or, to a client that waits and not in vain, what became of it."""
    headers, wait = {"Location": f"/task-status/{task_id}"}, wait_s(request.headers)
    if wait is not None:
        headers |= preference_applied(wait)
        task = await wait_for_end(task_id, request.state["tasks"], request.state["events"], wait)
        if task.is_finished:
            return await _outcome(request, task, headers)
    return json_response(Accepted(task_id), 202, headers)


async def _outcome(request: Request, task: Task, headers: dict[str, str]) -> Response:
    if not prefers_picture(request, task):
        return json_response(task_status(task), headers={"Vary": "Accept", **headers})
    if task.status is not Status.SUCCESS:
        raise NoResult(task)
    path = {} if task.spec.plan.is_named else {"Content-Location": f"/{quote(task.result_paths[''])}"}
    return await send_picture(request, task, {**headers, **path})
