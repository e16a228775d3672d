"""What a request finds in `request.state`: made once by the lifespan in `app.main`, but for the caller."""

import asyncio
from typing import TypedDict

import starlette.requests
from redis.asyncio import Redis

from app.documents import Documents
from app.events import Events
from app.keys import Caller
from app.links import Links
from app.presets import Presets
from app.sessions import Sessions
from app.settings import Settings
from worker.storage import Storage
from worker.tasks import Tasks
from worker.webhooks import Webhooks


class State(TypedDict):
    upload_slots: asyncio.Semaphore
    settings: Settings
    presets: Presets
    documents: Documents
    redis: Redis
    storage: Storage
    tasks: Tasks
    webhooks: Webhooks
    events: Events
    links: Links
    sessions: Sessions
    caller: Caller
    """Whoever sends the request; set by `app.access`."""


Request = starlette.requests.Request[State]
