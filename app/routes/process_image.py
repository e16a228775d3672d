"""`POST /process-image/`: create a task, also by a resumable upload, whose rest is sent to `/uploads/{id}`."""

from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from app.http.description import PICTURES, Answer, describe
from app.http.exceptions import (
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
from app.tasks.views import task_status
from app.uploads.idempotency import KEY
from app.uploads.resumable import (
    COMPLETE,
    UPLOAD_COMPLETE,
    UPLOAD_LIMIT,
    UPLOAD_OFFSET,
    append,
    begin,
    begins_partial,
    check_offset,
    ends_upload,
    get_own_upload,
    upload_headers,
    whole_request,
)
from app.uploads.submission import PROBLEMS, submit
from worker.imaging.parsing import InvalidParameters
from worker.runner.partial_uploads import OffsetMismatch, TooManyPartialUploads, UploadNotFound
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
    Answer(
        201,
        "With `Upload-Complete: ?0`: the upload has begun; `Location` takes the rest of it with PATCH.",
        headers=(LOCATION, UPLOAD_COMPLETE, UPLOAD_OFFSET, UPLOAD_LIMIT),
    ),
    REDIRECT,
    problems=(
        *PROBLEMS,
        TooManyPartialUploads,
        TaskNotFound,
        SeveralResults,
        NoResult,
        ResultNotFound,
        UnsupportedImage,
    ),
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

    A resumable upload (draft-ietf-httpbis-resumable-upload) arrives in several requests, and continues after a broken
    connection. To begin one, send the header `Upload-Complete: ?0`, and `Upload-Length` if the length of the whole body
    is known, with the first part of the body or without a body; `Idempotency-Key` is not for these. The response is
    201, and `PATCH` requests to its `Location` add the rest.

    The form is validated before the task is created, and one response names all problems. Problems that depend on the
    pixels of the image, such as a crop box outside of it, may also fail the task later.
    """
    if begins_partial(request):
        upload = await begin(request)
        headers = {"Location": f"/uploads/{upload.id}", **upload_headers(request, upload)}
        return Response(status_code=201, headers=headers)
    task_id = await submit(request)
    request.state["created_task_id"] = task_id  # every response names it from here on
    return await answer(request, task_id)


async def answer(request: Request, task_id: str) -> Response:
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


class UploadView(Struct, frozen=True):
    """An upload that arrives in several requests."""

    upload_id: TaskId
    offset: int
    """Number of bytes that have arrived."""
    complete: bool
    task_id: TaskId | None
    """The task that was created from the complete upload."""


_EXAMPLE = UploadView(TASK_ID, 1_048_576, complete=False, task_id=None)

_STATE = (UPLOAD_COMPLETE, UPLOAD_OFFSET, UPLOAD_LIMIT)


@describe(
    "Process",
    Answer(200, "How much has arrived.", UploadView, {"unfinished": _EXAMPLE}, headers=_STATE),
    problems=(UploadNotFound,),
)
async def upload(request: Request) -> Response:
    """Return how much of a resumable upload has arrived."""
    found = await get_own_upload(request)
    view = UploadView(found.id, found.offset, found.is_complete, found.task_id)
    task = {} if found.task_id is None else {"Location": f"/task-status/{found.task_id}"}
    return json_response(view, headers={**upload_headers(request, found), **task})


@describe(
    "Process",
    Answer(204, "The bytes are stored; the upload goes on.", headers=_STATE),
    Answer(202, "The upload is complete, and its task accepted.", Accepted, {"accepted": Accepted(TASK_ID)}),
    problems=(UploadNotFound, OffsetMismatch, *PROBLEMS, UnsupportedImage),
    headers=(UPLOAD_COMPLETE, UPLOAD_OFFSET),
)
async def continue_upload(request: Request) -> Response:
    """Add bytes to a resumable upload.

    The body has the media type `application/partial-upload` and follows the bytes that have arrived, as `Upload-Offset`
    says. With `Upload-Complete: ?1` the response is that of the request that began the upload; if it is
    repeated, it gets the same response.
    """
    found = await get_own_upload(request)
    if found.is_complete:
        if found.task_id is None:
            raise MalformedForm("the upload is complete, and its request was refused; begin another")
        check_offset(request, found)
        response = await answer(request, found.task_id)
        response.headers[COMPLETE] = "?1"
        return response
    is_last = ends_upload(request)
    found = await append(request, found)
    if not is_last:
        return Response(status_code=204, headers=upload_headers(request, found))
    uploads, whole = request.state["partial_uploads"], whole_request(request, found)
    try:
        response = await process_image(whole)
    except (MalformedForm, UploadTooLarge, UploadTooSlow, UnsupportedImage, InvalidParameters):
        await uploads.complete(found, None)
        raise
    await uploads.complete(found, request.state["created_task_id"])
    response.headers[COMPLETE] = "?1"
    return response


@describe("Process", Answer(204, "The upload is deleted."), problems=(UploadNotFound,))
async def delete_upload(request: Request) -> Response:
    """Delete a resumable upload and what has arrived of it."""
    found = await get_own_upload(request)
    await request.state["partial_uploads"].delete(found.id)
    return Response(status_code=204)
