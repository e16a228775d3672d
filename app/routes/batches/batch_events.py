"""`GET /batches/{id}/events`: the events of all tasks of a batch as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from sse_starlette.event import ServerSentEvent
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.exceptions import TooManyStreams
from app.openapi.examples import BATCH_ID
from app.routes.event_streams import counted, of_its_task, stream
from app.state import Request, get_own_batch
from app.tasks.event_hub import of_batch
from worker.tasks.batches import Batch, BatchNotFound, get_batch
from worker.tasks.status import Status, TaskId


class BatchProgress(Struct, frozen=True):
    """The number of tasks of a batch in each state."""

    batch_id: TaskId
    counts: dict[Status, int]


class BatchMessage(Struct, frozen=True):
    """A message of the stream: `batch` is the first, `completed` the last, the others are those of the tasks."""

    event: Literal["batch", "queued", "started", "operation", "output", "ended", "completed"]
    data: Annotated[str, Meta(description="JSON: a BatchProgress, or the TaskEvent of a task.")]


_EXAMPLE = BatchProgress(BATCH_ID, {Status.SUCCESS: 1})


@describe(
    "Batches",
    Answer(
        200,
        "A stream of events; the schema describes one of them.",
        BatchMessage,
        {"completed": BatchMessage("completed", msgspec.json.encode(_EXAMPLE).decode())},
        kind_type="text/event-stream",
    ),
    problems=(BatchNotFound, TooManyStreams),
)
async def batch_events(request: Request) -> Response:
    """Stream the events of the tasks of a batch until all have ended.

    The first event has the present number of tasks in each state, also after a reconnection.
    """
    found = await get_own_batch(request)
    return stream(counted(request, _of_batch(request, found.id)))


async def _of_batch(request: Request, batch_id: str) -> AsyncGenerator[ServerSentEvent]:
    redis = request.state["redis"]
    async with request.state["events"].subscribe(of_batch(batch_id)) as subscriber:
        found = await get_batch(redis, batch_id)
        yield _message("batch", found)
        while found.unfinished and (event := await subscriber.next()) is not None:
            for message in await of_its_task(request, event):
                yield message
            if event.ends_batch:
                break
        with suppress(BatchNotFound):  # it was deleted meanwhile
            found = await get_batch(redis, batch_id)
            if not found.unfinished:  # otherwise the server stops, or a task has been retried
                yield _message("completed", found)


def _message(name: str, batch: Batch) -> ServerSentEvent:
    return ServerSentEvent(msgspec.json.encode(BatchProgress(batch.id, batch.counts)).decode(), event=name)
