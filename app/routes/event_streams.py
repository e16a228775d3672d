"""`GET /tasks/{id}/events` and `GET /events`: events as server-sent events (WHATWG HTML, 9.2)."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, structs
from msgspec.structs import replace
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.responses import Response

from app.http.description import Answer, Header, describe
from app.http.exceptions import TooManyStreams
from app.http.parameters import read_query
from app.openapi.examples import STATUSES, TASK_ID
from app.state import Request, party_of, require_visible
from app.tasks.event_hub import EVERYTHING, Subscriber, of_owner, of_task
from app.tasks.views import TaskEvent, task_status
from worker.imaging.parsing import InvalidParameters
from worker.outbound.shares import NoPlace
from worker.tasks.events import (
    Event,
    events_of_owner,
    events_of_task,
    following,
    is_later,
    task_with_newest_id,
)
from worker.tasks.model import Task
from worker.tasks.status import Status, TaskNotFound
from worker.validation.fields import Problem

HEARTBEAT_S = 15
"""Interval of comments, which keep proxies from closing a silent stream."""

SEND_TIMEOUT_S = 30
"""Time after which the connection of a client that does not read is closed."""

LEAVE_S = 5
"""Time that a stopping server waits for its streams, which `app.tasks.event_hub` ends within a second."""

CATCH_UP = 500
"""Number of events read at once for a client that reconnects."""

_EVENT_ID = r"[0-9]{1,15}(-[0-9]{1,15})?"

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: Annotated[
        tuple[Status, ...],
        Meta(min_length=1, description="Only changes to these states, comma-separated."),
    ] = ()


LAST_EVENT_ID = Header(
    "Last-Event-ID",
    "The id of the last event received. Later events are sent first.",
    "1772366400012-0",
    {"type": "string", "pattern": f"^({_EVENT_ID})?$"},
)


EventName = Literal["queued", "started", "operation", "output", "ended"]


class Message(msgspec.Struct, frozen=True):
    """A message of the stream."""

    event: EventName
    data: Annotated[
        str,
        Meta(
            extra_json_schema={
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": "#/components/schemas/TaskEvent"},
            }
        ),
    ]
    id: (
        Annotated[
            str,
            Meta(description="The value for Last-Event-ID. Of several messages of one event, only the last has it."),
        ]
        | UnsetType
    ) = UNSET


def _json(data: TaskEvent) -> str:
    return msgspec.json.encode(data).decode()


_STREAM = Answer(
    200,
    "A stream of events; the schema describes one of them. Comments (`: ping`) keep proxies from closing it.",
    examples={
        "queued": Message("queued", _json(TaskEvent(task_id=TASK_ID, status=Status.PENDING, attempt=0, position=1))),
        "operation": Message("operation", _json(TaskEvent(task_id=TASK_ID, progress=0.5, operation="resize"))),
        "ended": Message(
            "ended",
            _json(TaskEvent(**structs.asdict(STATUSES["done"]), attempt=1)),
            "1772366400061-0",
        ),
    },
    kind=Message,
    kind_type="text/event-stream",
)


@describe(
    "Events",
    _STREAM,
    Answer(204, "The task has ended, and there are no more events. Do not reconnect."),
    problems=(TaskNotFound, InvalidParameters, TooManyStreams),
    headers=(LAST_EVENT_ID,),
)
async def task_events(request: Request) -> Response:
    """Stream the events of a task until it ends.

    The first event is the current state or, with `Last-Event-ID`, the first missed event. 204 if there are no more
    events, after which browsers do not reconnect.
    """
    after_id = _last_event_id(request)
    task, at_id = await task_with_newest_id(request.state["redis"], request.path_params["task_id"])
    require_visible(request, task)
    if task.is_finished and after_id is not None:
        missed = [event async for event in _replay(request, after_id, task)]
        return stream(_is_listed(request, missed)) if missed else Response(status_code=204)
    return stream(counted(request, _of_task(request, task, at_id, after_id)))


@describe("Events", _STREAM, query=EventsQuery, problems=(TooManyStreams,), headers=(LAST_EVENT_ID,))
async def all_events(request: Request) -> Response:
    """Stream the events of all tasks of the caller; with `status`, only changes to these states."""
    after_id, statuses = _last_event_id(request), read_query(request, EventsQuery).status
    return stream(counted(request, _of_all(request, after_id, statuses)))


def stream(messages: AsyncIterator[ServerSentEvent]) -> Response:
    """Return the response that sends messages, with comments in between that keep the connection open."""
    return EventSourceResponse(
        messages, headers=HEADERS, ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S, shutdown_grace_period=LEAVE_S
    )


def counted(request: Request, messages: AsyncGenerator[ServerSentEvent]) -> AsyncIterator[ServerSentEvent]:
    """Return messages that take one of the places for streams while they are sent, or raise `TooManyStreams`."""
    streams, party = request.state["streams"], party_of(request)
    if streams.is_full(party):
        raise TooManyStreams

    async def send() -> AsyncIterator[ServerSentEvent]:
        with suppress(NoPlace):
            async with streams.place(party, timeout_s=0), aclosing(messages):
                async for message in messages:
                    yield message

    return send()


async def _is_listed(request: Request, events: list[Event]) -> AsyncIterator[ServerSentEvent]:
    for event in events:
        for message in await of_its_task(request, event):
            yield message


async def _of_task(request: Request, task: Task, at_id: str, after_id: str | None) -> AsyncGenerator[ServerSentEvent]:
    async with request.state["events"].subscribe(of_task(task.id)) as subscriber:
        if after_id is None:
            yield _message(task.status, _snapshot(task), at_id)
            if task.is_finished:
                return
        async for event in _from(request, subscriber, after_id or at_id, task):
            for message in await of_its_task(request, event):
                yield message
            if event.is_end:
                return


async def _of_all(
    request: Request, after_id: str | None, statuses: tuple[Status, ...]
) -> AsyncGenerator[ServerSentEvent]:
    caller = request.state["caller"]
    topic = EVERYTHING if caller.is_admin else of_owner(caller.name or "")
    async with request.state["events"].subscribe(topic) as subscriber:
        async for event in _from(request, subscriber, after_id):
            if not statuses:
                for message in _messages(event, _facts(event)):
                    yield message
            elif event.status in statuses:
                yield _message(event.status, _facts(event), event.id)


async def _from(
    request: Request, subscriber: Subscriber, after_id: str | None, task: Task | None = None
) -> AsyncIterator[Event]:
    """Yield the events after an id from the Redis stream, then new events; each once and in order."""
    seen = after_id
    if after_id is not None:
        async for event in _replay(request, after_id, task):
            seen = event.id
            yield event
    while (heard := await subscriber.next()) is not None:
        if seen is None or is_later(heard.id, seen):
            yield heard


async def _replay(request: Request, after_id: str, task: Task | None) -> AsyncIterator[Event]:
    """Yield the events after an id: those of a task, or all that the caller may see."""
    redis, caller = request.state["redis"], request.state["caller"]
    if task is not None:
        # Its record may be older than the subscription.
        for event in await events_of_task(redis, await request.state["tasks"].get(task.id)):
            if is_later(event.id, after_id):
                yield event
        return
    while True:
        if caller.is_admin:
            events, last_id = await following(redis, after_id, CATCH_UP)
        else:
            events, last_id = await events_of_owner(redis, caller.name or "", after_id, CATCH_UP)
        for event in events:
            yield event
        if last_id == after_id:
            return
        after_id = last_id


async def of_its_task(request: Request, event: Event) -> Iterator[ServerSentEvent]:
    """Return the messages of an event; that of the task's end has the fields of `TaskStatus`."""
    facts = _facts(event)
    if event.is_end:
        with suppress(TaskNotFound):
            status = task_status(await request.state["tasks"].get(event.task_id))
            facts = replace(facts, status=status.status, result=status.result, error=status.error)
    return _messages(event, facts)


