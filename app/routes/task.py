"""The routes of a single task: status, result, record, cancel, retry, delete and webhook."""

from contextlib import suppress
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from app.http.description import PICTURES, Answer, describe
from app.http.exceptions import (
    NoResult,
    NotFinished,
    NoWebhook,
    RangeNotSatisfiable,
    ResultNotFound,
    SeveralResults,
    UploadGone,
)
from app.http.negotiation import APPLIED, PREFER, preference_applied, wait_s
from app.http.responses import json_response
from app.openapi.examples import DONE, DONE_TWICE, MESSAGE_ID, RECORDS, STATUSES, TASK_ID
from app.routes.event_streams import EventName, name_of
from app.routes.results import (
    CONDITIONS,
    ETAG,
    LAST_MODIFIED,
    LOCATION,
    PART,
    REDIRECT,
    UNCHANGED,
    prefers_picture,
    require_success,
    send_picture,
)
from app.state import Request, get_own_task, get_own_task_id
from app.tasks import views
from app.tasks.bulk_retry import retry_task
from app.tasks.event_hub import wait_for_end
from app.tasks.views import DeliveryAttempt, TaskRecord, TaskResult, Webhook, results, task_record
from worker.runner.cleanup import remove
from worker.storage import StorageUnavailable
from worker.tasks.events import events_of_task
from worker.tasks.model import Task
from worker.tasks.queue_state import OwnerQueueFull, QueueFull
from worker.tasks.status import Status, TaskId, TaskNotFound, TaskRunning, TaskStatus, Time, WrongState
from worker.telemetry.clock import rfc3339
from worker.webhooks.messages import Attempt, State


@describe(
    "Tasks",
    Answer(200, "The status of the task.", TaskStatus, STATUSES, headers=(APPLIED,)),
    problems=(TaskNotFound,),
    headers=(PREFER,),
)
async def task_status(request: Request) -> Response:
    """Return the status of a task. With `Prefer: wait=N`, wait until it has ended."""
    task, headers = await _wait_for(request)
    return json_response(views.task_status(task), headers=headers)


@describe("Tasks", Answer(200, "The record.", TaskRecord, RECORDS), problems=(TaskNotFound,))
async def record(request: Request) -> Response:
    """Return the full record of a task."""
    task = await get_own_task(request)
    position = await request.state["tasks"].position(task.id) if task.status is Status.PENDING else None
    return json_response(task_record(task, position, await webhook(request, task)))


@describe(
    "Results",
    Answer(
        200,
        "The path of the result or, if `Accept` prefers an image, the result.",
        TaskResult,
        {"one": TaskResult(TASK_ID, results(DONE)), "variants": TaskResult(TASK_ID, results(DONE_TWICE))},
        media_types=PICTURES,
        headers=(APPLIED, ETAG, LAST_MODIFIED),
    ),
    PART,
    UNCHANGED,
    REDIRECT,
    problems=(
        TaskNotFound,
        ResultNotFound,
        SeveralResults,
        NotFinished,
        NoResult,
        RangeNotSatisfiable,
        StorageUnavailable,
    ),
    headers=(PREFER, *CONDITIONS),
)
async def task_result(request: Request) -> Response:
    """Return the path of the result, or the result itself if `Accept` prefers an image to JSON."""
    task, headers = await _wait_for(request)
    require_success(task)
    if prefers_picture(request, task):
        return await send_picture(request, task, headers)
    headers = {"Vary": "Accept", **headers}
    return json_response(TaskResult(task.id, results(task)), headers=headers)


async def _wait_for(request: Request) -> tuple[Task, dict[str, str]]:
    """Wait for the task as the client prefers; return it and the `Preference-Applied` header."""
    wait = wait_s(request.headers)
    if wait is None:
        return await get_own_task(request), {}
    task_id = await get_own_task_id(request)
    return await wait_for_end(task_id, request.state["tasks"], request.state["events"], wait), preference_applied(wait)


@describe(
    "Tasks",
    Answer(200, "The task was waiting and is now REVOKED.", TaskStatus, {"revoked": STATUSES["revoked"]}),
    Answer(202, "The task is running and will stop at its next step.", TaskStatus, {"running": STATUSES["running"]}),
    problems=(TaskNotFound, WrongState),
)
async def cancel(request: Request) -> Response:
    """Cancel a task. A waiting task ends at once, a running one before its next operation, if there is one."""
    task = await request.state["tasks"].cancel(await get_own_task_id(request))
    if task.is_finished and task.reuse:
        await request.state["reuse"].settle_waiting(task)
    return json_response(views.task_status(task), 200 if task.is_finished else 202)


