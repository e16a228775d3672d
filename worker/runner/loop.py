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
from worker.tasks.queue import LONGEST_REPLY_S, WAKE_CHANNEL, messages, retry_through_outage

FALLBACK_POLL_S = 0.5
"""How often an idle worker looks although nothing woke it: for deferred tasks, lapsed leases and lost wake-ups."""


FETCHES = 16
"""Uploads that a worker fetches at once, about 10 MB of memory each."""


CRON_CLAIM_S = 3600
"""How long it is remembered that a cron job's turn has been taken."""


logger = logging.getLogger(__name__)


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
            self.tasks[task.id].add_done_callback(partial(self._on_end, task.id))

    def _leave_slot(self, task_id: str) -> None:
        self._in_slots.discard(task_id)
        self._wake.set()

    def _on_end(self, task_id: str, run: asyncio.Task[None]) -> None:
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
            await release(self.ctx)
        await self.pool.aclose(close_connection_pool=True)


async def release(ctx: dict[str, Any]) -> None:
    await ctx["heartbeat"].stop()
    await ctx["outbound"].aclose()
    await ctx["reporter"].stop()
    ctx["slots"].close()
