"""The ASGI application, put together: `uvicorn app.main:app`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from app.errors import EXCEPTION_HANDLERS
from app.events import Events
from app.presets import read_presets
from app.routes import ROUTES
from app.settings import Settings
from app.state import State
from worker.queue import connect
from worker.settings import read_settings
from worker.storage import Storage
from worker.tasks import Tasks
from worker.webhooks import Webhooks


def create_app(settings: Settings) -> Starlette:
    """Build the application; it connects to Redis and storage when it starts. Raises `InvalidSettings`."""
    presets = read_presets(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        redis = connect(settings.redis_url)
        listening = connect(settings.redis_url, patient=True)
        events = Events(listening)
        try:
            yield State(
                upload_slots=asyncio.Semaphore(settings.max_concurrent_uploads),
                settings=settings,
                presets=presets,
                redis=redis,
                storage=Storage(settings.storage_url),
                tasks=Tasks(redis, settings),
                webhooks=Webhooks(redis),
                events=events,
            )
        finally:
            await events.close()
            await listening.aclose(close_connection_pool=True)
            await redis.aclose(close_connection_pool=True)

    return Starlette(routes=ROUTES, exception_handlers=EXCEPTION_HANDLERS, lifespan=lifespan)


def __getattr__(name: str) -> Starlette:
    # `app` is made when a server asks for it, so that importing this module reads no environment.
    if name == "app":
        return create_app(read_settings(Settings))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