@describe(
    "Tasks",
    Answer(202, "The task is queued again.", TaskStatus, {"waiting": STATUSES["waiting"]}, headers=(LOCATION,)),
    problems=(TaskNotFound, WrongState, UploadGone, QueueFull, OwnerQueueFull, StorageUnavailable),
)
async def retry(request: Request) -> Response:
    """Retry a failed or revoked task; 410 if its upload was deleted and cannot be fetched by URL again."""
    state = request.state
    task = await retry_task(state["tasks"], state["storage"], state["caller"], await get_own_task(request))
    return json_response(views.task_status(task), 202, {"Location": f"/task-status/{task.id}"})


@describe("Tasks", Answer(204, "The task is deleted."), problems=(TaskNotFound, TaskRunning, StorageUnavailable))
async def delete(request: Request) -> Response:
    """Delete a task that is not running, with its record, upload and results."""
    tasks, task = request.state["tasks"], await get_own_task(request)
    if task.status is Status.PENDING:
        with suppress(WrongState):  # it has started or ended meanwhile
            # So that no worker starts it now. Unlike `cancel`, this does not stop a task that has just started.
            await tasks.move(task.id, Status.REVOKED, sources=(Status.PENDING,))
    if not await remove(task.id, tasks, request.state["storage"]):
        raise TaskRunning(task.id)
    return Response(status_code=204)


async def webhook(request: Request, task: Task) -> Webhook | UnsetType:
    """Return the webhook of a task with a `callback_url`, with its last message and attempts."""
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
    """The message that is sent again."""

    task_id: TaskId
    webhook_id: str


@describe(
    "Tasks",
    Answer(202, "The message is queued.", Resent, {"resent": Resent(TASK_ID, MESSAGE_ID)}, headers=(LOCATION,)),
    problems=(TaskNotFound, NoWebhook),
)
async def resend(request: Request) -> Response:
    """Send the last webhook of a task again, with the same id and a new schedule of attempts; 409 if there is none."""
    task = await get_own_task(request)
    message = await request.state["webhooks"].get(task.message_id) if task.message_id is not None else None
    if message is None:
        raise NoWebhook(task)
    await request.state["webhooks"].resend(message)
    return json_response(Resent(task.id, message.id), 202, {"Location": f"/tasks/{task.id}"})


def _attempt(attempt: Attempt) -> DeliveryAttempt:
    status = UNSET if attempt.status is None or attempt.error is not None else attempt.status
    error = UNSET if attempt.error is None else attempt.error
    return DeliveryAttempt(rfc3339(attempt.at_ms), attempt.duration_ms, status, error)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a task: a new state, a completed operation or a stored output."""

    event: EventName
    at: Time
    attempt: int
    progress: Annotated[float, Meta(description="From 0 to 1.")] | UnsetType = UNSET
    operation: str | UnsetType = UNSET
    path: Annotated[str, Meta(description="The path of the output.")] | UnsetType = UNSET
    variant: str | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class Timeline(msgspec.Struct, frozen=True):
    """The events of a task, oldest first."""

    task_id: TaskId
    events: list[Entry]


@describe(
    "Tasks",
    Answer(
        200,
        "The timeline.",
        Timeline,
        {
            "begun": Timeline(
                TASK_ID,
                [
                    Entry(event="queued", at="2026-03-01T12:00:00.000Z", attempt=0, status=Status.PENDING),
                    Entry(event="started", at="2026-03-01T12:00:00.012Z", attempt=1, status=Status.STARTED),
                    Entry(
                        event="operation", at="2026-03-01T12:00:00.040Z", attempt=1, progress=0.5, operation="resize"
                    ),
                ],
            )
        },
    ),
    problems=(TaskNotFound,),
)
async def timeline(request: Request) -> Response:
    """List the events of a task with their times: each time it was queued, started and ended, and all steps."""
    task = await get_own_task(request)
    events = await events_of_task(request.state["redis"], task)
    entries: list[Entry] = []
    latest_ms = 0
    for event in events:
        for step in event.steps:  # the clock of a worker may be some milliseconds off
            latest_ms = min(max(latest_ms, step.at_ms or event.at_ms), event.at_ms)
            kind: EventName = "operation" if step.operation is not None else "output"
            entries.append(Entry(event=kind, at=rfc3339(latest_ms), attempt=event.attempt, **step.fields))
        latest_ms = event.at_ms
        if event.status is not None:
            name = name_of(event.status)
            entries.append(Entry(event=name, at=rfc3339(latest_ms), attempt=event.attempt, status=event.status))
    return json_response(Timeline(task.id, entries))
