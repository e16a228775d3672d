"""`POST /process-image/`: an upload and a wish become a task."""

from starlette.responses import Response

from app.responses import json_response
from app.settings import Settings
from app.state import Request
from app.uploads import Form, received_form
from worker.imaging.parsing import InvalidParameters, check_plan_sizes, parse_plan
from worker.states import Spec
from worker.tasks import new_task_id


async def process_image(request: Request) -> Response:
    request.state["tasks"].check_room()
    task_id = new_task_id()
    async with received_form(request, task_id) as form:
        await request.state["tasks"].create(task_id, _spec(form, request.state["settings"]))
    return json_response(
        {"task_id": task_id, "message": "Image processing started"},
        202,
        {"Location": f"/task-status/{task_id}"},
    )


def _spec(form: Form, settings: Settings) -> Spec:
    """Check the whole form; raise `InvalidParameters` with all its problems at once."""
    problems, upload, overlay = list(form.problems), form.upload, form.overlay
    has_overlay = overlay is not None or any(problem.field == "overlay" for problem in problems)
    try:
        plan = parse_plan(
            form.fields, upload.format if upload else None, settings.max_operations, has_overlay=has_overlay
        )
        if upload is not None and upload.size is not None:
            check_plan_sizes(plan, upload.size, settings.limits)
    except InvalidParameters as exc:
        problems += exc.problems
    else:
        if upload is not None and not problems:
            return Spec(plan, upload.format, upload.stem, overlay.format if overlay is not None else None)
    raise InvalidParameters(problems)
