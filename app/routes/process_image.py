"""`POST /process-image/`: create a task."""

from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from app.http.description import PICTURES, Answer, describe
from app.http.exceptions import (
    NoResult,
    ResultNotFound,
    SeveralResults,
    UnsupportedImage,
)
from app.http.negotiation import APPLIED, PREFER, preference_applied, wait_s
from app.http.responses import json_response
from app.openapi.examples import STATUSES, TASK_ID
from app.routes.results import CONTENT_LOCATION, ETAG, LAST_MODIFIED, LOCATION, REDIRECT, prefers_picture, send_picture
from app.state import Request
from app.tasks.event_hub import wait_for_end
from app.tasks.views import task_status
from app.uploads.idempotency import KEY
from app.uploads.submission import PROBLEMS, submit
from worker.tasks.model import Task
from worker.tasks.status import Status, TaskId, TaskNotFound, TaskStatus


class Accepted(Struct, frozen=True):
    """The accepted task."""

    task_id: TaskId
    message: str = "Image processing started"


@describe(
    "Process",
    Answer(
        202,
        "The task is accepted; `Location` is the path of its status. Sent without `Prefer: wait=N`, and with it for a "
        "task that takes longer than N seconds.",
        Accepted,
        {"accepted": Accepted(TASK_ID)},
        headers=(LOCATION, APPLIED),
        links=("task_status", "task_result", "record", "task_events", "cancel", "delete"),
    ),
    Answer(
        200,
        "The task has ended within the time of `Prefer: wait=N`: its status or, if `Accept` prefers an "
        "image, its result.",
        TaskStatus,
        {name: STATUSES[name] for name in ("done", "variants", "failed")},
        media_types=PICTURES,
        headers=(LOCATION, APPLIED, CONTENT_LOCATION, ETAG, LAST_MODIFIED),
    ),
    REDIRECT,
    problems=(*PROBLEMS, TaskNotFound, SeveralResults, NoResult, ResultNotFound, UnsupportedImage),
    headers=(PREFER, KEY),
    body="form",
)
async def process_image(request: Request) -> Response:
    """Create a task from an image and the operations to apply to it.

    Send one `operation`, with its parameters as fields of the form; a pipeline of `operations`; several `variants` of
    one image, each with its own operations and output; or a `preset`. An empty list of operations only converts the
    format: `operations=[]` and `format=webp`.

    The image may also be the body of the request, as `curl --data-binary` sends it, with the fields in the query; a
    form without a file may be urlencoded.

    The form is validated before the task is created, and one response names all problems. Problems that depend on the
    pixels of the image, such as a crop box outside of it, may also fail the task later.
    """
    task_id = await submit(request)
    request.state["created_task_id"] = task_id  # every response names it from here on
    return await _answer(request, task_id)


async def _answer(request: Request, task_id: str) -> Response:
    """Return 202 for an accepted task, or its status or result if it ended while the client waited."""
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
