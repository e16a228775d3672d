"""The type of `request.state`. The lifespan in `app.main` creates it; `app.auth.access` sets the caller."""

from typing import NotRequired, TypedDict

import starlette.requests
from redis.asyncio import Redis

from app.api_settings import Settings
from app.auth.sessions import Sessions
from app.auth.signed_links import Links
from app.http.responses import Documents
from app.keys import Caller
from app.tasks.event_hub import EventHub
from app.tasks.presets import Presets
from app.tasks.readiness import HealthChecks
from app.tasks.thumbnails import Thumbnails
from worker.outbound.shares import Shares
from worker.runner.partial_uploads import PartialUploads
from worker.runner.reuse import Reuse
from worker.storage import Storage
from worker.tasks.batches import Batch, BatchNotFound, get_batch
from worker.tasks.model import Task
from worker.tasks.status import TaskNotFound, parse_task_id
from worker.tasks.store import Tasks
from worker.webhooks.messages import Webhooks


class State(TypedDict):
    uploads: Shares
    """The places for uploads that are received at the same time."""
    streams: Shares
    """The places for clients of event streams."""
    settings: Settings
    presets: Presets
    documents: Documents
    redis: Redis
    storage: Storage
    thumbnails: Thumbnails
    tasks: Tasks
    reuse: Reuse
    partial_uploads: PartialUploads
    webhooks: Webhooks
    events: EventHub
    links: Links
    sessions: Sessions
    caller: Caller
    """The sender of the request; set by `app.auth.access`."""
    created_task_id: NotRequired[str]
    """The task that the request has created, or may have."""
    health: HealthChecks


Request = starlette.requests.Request[State]


def party_of(request: Request) -> str:
    """Return who takes a place in a pool: the API key, or without keys the address of the client."""
    return request.state["caller"].name or (request.client.host if request.client is not None else "")


async def get_own_task(request: Request) -> Task:
    """Return the task in the path of the request; raise `TaskNotFound` also for a task of another owner."""
    return require_visible(request, await request.state["tasks"].get(request.path_params["task_id"]))


def require_visible(request: Request, task: Task) -> Task:
    """Return a task if the caller may see it, or raise `TaskNotFound`."""
    if not request.state["caller"].may_see(task.owner):
        raise TaskNotFound(task.id)
    return task


async def get_own_task_id(request: Request) -> str:
    """Return the task id in the path. Raises as `get_own_task`, but does not read the task for admins."""
    if request.state["caller"].is_admin:
        return parse_task_id(request.path_params["task_id"])
    return (await get_own_task(request)).id


async def get_own_batch(request: Request) -> Batch:
    """Return the batch in the path of the request; raise `BatchNotFound` also for one of another owner."""
    found = await get_batch(request.state["redis"], request.path_params["batch_id"])
    if not request.state["caller"].may_see(found.owner):
        raise BatchNotFound(found.id)
    return found
