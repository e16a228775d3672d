"""The ASGI application, which `python -m app.server` serves."""

import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan

from app.api_settings import Settings
from app.auth.access import Access
from app.auth.origins import OriginPolicy
from app.auth.sessions import Sessions
from app.auth.signed_links import WITHOUT_SIGNATURES, Links
from app.http.middleware import RequestIds, cross_origin
from app.http.problems import EXCEPTION_HANDLERS
from app.keys import ANYONE, NOBODY, Keys
from app.openapi.rendering import Documents
from app.routes import make_routes
from app.state import State
from app.tasks.event_hub import EventHub
from app.tasks.presets import Presets, read_presets
from app.tasks.readiness import HealthChecks
from app.tasks.thumbnails import Thumbnails
from worker.imaging.guards import configure_pillow
from worker.outbound.shares import Shares
from worker.runner.partial_uploads import PartialUploads
from worker.runner.reuse import Reuse
from worker.runner.start import check_storages, errors_as_one_line, read_and_log
from worker.storage import Storage
from worker.tasks.connection import connect
from worker.tasks.store import Tasks
from worker.telemetry.counters import Reporter
from worker.telemetry.logs import LogFormat
from worker.webhooks.messages import Webhooks

MAX_STREAMS = 512
"""Clients of the event streams of one process; each holds a connection, and events that it has not read yet."""


def create_app(settings: Settings) -> ASGIApp:
    """Build the application, which connects to Redis and storage when it starts. Raises `InvalidSettings`."""
    presets = read_presets(settings.presets_file, settings, is_required=settings.only_presets)
    routes = make_routes()
    documents = Documents(routes, settings, presets)

    logging.getLogger("uvicorn.access").addFilter(WITHOUT_SIGNATURES)
    # It logs a warning for each malformed form; the response to the client is enough.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    application = Starlette(
        routes=routes,
        middleware=_middleware(settings, routes),
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=_lifespan(settings, presets, documents),
    )
    # Its redirects contain the Host of the request; those of `app.http.problems` do not.
    application.router.redirect_slashes = False
    return RequestIds(application)


def _lifespan(settings: Settings, presets: Presets, documents: Documents) -> Lifespan[Starlette]:
    """Return the lifespan of the application, which connects to Redis and storage."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        configure_pillow()
        storage = Storage(settings.storage_url, sync=settings.sync_writes)  # first, because it may raise
        redis = connect(settings.redis_url, request_timeout_s=settings.redis_timeout_s)
        tasks = Tasks(redis, settings)
        reporter = Reporter(tasks.stats, redis)
        listening = connect(settings.redis_url)
        events = EventHub(listening)
        health = HealthChecks(redis, storage)
        try:
            yield State(
                uploads=Shares(settings.max_concurrent_uploads, math.ceil(settings.max_concurrent_uploads / 2)),
                streams=Shares(MAX_STREAMS, MAX_STREAMS // 2),
                settings=settings,
                presets=presets,
                documents=documents,
                redis=redis,
                storage=storage,
                thumbnails=Thumbnails(storage),
                health=health,
                tasks=tasks,
                reuse=Reuse(settings, tasks, storage),
                partial_uploads=PartialUploads(redis, storage),
                webhooks=Webhooks(redis),
                events=events,
                links=Links(redis),
                sessions=Sessions(redis, Keys(settings.api_keys)),
                caller=NOBODY if settings.api_keys else ANYONE,
            )
        finally:
            await events.close()
            await health.close()
            await reporter.stop()
            await listening.aclose(close_connection_pool=True)
            await redis.aclose(close_connection_pool=True)

    return lifespan


def _middleware(settings: Settings, routes: list[Route]) -> list[Middleware]:
    """Return the middleware that the settings need, outermost first."""
    keys = Keys(settings.api_keys) if settings.api_keys else None
    layers = [
        Middleware(
            OriginPolicy,
            has_keys=keys is not None,
            allowed_hosts=settings.allowed_hosts,
            cors_origins=settings.cors_origins,
        )
    ]
    if settings.cors_origins:
        methods = sorted({method for route in routes if isinstance(route, Route) for method in route.methods or ()})
        layers.append(cross_origin(settings.cors_origins, methods))  # preflight requests have no API key
    if settings.api_keys or not settings.allow_anyone:
        layers.append(Middleware(Access, keys=keys, is_read_only=settings.monitor_read_only))
    return layers


def __getattr__(name: str) -> ASGIApp:
    # `app` is created on access, so that importing this module does not read the environment.
    if name == "app":
        return _application()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _application() -> ASGIApp:
    """Build the application from the environment, or exit with one line."""
    with errors_as_one_line():
        settings = read_and_log(Settings)
        if settings.log_format is LogFormat.JSON:
            _take_over_log()
        check_storages(settings)
        return create_app(settings)


def _take_over_log() -> None:
    """Send uvicorn's log records to the root logger, in place of its own format."""
    for name in ("uvicorn", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
