"""The worker process: arq's `WorkerSettings`, and the event-driven runner behind `python -m worker`.

`arq worker.main.WorkerSettings` works too: arq's own loop, which polls twice a second and ends when Redis goes away.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from arq import cron
from arq.connections import RedisSettings
from arq.constants import health_check_key_suffix
from arq.cron import CronJob
from arq.worker import Worker

from worker.delivery import WebhookWorker, webhook_settings
from worker.fetch import Fetcher
from worker.heartbeat import Heartbeat
from worker.history import sample
from worker.outbound import outbound_client
from worker.process import Processor, worker_name
from worker.queue import (
    FETCH_QUEUE,
    HEALTH_INTERVAL_S,
    HEALTH_KEY,
    LONGEST_REPLY_S,
    NEVER_S,
    NEVER_TRIES,
    WAKE_CHANNEL,
    connect,
    decode_job,
    encode_job,
    messages,
    through_outage,
)
from worker.settings import Settings, read_settings
from worker.slots import Slots
from worker.stats import Reporter
from worker.storage import Storage
from worker.sweep import sweep
from worker.tasks import Tasks

logger = logging.getLogger(__name__)

FALLBACK_POLL_S = 0.5
"""How often an idle worker looks although nothing woke it: for deferred tasks, lapsed leases and lost wake-ups."""

FETCHES = 16
"""Uploads that a worker fetches at once, about 10 MB of memory each."""

CRON_CLAIM_S = 3600
"""How long it is remembered that a cron job's turn has been taken."""


async def process_task(ctx: dict[str, Any], task_id: str) -> None:
    """The arq function, for arq's own loop: its name and argument are what `worker.queue.job_for` writes."""
    await ctx["processor"].begin_and_process(task_id)


async def sweep_all(ctx: dict[str, Any]) -> None:
    """The arq cron job, once a minute."""
    await sample(ctx["redis"], ctx["tasks"].stats)
    await sweep(ctx["tasks"], ctx["storage"])


def worker_settings(settings: Settings) -> dict[str, Any]:
    """Return arq's worker settings; every key is a parameter of `arq.worker.Worker`, which drops others unsaid."""

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    async def on_startup(ctx: dict[str, Any]) -> None:
        if "heartbeat" in ctx:  # it comes back after an outage
            return
        ctx["slots"] = Slots(settings.worker_threads, stop)
        ctx["storage"] = Storage(settings.storage_url)
        ctx["tasks"] = Tasks(ctx["redis"], settings)
        ctx["outbound"] = outbound_client(settings.outbound_allow)
        fetcher = Fetcher(settings, ctx["storage"], ctx["outbound"])
        ctx["processor"] = Processor(settings, ctx["tasks"], ctx["storage"], ctx["slots"], fetcher)
        ctx["reporter"] = Reporter(ctx["tasks"].stats, ctx["redis"])
        ctx["heartbeat"] = Heartbeat(settings, ctx["redis"], ctx["processor"], ctx["slots"], stop)

    async def on_shutdown(ctx: dict[str, Any]) -> None:
        await _release(ctx)
        ctx["slots"].leave()

    return {
        "functions": [process_task],
        "cron_jobs": [cron(sweep_all, second=0, unique=True)],
        "on_startup": on_startup,
        "on_shutdown": on_shutdown,
        "redis_settings": RedisSettings.from_dsn(settings.redis_url),  # what `arq --check` reads
        "redis_pool": connect(settings.redis_url, patient=True),
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


async def _release(ctx: dict[str, Any]) -> None:
    await ctx["heartbeat"].stop()
    await ctx["outbound"].aclose()
    await ctx["reporter"].stop()
    ctx["slots"].close()


def fetch_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings of a worker for arq's own loop that takes the tasks with a `url`: a loop has one queue."""
    health_key = FETCH_QUEUE + health_check_key_suffix
    return {**worker_settings(settings), "queue_name": FETCH_QUEUE, "cron_jobs": [], "health_check_key": health_key}


ARQ_SETTINGS: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "WorkerSettings": worker_settings,
    "FetchSettings": fetch_settings,
    "WebhookSettings": webhook_settings,
}


