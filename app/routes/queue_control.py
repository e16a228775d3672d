"""`GET /queue`, `POST /queue/pause` and `POST /queue/resume`."""

from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.responses import json_response
from app.routes.monitoring import NO_STORE, QueueState, queue_state
from app.state import Request
from worker.tasks.queue_state import now, pause, resume

_ANSWER = Answer(
    200,
    "The queue.",
    QueueState,
    {
        "works": QueueState(waiting=3, running=2, oldest_waiting_s=0.04, paused_at=None),
        "paused": QueueState(waiting=3, running=0, oldest_waiting_s=12.5, paused_at="2026-03-01T12:00:00.000Z"),
    },
)


@describe("Monitoring", _ANSWER)
async def queue(request: Request) -> Response:
    """Say how many tasks wait and run, for how long the oldest has waited, and whether the queue is paused."""
    return json_response(queue_state(await now(request.state["redis"])), headers=NO_STORE)


@describe("Monitoring", _ANSWER)
async def pause_queue(request: Request) -> Response:
    """Let the workers begin nothing new; what runs goes on, and uploads are accepted. Paused twice is paused."""
    await pause(request.state["redis"])
    return await queue(request)


@describe("Monitoring", _ANSWER)
async def resume_queue(request: Request) -> Response:
    """Let the workers begin tasks again, at once."""
    await resume(request.state["redis"])
    return await queue(request)
