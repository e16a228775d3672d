"""The event-driven worker behind `python -m worker`."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from arq.cron import CronJob
from arq.worker import Worker

from worker.runner.heartbeat import worker_name
from worker.runner.slots import Slots
from worker.tasks.connection import retry_through_outage
from worker.tasks.model import Task
from worker.tasks.queue import FETCHES, LONGEST_REPLY_S, WAKE_CHANNEL, messages
from worker.tasks.store import Tasks

FALLBACK_POLL_S = 0.5
"""Poll interval of an idle worker, for deferred tasks, expired leases and lost wake-ups."""


CRON_CLAIM_S = 3600
"""Time for which the claim to one run of a cron job is stored."""


logger = logging.getLogger(__name__)


class EventWorker(Worker):
    """arq's worker, but woken when a task is queued or a slot becomes free instead of polling.

    It only processes tasks, which it moves from arq's queue to leases in one step. It does not use arq's jobs and
    locks.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, poll_delay=0, handle_signals=False)
        self.cron_runs: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._in_slots: set[str] = set()
        """The tasks that wait for a slot or use one; the others of `tasks` are being fetched or stored."""
        self._fetching: dict[str, Task] = {}
        self._sending: set[str] = set()
        """Tasks whose results are being sent to their destinations, of which there may be many."""
        self._waits_for_room = False
        self._beginning: asyncio.Task[None] | None = None

    async def main(self) -> None:
        """Run until cancelled. Unlike arq's loop, it survives outages of Redis, and running tasks continue."""
        await retry_through_outage(self.pool.ping)
        listener = asyncio.create_task(retry_through_outage(self._listen))
        try:
            await retry_through_outage(super().main)
        finally:
            listener.cancel()

    async def _poll_iteration(self) -> None:
        self._wake.clear()
        await retry_through_outage(self._begin_due)
        await retry_through_outage(self.heart_beat)
        with suppress(TimeoutError):
            async with asyncio.timeout(FALLBACK_POLL_S):
                await self._wake.wait()

    async def _begin_due(self) -> None:
        """Start as many due tasks as there are free slots, in one round trip; arq needs five for each task."""
        slots: Slots = self.ctx["slots"]
        # Results are stored while the next images are processed; a slow storage limits the number of tasks.
        free = slots.count - slots.lost - len(self._in_slots)
        room = 2 * slots.count - (len(self.tasks) - len(self._fetching) - len(self._sending))
        self._waits_for_room = room < free
        free, fetches = max(0, min(free, room)), max(0, FETCHES - len(self._fetching))
        if free or fetches:
            self._beginning = asyncio.create_task(self._begin(free, fetches))
            await asyncio.shield(self._beginning)

    async def _begin(self, count: int, fetches: int) -> None:
        store: Tasks = self.ctx["tasks"]
        fetching = self._fetching.values()
        begun = await store.begin(count, self.tasks, worker=worker_name(), fetches=fetches, fetching=fetching)
        for task in begun:
            if task.fetch:
                self._fetching[task.id] = task
            else:
                self._in_slots.add(task.id)
            on_rendered, on_stored = partial(self._leave_slot, task.id), partial(self._on_stored, task.id)
            work = self.ctx["processor"].process(task, on_rendered, on_stored)
            self.tasks[task.id] = self.loop.create_task(work)
            self.tasks[task.id].add_done_callback(partial(self._on_end, task.id))

    def _leave_slot(self, task_id: str) -> None:
        self._in_slots.discard(task_id)
        self._wake.set()

    def _on_stored(self, task_id: str) -> None:
        self._sending.add(task_id)
        self._wake.set()

    def _on_end(self, task_id: str, run: asyncio.Task[None]) -> None:
        if task_id in self._fetching:
            del self._fetching[task_id]
            self._wake.set()
        self._sending.discard(task_id)
        if task_id in self._in_slots or self._waits_for_room:
            self._leave_slot(task_id)
        del self.tasks[task_id]
        if not run.cancelled() and run.exception() is not None:
            logger.error("%s failed; it is started again when its lease expires", task_id, exc_info=run.exception())
        self.jobs_complete += 1

    async def run_cron(self, n: datetime, delay: float, num_windows: int = 2) -> None:  # noqa: ARG002 - arq's signature
        """Run due cron jobs on one of the workers, outside of the queue, in which they would wait behind all tasks."""
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
        except Exception:  # Redis or storage is unavailable, or there is a bug; the job runs again at the next turn
            logger.exception("%s failed", job.name)

    async def _listen(self) -> None:
        """Receive wake-ups and cancellations; polling and lease renewals catch lost ones."""
        async for message in messages(self.pool, WAKE_CHANNEL):
            if message and "processor" in self.ctx:
                self.ctx["processor"].stop(message)
            else:
                self._wake.set()

    async def wind_down(self, grace_s: float) -> None:
        """Wait up to `grace_s` for running tasks, hand back the rest, and close all connections."""
        if self._beginning is not None:
            # The reply to begin.lua, with tasks that Redis has started, may not have arrived yet.
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
            await release(self.ctx)
        await self.pool.aclose(close_connection_pool=True)


async def release(ctx: dict[str, Any]) -> None:
    await ctx["heartbeat"].stop()
    await ctx["outbound"].aclose()
    await ctx["reporter"].stop()
    ctx["slots"].close()
