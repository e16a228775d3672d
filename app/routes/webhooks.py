"""The webhook of a task: its deliveries, in the task's record, and `POST /tasks/{id}/webhook`, which sends it again."""

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from app.access import own_task
from app.description import Answer, describe
from app.errors import NoWebhook
from app.examples import MESSAGE_ID, TASK_ID
from app.responses import json_response
from app.routes.outputs import LOCATION
from app.state import Request
from app.views import DeliveryAttempt, TaskId, Webhook
from worker.states import Task, TaskNotFound
from worker.times import rfc3339
from worker.webhooks import Attempt, State


async def webhook(request: Request, task: Task) -> Webhook | UnsetType:
    """Return the last message of a task that has a `callback_url`, and its attempts, for the task's record."""
    if task.callback_url is None:
        return UNSET
    message = await request.state["webhooks"].get(task.message_id) if task.message_id is not None else None
    if message is None:
        return Webhook(task.callback_url)
    next_ms = message.next_ms if message.state is State.WAITING else None
    return Webhook(
        task.callback_url,
        message.id,
        message.state,
        [_attempt(each) for each in message.attempts],
        UNSET if next_ms is None else rfc3339(next_ms),
    )


class Resent(Struct, frozen=True):
    """Which message is sent again."""

    task_id: TaskId
    webhook_id: str


@describe(
    "Tasks",
    Answer(202, "It is on its way.", Resent, {"resent": Resent(TASK_ID, MESSAGE_ID)}, headers=(LOCATION,)),
    problems=(TaskNotFound, NoWebhook),
)
async def resend(request: Request) -> Response:
    """Send the last webhook of a task again, under the same id, by the whole schedule; 409 when there is none."""
    task = await own_task(request)
    message = await request.state["webhooks"].get(task.message_id) if task.message_id is not None else None
    if message is None:
        raise NoWebhook(task)
    await request.state["webhooks"].resend(message)
    return json_response(Resent(task.id, message.id), 202, {"Location": f"/tasks/{task.id}"})


def _attempt(attempt: Attempt) -> DeliveryAttempt:
    status = UNSET if attempt.status is None or attempt.error is not None else attempt.status
    error = UNSET if attempt.error is None else attempt.error
    return DeliveryAttempt(rfc3339(attempt.at_ms), attempt.duration_ms, status, error)
