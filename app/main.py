"""The ASGI application, put together; `python -m app.server` serves it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from app.access import Access
from app.cors import cross_origin
from app.documents import Documents
from app.events import Events
from app.keys import ANYONE, NOBODY, Keys
from app.links import WITHOUT_SIGNATURES, Links
from app.origins import OriginPolicy
from app.presets import read_presets
from app.problems import EXCEPTION_HANDLERS
from app.request_id import RequestIds
from app.routes import ROUTES
from app.sessions import Sessions
from app.settings import Settings
from app.state import State
from worker import logs
from worker.logs import LogFormat
from worker.queue import connect
from worker.settings import read_settings
from worker.stats import Reporter
from worker.storage import Storage
from worker.tasks import Tasks
from worker.webhooks import Webhooks


def create_app(settings: Settings) -> ASGIApp:
    """Build the application; it connects to Redis and storage when it starts. Raises `InvalidSettings`."""
    presets = read_presets(settings)
    documents = Documents(ROUTES, settings, presets)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        redis = connect(settings.redis_url)
        tasks = Tasks(redis, settings)
        reporter = Reporter(tasks.stats, redis)
        listening = connect(settings.redis_url, patient=True)
        events = Events(listening)
        try:
            yield State(
                upload_slots=asyncio.Semaphore(settings.max_concurrent_uploads),
                settings=settings,
                presets=presets,
                documents=documents,
                redis=redis,
                storage=Storage(settings.storage_url),
                tasks=tasks,
                webhooks=Webhooks(redis),
                events=events,
                links=Links(redis),
                sessions=Sessions(redis, Keys(settings.api_keys)),
                caller=NOBODY if settings.api_keys else ANYONE,
            )
        finally:
            await events.close()
            await reporter.stop()
            await listening.aclose(close_connection_pool=True)
            await redis.aclose(close_connection_pool=True)

    logging.getLogger("uvicorn.access").addFilter(WITHOUT_SIGNATURES)
    return RequestIds(
        Starlette(
            routes=ROUTES, middleware=_middleware(settings), exception_handlers=EXCEPTION_HANDLERS, lifespan=lifespan
        )
    )


def _middleware(settings: Settings) -> list[Middleware]:
    """Return the middleware, outermost first; none that has nothing to do."""
    layers = []
    if settings.cors_origins:
        layers.append(cross_origin(settings.cors_origins))  # browsers ask it without a key
    if settings.api_keys or not settings.allow_anyone:
        layers.append(Middleware(Access, settings))
    layers.append(Middleware(OriginPolicy, settings))
    return layers


def __getattr__(name: str) -> ASGIApp:
    # `app` is made when a server asks for it, so that importing this module reads no environment.
    if name == "app":
        settings = read_settings(Settings)
        logs.configure(settings.log_format)
        if settings.log_format is LogFormat.JSON:
            _take_over_log()
        return create_app(settings)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _take_over_log() -> None:
    """Let uvicorn's lines go our way: it has given its loggers a format of their own by now."""
    for name in ("uvicorn", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