def _messages(event: Event, facts: TaskEvent) -> Iterator[ServerSentEvent]:
    """Yield one message for each step and one for the new state; the last has the event's id."""
    for number, step in enumerate(event.steps, start=1):
        name = "operation" if step.operation is not None else "output"
        is_last = event.status is None and number == len(event.steps)
        data = TaskEvent(task_id=event.task_id, **step.fields)
        yield ServerSentEvent(_json(data), event=name, id=event.id if is_last else None)
    if event.status is not None:
        yield _message(event.status, facts, event.id)


def _message(status: Status, facts: TaskEvent, event_id: str) -> ServerSentEvent:
    return ServerSentEvent(_json(facts), event=name_of(status), id=event_id)


def name_of(status: Status) -> EventName:
    """Return the name of the event of a change to a state."""
    names: dict[Status, EventName] = {Status.PENDING: "queued", Status.STARTED: "started"}
    return names.get(status, "ended")


def _facts(event: Event) -> TaskEvent:
    return TaskEvent(
        task_id=event.task_id,
        status=UNSET if event.status is None else event.status,
        attempt=event.attempt,
        position=UNSET if event.position is None else event.position,
        tags=event.tags or UNSET,
    )


def _snapshot(task: Task) -> TaskEvent:
    return TaskEvent(
        **structs.asdict(task_status(task)),
        attempt=task.attempt,
        tags=task.tags or UNSET,
        progress=task.progress if task.status is Status.STARTED else UNSET,
    )


def _last_event_id(request: Request) -> str | None:
    """Return the id in `Last-Event-ID` (WHATWG HTML, 9.2.4), or None to send new events only."""
    text: str | None = request.headers.get("last-event-id")
    if text and not re.fullmatch(_EVENT_ID, text):
        raise InvalidParameters(
            [Problem("Last-Event-ID", "must be the id of an event; send that of the last event received")]
        )
    return text or None
