"""The worker process: the settings of arq's worker classes, and the event-driven runner of `python -m worker`.

`arq worker.main.WorkerSettings` works as well; arq's own loop polls twice a second and exits when Redis is unavailable.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from arq import cron
from arq.connections import RedisSettings
from arq.constants import health_check_key_suffix

from worker.imaging.guards import configure_pillow
from worker.outbound.client import outbound_client
from worker.pixels.resampling import RESAMPLER
from worker.runner.cleanup import remove_partial_files, sweep
from worker.runner.destinations import Destinations
from worker.runner.fetch import Fetcher
from worker.runner.heartbeat import Heartbeat
from worker.runner.loop import EventWorker, release
from worker.runner.processor import Processor
from worker.runner.slots import Slots
from worker.runner.start import check_storages, errors_as_one_line
from worker.runner.task_renderer import TaskRenderer
from worker.settings import Settings, read_settings
from worker.storage import Storage
from worker.tasks.connection import connect, decode_job, encode_job, warn_if_unsynced
from worker.tasks.queue import FETCH_QUEUE, HEALTH_INTERVAL_S, HEALTH_KEY, NEVER_S, NEVER_TRIES
from worker.tasks.queue_state import sample
from worker.tasks.store import Tasks
from worker.telemetry.clock import follow
from worker.telemetry.counters import Reporter
from worker.webhooks.delivery import WebhookWorker, webhook_settings

logger = logging.getLogger(__name__)

Context = dict[str, Any]
"""What the functions of arq's workers share."""


async def process_task(ctx: Context, task_id: str) -> None:
    """Process a task. This is the arq function that `worker.tasks.queue.job_for` calls in arq's own loop."""
    await ctx["processor"].begin_and_process(task_id)


async def sweep_all(ctx: Context) -> None:
    """Sample and clean up the queue. This is an arq cron job that runs once a minute."""
    await sample(ctx["redis"], ctx["tasks"].stats)
    await sweep(ctx["tasks"], ctx["storage"])


async def sweep_files(ctx: Context) -> None:
    """Delete half-written files. This is an arq cron job that runs once an hour."""
    await remove_partial_files(ctx["storage"])


def worker_settings(settings: Settings) -> dict[str, Any]:
    """Return the parameters of `arq.worker.Worker`, which silently ignores unknown ones."""

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    async def on_startup(ctx: Context) -> None:
        if "heartbeat" in ctx:  # arq calls this again after an outage of Redis
            return
        await follow(ctx["redis"])
        if settings.sync_writes:  # first, because a failure repeats all of this
            await warn_if_unsynced(ctx["redis"])
        configure_pillow(settings.worker_threads)
        logger.info("resampling with %s", RESAMPLER)
        ctx["slots"] = Slots(settings.worker_threads, stop)
        ctx["storage"] = Storage(settings.storage_url, sync=settings.sync_writes)
        ctx["tasks"] = Tasks(ctx["redis"], settings)
        ctx["outbound"] = outbound_client(settings.outbound_allow)
        stores = {name: Storage(url, sync=settings.sync_writes) for name, url in settings.store_urls.items()}
        fetcher = Fetcher(settings, ctx["storage"], ctx["outbound"], stores)
        destinations = Destinations(stores, ctx["storage"], ctx["outbound"])
        renderer = TaskRenderer(settings, ctx["storage"], ctx["slots"])
        ctx["processor"] = Processor(settings, ctx["tasks"], ctx["storage"], renderer.outputs, fetcher, destinations)
        ctx["reporter"] = Reporter(ctx["tasks"].stats, ctx["redis"])
        ctx["heartbeat"] = Heartbeat(settings, ctx["redis"], ctx["processor"], ctx["slots"], stop)

    async def on_shutdown(ctx: Context) -> None:
        if "heartbeat" in ctx:  # otherwise the start has failed
            await release(ctx)
            ctx["slots"].leave()

    return {
        "functions": [process_task],
        "cron_jobs": [cron(sweep_all, second=0, unique=True), cron(sweep_files, minute=7, second=0, unique=True)],
        "on_startup": on_startup,
        "on_shutdown": on_shutdown,
        "redis_settings": RedisSettings.from_dsn(settings.redis_url),  # for `arq --check`
        "redis_pool": connect(settings.redis_url),
        "max_jobs": settings.worker_threads,
        "job_timeout": NEVER_S,
        "max_tries": NEVER_TRIES,
        "job_completion_wait": settings.shutdown_grace_s,
        "keep_result": 0,
        "health_check_interval": HEALTH_INTERVAL_S,
        "health_check_key": HEALTH_KEY,
        "job_serializer": encode_job,
        "job_deserializer": decode_job,
    }


def fetch_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings of an arq worker for the fetch queue; arq's own loop reads one queue only."""
    health_key = FETCH_QUEUE + health_check_key_suffix
    return {**worker_settings(settings), "queue_name": FETCH_QUEUE, "cron_jobs": [], "health_check_key": health_key}


ARQ_SETTINGS: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "WorkerSettings": worker_settings,
    "FetchSettings": fetch_settings,
    "WebhookSettings": webhook_settings,
}


def __getattr__(name: str) -> dict[str, Any]:
    # They are created on access, so that importing this module does not read the environment.
    if name in ARQ_SETTINGS:
        with errors_as_one_line():
            settings = read_settings(Settings)
        options = ARQ_SETTINGS[name](settings)
        return {**options, "on_startup": partial(_start, settings, options["on_startup"])}
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


async def _start(settings: Settings, on_startup: Callable[[Context], Awaitable[None]], ctx: Context) -> None:
    """Start a worker of arq's own command, which `arq --check` does not."""
    with errors_as_one_line():
        await asyncio.to_thread(check_storages, settings)
    await on_startup(ctx)


async def run(settings: Settings) -> None:
    """Process tasks until SIGTERM or SIGINT; outages of Redis do not end the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pictures = EventWorker(**worker_settings(settings))
    workers: list[EventWorker | WebhookWorker] = [pictures]
    if settings.webhook_secrets:
        workers.append(WebhookWorker(**webhook_settings(settings)))
    mains = [asyncio.create_task(worker.main()) for worker in workers]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({*mains, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for each in (*mains, stopped):
        each.cancel()
    try:
        await asyncio.gather(*mains)
    except asyncio.CancelledError:
        logger.info("stopping")
    finally:
        await asyncio.gather(*(worker.wind_down(settings.shutdown_grace_s) for worker in workers))
        if "slots" in pictures.ctx:
            pictures.ctx["slots"].leave()
