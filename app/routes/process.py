"""`POST /process-image/`: an upload and a wish become a task."""

from urllib.parse import quote

from starlette.responses import Response

from app.addresses import ADDRESSES, address_problems, file_name
from app.errors import NoResult
from app.events import ended
from app.idempotency import Once, made_once
from app.multipart import FormReader
from app.preferences import applied, wait_s
from app.presets import Presets
from app.responses import json_response
from app.routes.outputs import prefers_picture, send_picture
from app.settings import Settings
from app.state import Request
from app.uploads import MAX_SHOWN_NAME, Form, form_reader, received_form, safe_stem
from app.views import status_view
from worker import logs
from worker.imaging.parsing import InvalidParameters, check_plan_sizes, parse_plan
from worker.states import Spec, Status, Task
from worker.stats import BYTES_IN
from worker.tasks import new_task_id


async def process_image(request: Request) -> Response:
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
    return json_response({"task_id": task_id, "message": "Image processing started"}, 202, headers)


async def _outcome(request: Request, task: Task, headers: dict[str, str]) -> Response:
    if not prefers_picture(request, task):
        return json_response(status_view(task), headers={"Vary": "Accept", **headers})
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
