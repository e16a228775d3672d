"""`POST /process-image/`: an upload and a wish become a task."""

from starlette.responses import Response

from app.responses import json_response
from app.state import Request
from app.uploads import Form, received_form
from worker.plan import InvalidParameters, parse_plan
from worker.states import Spec
from worker.tasks import new_task_id


async def process_image(request: Request) -> Response:
    request.state["tasks"].check_room()
    task_id = new_task_id()
    async with received_form(request, task_id) as form:
        await request.state["tasks"].create(task_id, _spec(form))
    return json_response(
        {"task_id": task_id, "message": "Image processing started"},
        202,
        {"Location": f"/task-status/{task_id}"},
    )


def _spec(form: Form) -> Spec:
    """Check the whole form; raise `InvalidParameters` with all its problems at once."""
    problems = list(form.problems)
    try:
        plan = parse_plan(form.fields, form.upload.format if form.upload else None)
    except InvalidParameters as exc:
        problems += exc.problems
    else:
        if form.upload is not None and not problems:
            return Spec(plan, form.upload.format, f"{form.upload.stem}.{plan.output.format.extension}")
    raise InvalidParameters(problems)
