"""The webhook of a task: its deliveries, in the task's record, and `POST /tasks/{id}/webhook`, which sends it again."""

from typing import Any

from starlette.responses import Response

from app.access import own_task
from app.errors import NoWebhook
from app.responses import json_response
from app.state import Request
from app.views import timestamp
from worker.states import Task
from worker.webhooks import Attempt, Message, State


async def webhook_view(request: Request, task: Task) -> dict[str, Any]:
    """Return `webhook`, with the last message and its attempts, for the record of a task that has a `callback_url`."""
    if task.callback_url is None:
        return {}
    message = await request.state["webhooks"].get(task.message_id) if task.message_id is not None else None
    view = {"url": task.callback_url}
    return {"webhook": view if message is None else {**view, **_message_view(message)}}


async def resend(request: Request) -> Response:
    """Send the last message again, under the same id, by the whole schedule; 409 when there is none."""
    task = await own_task(request)
    message = await request.state["webhooks"].get(task.message_id) if task.message_id is not None else None
    if message is None:
        raise NoWebhook(task)
    await request.state["webhooks"].resend(message)
    return json_response({"task_id": task.id, "webhook_id": message.id}, 202, {"Location": f"/tasks/{task.id}"})


def _message_view(message: Message) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": message.id,
        "state": message.state,
        "attempts": [_attempt_view(each) for each in message.attempts],
    }
    if message.state is State.WAITING:
        view["next_attempt_at"] = timestamp(message.next_ms)
    return view


def _attempt_view(attempt: Attempt) -> dict[str, Any]:
    view: dict[str, Any] = {"at": timestamp(attempt.at_ms), "duration_ms": attempt.duration_ms}
    return {**view, **({"status": attempt.status} if attempt.error is None else {"error": attempt.error})}
