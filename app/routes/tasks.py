"""`GET /task-status/{id}` and `GET /task-result/{id}`, and what can be done to a task."""

from starlette.responses import Response

from app.access import own_task, own_task_id
from app.events import ended
from app.preferences import applied, wait_s
from app.responses import json_response
from app.retries import retried
from app.routes.outputs import prefers_picture, send_picture, succeeded
from app.routes.webhooks import webhook_view
from app.state import Request
from app.views import record_view, results, status_view
from worker.states import Status, Task, TaskRunning
from worker.sweep import remove


async def task_status(request: Request) -> Response:
    """Say how the task is, to a client that prefers to wait as soon as it has ended."""
    task, headers = await _awaited(request)
    return json_response(status_view(task), headers=headers)


async def record(request: Request) -> Response:
    """Show all there is to know of a task."""
    task = await own_task(request)
    position = await request.state["tasks"].position(task.id) if task.status is Status.PENDING else None
    return json_response({**record_view(task), "position": position, **await webhook_view(request, task)})


async def task_result(request: Request) -> Response:
    """Name the picture, or send it to a client that would rather have an image than JSON."""
    task, headers = await _awaited(request)
    succeeded(task)
    if prefers_picture(request, task):
        return await send_picture(request, task, headers)
    headers = {"Vary": "Accept", **headers}
    return json_response({"task_id": task.id, "processed_image": results(task)}, headers=headers)


async def _awaited(request: Request) -> tuple[Task, dict[str, str]]:
    """Return the task, waited for as long as the client prefers, and the headers that say so."""
    wait = wait_s(request.headers)
    if wait is None:
        return await own_task(request), {}
    task_id = await own_task_id(request)
    return await ended(task_id, request.state["tasks"], request.state["events"], wait), applied(wait)


async def cancel(request: Request) -> Response:
    """Revoke a waiting task at once; a running one stops before its next operation, if it has one left."""
    task = await request.state["tasks"].cancel(await own_task_id(request))
    return json_response(status_view(task), 200 if task.is_finished else 202)


async def retry(request: Request) -> Response:
    """Queue a failed or revoked task again; 410 when its upload is gone and cannot be fetched from a URL again."""
    task = await retried(request, await own_task(request))
    return json_response(status_view(task), 202, {"Location": f"/task-status/{task.id}"})


async def delete(request: Request) -> Response:
    """Remove a task that does not run: its record, its upload and its result."""
    tasks, task = request.state["tasks"], await own_task(request)
    if task.status is Status.PENDING:
        task = await tasks.cancel(task.id)  # no worker begins it now
    if not await remove(task.id, tasks, request.state["storage"]):
        raise TaskRunning(task.id)
    return Response(status_code=204)
