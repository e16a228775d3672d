"""`POST /process-image/`: an upload and a wish become a task."""

from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from app.addresses import ADDRESSES, address_problems, file_name
from app.description import PICTURES, Answer, describe
from app.errors import (
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
from app.events import ended
from app.examples import STATUSES, TASK_ID
from app.idempotency import KEY, Once, made_once
from app.multipart import FormReader
from app.preferences import APPLIED, PREFER, applied, wait_s
from app.presets import Presets
from app.responses import json_response
from app.routes.outputs import CONTENT_LOCATION, ETAG, LAST_MODIFIED, LOCATION, REDIRECT, prefers_picture, send_picture
from app.settings import Settings
from app.state import Request
from app.uploads import MAX_SHOWN_NAME, Form, form_reader, received_form, safe_stem
from app.views import TaskId, TaskStatus, task_status
from worker import logs
from worker.claims import KeyInUse
from worker.imaging.parsing import InvalidParameters, check_plan_sizes, parse_plan
from worker.states import OwnerWaits, QueueFull, Spec, Status, Task, TaskNotFound
from worker.stats import BYTES_IN
from worker.storage import StorageUnavailable
from worker.tasks import new_task_id


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
        OwnerWaits,
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
    return await _answer(request, await made_once(request, _make))


async def _make(request: Request, once: Once | None) -> str:
    """Make a task, in the same step the one of its key if the request has one; return its id."""
    tasks, owner = request.state["tasks"], request.state["caller"].owner
    tasks.room.check(owner)
    task_id = new_task_id()
    logs.task_id.set(task_id)
    reader = form_reader(request, FormReader) if once is None else once.reader
    async with received_form(request, task_id, reader) as form:
        spec = _spec(form, request.state["settings"], request.state["presets"])
        kept = None if once is None else once.keeping(task_id)
        await tasks.create(task_id, spec, kept, form.fields.get("callback_url"), owner)
    tasks.stats.count(BYTES_IN, by=form.bytes)
    return task_id


async def _answer(request: Request, task_id: str) -> Response:
    """Say that the task is accepted, or, to a client that waits and not in vain, what became of it."""
    headers, wait = {"Location": f"/task-status/{task_id}"}, wait_s(request.headers)
    if wait is not None:
        headers |= applied(wait)
        task = await ended(task_id, request.state["tasks"], request.state["events"], wait)
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


def _spec(form: Form, settings: Settings, presets: Presets) -> Spec:
    """Check the whole form; raise `InvalidParameters` with all its problems at once."""
    fields, upload, overlay = dict(form.fields), form.upload, form.overlay
    problems = [*form.problems, *address_problems(fields, settings)]
    url, _ = (fields.pop(name, None) for name in ADDRESSES)
    has_overlay = overlay is not None or any(problem.field == "overlay" for problem in problems)
    try:
        plan = parse_plan(
            presets.form_fields(fields),
            upload.format if upload else None,
            settings.max_operations,
            has_overlay=has_overlay,
        )
        if upload is not None and upload.size is not None:
            check_plan_sizes(plan, upload.size, settings.limits)
    except InvalidParameters as exc:
        problems += exc.problems
    else:
        overlay_format, request_id = overlay.format if overlay is not None else None, logs.request_id.get()
        if url is not None and not problems:
            name = file_name(url)
            return Spec(
                plan, None, safe_stem(name), overlay_format, name[:MAX_SHOWN_NAME], url=url, request_id=request_id
            )
        if upload is not None and not problems:
            return Spec(
                plan,
                upload.format,
                upload.stem,
                overlay_format,
                upload.name,
                upload.bytes,
                upload.size,
                request_id=request_id,
            )
    raise InvalidParameters(problems)
