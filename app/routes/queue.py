"""`GET /queue`, `POST /queue/pause` and `POST /queue/resume`."""

from starlette.responses import Response

from app.responses import json_response
from app.routes.monitoring import NO_STORE, queue_view
from app.state import Request
from worker.history import now
from worker.pause import pause, resume


async def queue(request: Request) -> Response:
    """Say how many tasks wait and run, for how long the oldest has waited, and whether the queue is paused."""
    return json_response(queue_view(await now(request.state["redis"])), headers=NO_STORE)


async def pause_queue(request: Request) -> Response:
    """Let the workers begin nothing new; what runs goes on, and uploads are accepted. Paused twice is paused."""
    await pause(request.state["redis"])
    return await queue(request)


async def resume_queue(request: Request) -> Response:
    """Let the workers begin tasks again, at once."""
    await resume(request.state["redis"])
    return await queue(request)
