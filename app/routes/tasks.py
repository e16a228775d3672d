"""`GET /task-status/{id}` and `GET /task-result/{id}`."""

from starlette.responses import Response

from app.errors import NoResult, NotFinished
from app.negotiation import prefers
from app.responses import json_response
from app.routes.outputs import send_output
from app.state import Request
from worker.tasks import Status


async def task_status(request: Request) -> Response:
    task = await request.state["tasks"].get(request.path_params["task_id"])
    view = {"task_id": task.id, "status": task.status}
    if task.status is Status.SUCCESS:
        view["result"] = task.result_path
    if task.status is Status.FAILURE and task.error is not None:
        view["error"] = task.error
    return json_response(view)


async def task_result(request: Request) -> Response:
    """Name the picture, or send it to a client that would rather have an image than JSON."""
    task = await request.state["tasks"].get(request.path_params["task_id"])
    if not task.is_finished:
        raise NotFinished(task)
    if task.status is not Status.SUCCESS:
        raise NoResult(task)
    accept = request.headers.get("accept", "*/*")
    if prefers(accept, task.spec.plan.output.format.media_type, "application/json"):
        return await send_output(request, task)
    return json_response({"task_id": task.id, "processed_image": task.result_path}, headers={"Vary": "Accept"})