def __getattr__(name: str) -> dict[str, Any]:
    # They are made when arq asks for them, so that importing this module reads no environment.
    if name in ARQ_SETTINGS:
        return ARQ_SETTINGS[name](read_settings(Settings))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class EventWorker(Worker):
    """arq's worker, woken when a task is queued or a slot becomes free, where arq sleeps out its `poll_delay`.

    It runs tasks only: it takes them from arq's queue into leases in one step, and arq's jobs and locks are left to
    arq's own loop.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, poll_delay=0, handle_signals=False)
        self.cron_runs: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._in_slots: set[str] = set()
        """The tasks whose pictures wait for a slot or are in one; the others of `tasks` are being fetched or stored."""
        self._fetching: set[str] = set()
        self._waits_for_room = False
        self._beginning: asyncio.Task[None] | None = None

    async def main(self) -> None:
        """Run until cancelled; when Redis goes away arq ends, here running tasks go on until it is back."""
        await through_outage(self.pool.ping)
        listener = asyncio.create_task(through_outage(self._listen))
        try:
            await through_outage(super().main)
        finally:
            listener.cancel()

    async def _poll_iteration(self) -> None:
        self._wake.clear()
        await through_outage(self._begin_due)
        await through_outage(self.heart_beat)
        with suppress(TimeoutError):
            async with asyncio.timeout(FALLBACK_POLL_S):
                await self._wake.wait()

    async def _begin_due(self) -> None:
        """Begin as many due tasks as there are free slots, in one round trip where arq takes five for each."""
        slots: Slots = self.ctx["slots"]
        # Results are stored while the next pictures are made; no more of them than that, should storage be slow.
        free = slots.count - slots.lost - len(self._in_slots)
        room = 2 * slots.count - (len(self.tasks) - len(self._fetching))
        self._waits_for_room = room < free
        free, fetches = max(0, min(free, room)), max(0, FETCHES - len(self._fetching))
        if free or fetches:
            self._beginning = asyncio.create_task(self._begin(free, fetches))
            await asyncio.shield(self._beginning)

    async def _begin(self, count: int, fetches: int) -> None:
        for task in await self.ctx["tasks"].begin(count, self.tasks, worker=worker_name(), fetches=fetches):
            (self._fetching if task.fetch else self._in_slots).add(task.id)
            work = self.ctx["processor"].process(task, partial(self._leave_slot, task.id))
            self.tasks[task.id] = self.loop.create_task(work)
            self.tasks[task.id].add_done_callback(partial(self._ended, task.id))

    def _leave_slot(self, task_id: str) -> None:
        self._in_slots.discard(task_id)
        self._wake.set()

    def _ended(self, task_id: str, run: asyncio.Task[None]) -> None:
        if task_id in self._fetching:
            self._fetching.discard(task_id)
            self._wake.set()
        if task_id in self._in_slots or self._waits_for_room:
            self._leave_slot(task_id)
        del self.tasks[task_id]
        if not run.cancelled() and run.exception() is not None:
            logger.error("%s broke off; it is begun again when its lease lapses", task_id, exc_info=run.exception())
        self.jobs_complete += 1

    async def run_cron(self, n: datetime, delay: float, num_windows: int = 2) -> None:  # noqa: ARG002 - arq's
        """Run due cron jobs, each turn on one worker, beside the queue: in it they would wait behind all tasks."""
        for job in self.cron_jobs:
            due = job.next_run
            if due is not None and due > n:
                continue
            job.calculate_next(n)
            if due and await self.pool.set(f"{job.name}:{due.timestamp():.0f}", b"", nx=True, ex=CRON_CLAIM_S):
                run = self.loop.create_task(self._run_cron_job(job))
                self.cron_runs.add(run)
                run.add_done_callback(self.cron_runs.discard)

    async def _run_cron_job(self, job: CronJob) -> None:
        try:
            await job.coroutine(self.ctx)
        except Exception:  # Redis or storage is away, or a fault of ours; the next turn comes
            logger.exception("%s failed", job.name)

    async def _listen(self) -> None:
        """Hear of tasks that are queued or cancelled; whatever is missed, polls and lease renewals find later."""
        async for message in messages(self.pool, WAKE_CHANNEL):
            if message and "processor" in self.ctx:
                self.ctx["processor"].stop(message)
            else:
                self._wake.set()

    async def wind_down(self, grace_s: float) -> None:
        """Let running tasks finish for `grace_s`, hand back the rest, and release what the worker holds."""
        if self._beginning is not None:
            # Tasks may have been begun in Redis whose names are still on their way here.
            await asyncio.wait({self._beginning}, timeout=LONGEST_REPLY_S)
            self._beginning.cancel()
            await asyncio.gather(self._beginning, return_exceptions=True)
        running = set(self.tasks.values())
        if running:
            _, late = await asyncio.wait(running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        for cron_run in self.cron_runs:
            cron_run.cancel()
        await asyncio.gather(*self.cron_runs, return_exceptions=True)
        if "heartbeat" in self.ctx:
            await _release(self.ctx)
        await self.pool.aclose(close_connection_pool=True)


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, through any absence of Redis."""
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
