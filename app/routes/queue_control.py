"""`GET /queue`, `POST /queue/pause` and `POST /queue/resume`."""

from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.responses import json_response
from app.routes.monitoring import NO_STORE
from app.state import Request
from app.tasks.statistics import QueueState, queue_state
from worker.tasks.queue_state import pause, resume, snapshot

_ANSWER = Answer(
    200,
    "The state of the queue.",
    QueueState,
    {
        "works": QueueState(waiting=3, limit=1000, running=2, oldest_waiting_s=0.04, paused_at=None),
        "paused": QueueState(
            waiting=3, limit=1000, running=0, oldest_waiting_s=12.5, paused_at="2026-03-01T12:00:00.000Z"
        ),
    },
)


@describe("Monitoring", _ANSWER)
async def queue(request: Request) -> Response:
    """Return the number of waiting and running tasks, the age of the oldest, and whether the queue is paused."""
    state = queue_state(await snapshot(request.state["redis"]), request.state["settings"].queue_limit)
    return json_response(state, headers=NO_STORE)


@describe("Monitoring", _ANSWER)
async def pause_queue(request: Request) -> Response:
    """Pause the queue: workers finish running tasks and start no others. Uploads are still accepted."""
    await pause(request.state["redis"])
    return await queue(request)


@describe("Monitoring", _ANSWER)
async def resume_queue(request: Request) -> Response:
    """Resume the queue; workers start waiting tasks at once."""
    await resume(request.state["redis"])
    return await queue(request)
