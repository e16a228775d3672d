"""`GET /task-status/{id}` and `GET /task-result/{id}`, and what can be done to a task."""

from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.errors import NoResult, NotFinished, SeveralResults
from app.negotiation import prefers
from app.responses import json_response
from app.routes.outputs import send_output
from app.state import Request
from worker.states import Status, Task, TaskRunning
from worker.sweep import remove


async def task_status(request: Request) -> Response:
    return json_response(_status_view(await request.state["tasks"].get(request.path_params["task_id"])))


def _status_view(task: Task) -> dict[str, Any]:
    view: dict[str, Any] = {"task_id": task.id, "status": task.status}
    if task.status is Status.SUCCESS:
        view["result"] = _results(task)
    if task.status is Status.FAILURE and task.error is not None:
        view["error"] = task.error
    return view


async def record(request: Request) -> Response:
    """Show what there is to know of a task, of each result its size, frames and checksum too."""
    task = await request.state["tasks"].get(request.path_params["task_id"])
    outputs = [
        {**({"variant": name} if name else {}), **msgspec.to_builtins(output)} for name, output in task.outputs.items()
    ]
    return json_response({**_status_view(task), "outputs": outputs})


async def task_result(request: Request) -> Response:
    """Name the picture, or send it to a client that would rather have an image than JSON."""
    task = await request.state["tasks"].get(request.path_params["task_id"])
    if not task.is_finished:
        raise NotFinished(task)
    if task.status is not Status.SUCCESS:
        raise NoResult(task)
    accept, variants = request.headers.get("accept", "*/*"), task.spec.plan.variants
    if prefers(accept, next(iter(variants.values())).media_type(task.spec.source), "application/json"):
        if task.spec.plan.is_named:
            raise SeveralResults(task)
        return await send_output(request, task, "")
    return json_response({"task_id": task.id, "processed_image": _results(task)}, headers={"Vary": "Accept"})


def _results(task: Task) -> str | dict[str, str]:
    """Return the path of the result, or of each variant's by its name."""
    return task.result_paths if task.spec.plan.is_named else task.result_paths[""]


async def cancel(request: Request) -> Response:
    """Revoke a waiting task at once; a running one stops before its next operation, if it has one left."""
    task = await request.state["tasks"].cancel(request.path_params["task_id"])
    return json_response(_status_view(task), 200 if task.is_finished else 202)


async def retry(request: Request) -> Response:
    """Queue a failed or revoked task again; 410 when its upload is gone."""
    tasks, storage = request.state["tasks"], request.state["storage"]
    task = await tasks.get(request.path_params["task_id"])
    try:
        await storage.head(task.upload_path)
    except FileNotFoundError:
        raise HTTPException(410, "the upload of this task is gone; send the picture again") from None
    return json_response(_status_view(await tasks.retry(task)), 202, {"Location": f"/task-status/{task.id}"})


async def delete(request: Request) -> Response:
    """Remove a task that does not run: its record, its upload and its result."""
    tasks = request.state["tasks"]
    task = await tasks.get(request.path_params["task_id"])
    if task.status is Status.PENDING:
        task = await tasks.cancel(task.id)  # no worker begins it now
    if not await remove(task.id, tasks, request.state["storage"]):
        raise TaskRunning(task.id)
    return Response(status_code=204)
