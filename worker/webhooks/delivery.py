"""The arq worker that delivers webhooks, on a queue of its own: no picture waits for a receiver, no message for one."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from arq.connections import RedisSettings
from arq.constants import health_check_key_suffix
from arq.worker import Retry, Worker
from redis.exceptions import RedisError

from worker.outbound.client import outbound_client
from worker.settings import InvalidSettings, Settings
from worker.tasks.queue import (
    HEALTH_INTERVAL_S,
    LONGEST_REPLY_S,
    NEVER_S,
    NEVER_TRIES,
    WEBHOOK_CHANNEL,
    WEBHOOK_QUEUE,
    connect,
    decode_job,
    encode_job,
    messages,
    retry_through_outage,
)
from worker.telemetry.counters import Reporter
from worker.webhooks.messages import ATTEMPT_TIMEOUT_S, LOCK_MS, SCHEDULE_S, Courier, Webhooks

logger = logging.getLogger(__name__)

DELIVERIES = 64
"""Attempts that a worker makes at once."""

FALLBACK_POLL_S = 1.0
"""How often it looks although nothing woke it: for attempts that have become due."""


async def deliver_webhook(ctx: dict[str, Any], message_id: str) -> None:
    """The arq function: its name and argument are what `worker.tasks.queue.WEBHOOK_JOB` says."""
    pause_s = await ctx["courier"].deliver(message_id)
    if pause_s is not None:
        raise Retry(pause_s)


def webhook_settings(
    settings: Settings, schedule_s: Sequence[float] = SCHEDULE_S, timeout_s: float = ATTEMPT_TIMEOUT_S
) -> dict[str, Any]:
    """Return arq's settings for the worker that delivers webhooks; they need `WEBHOOK_SECRETS`."""
    if not settings.webhook_secrets:
        raise InvalidSettings("WEBHOOK_SECRETS: is needed to deliver webhooks")

    async def on_startup(ctx: dict[str, Any]) -> None:
        if "outbound" not in ctx:  # else it comes back after an outage
            ctx["outbound"] = outbound_client(settings.outbound_allow)
            webhooks = Webhooks(ctx["redis"])
            ctx["reporter"] = Reporter(webhooks.stats, ctx["redis"])
            ctx["courier"] = Courier(settings, webhooks, ctx["outbound"], schedule_s, timeout_s)

    async def on_shutdown(ctx: dict[str, Any]) -> None:
        await ctx["outbound"].aclose()
        await ctx["reporter"].stop()

    return {
        "functions": [deliver_webhook],
        "queue_name": WEBHOOK_QUEUE,
        "on_startup": on_startup,
        "on_shutdown": on_shutdown,
        "redis_settings": RedisSettings.from_dsn(settings.redis_url),  # what `arq --check` reads
        "redis_pool": connect(settings.redis_url),
        "max_jobs": DELIVERIES,
        "job_timeout": NEVER_S,
        "max_tries": NEVER_TRIES,
        "job_completion_wait": settings.shutdown_grace_s,
        "keep_result": 0,
        "health_check_interval": HEALTH_INTERVAL_S,
        "health_check_key": WEBHOOK_QUEUE + health_check_key_suffix,
        "job_serializer": encode_job,
        "job_deserializer": decode_job,
    }


class WebhookWorker(Worker):
    """arq's worker, woken when a message is queued or a slot becomes free, where arq sleeps out its `poll_delay`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, poll_delay=0, handle_signals=False)
        self.in_progress_timeout_s = LOCK_MS / 1000  # arq's own loop has the lock shortened when the job has begun
        self._wake = asyncio.Event()
        self._poll: asyncio.Task[None] | None = None

    async def main(self) -> None:
        """Deliver until cancelled, through any absence of Redis."""
        listener = asyncio.create_task(retry_through_outage(self._listen))
        try:
            await retry_through_outage(self._work)
        finally:
            listener.cancel()

    async def _work(self) -> None:
        try:
            await super().main()
        except (RedisError, OSError):
            await self._recount()
            raise

    async def _recount(self) -> None:
        """Count the free slots again: arq loses some when Redis breaks off under it, and would end."""
        for job_id, run in list(self.tasks.items()):
            if run.done():
                if not run.cancelled() and run.exception() is not None:
                    logger.warning("%s broke off and is delivered again: %s", job_id, run.exception())
                del self.tasks[job_id]
        self.job_counter = len(self.tasks)
        self.sem = asyncio.BoundedSemaphore(self.max_jobs + 1)
        for _ in self.tasks:
            await self.sem.acquire()

    async def _poll_iteration(self) -> None:
        self._wake.clear()
        # Cut off, it would leave a lock without a job that runs.
        self._poll = asyncio.create_task(super()._poll_iteration())
        await asyncio.shield(self._poll)
        with suppress(TimeoutError):
            async with asyncio.timeout(FALLBACK_POLL_S):
                await self._wake.wait()

    def _release_sem_dec_counter_on_complete(self) -> None:
        super()._release_sem_dec_counter_on_complete()
        self._wake.set()

    async def _listen(self) -> None:
        async for _ in messages(self.pool, WEBHOOK_CHANNEL):
            self._wake.set()

    async def wind_down(self, grace_s: float) -> None:
        """Let attempts finish for `grace_s`, leave the rest to others, and release what the worker holds."""
        if self._poll is not None:
            await asyncio.wait({self._poll}, timeout=LONGEST_REPLY_S)
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)
        running = set(self.tasks.values())
        if running:
            _, late = await asyncio.wait(running, timeout=grace_s)
            for each in late:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        if self.on_shutdown is not None and "outbound" in self.ctx:
            await self.on_shutdown(self.ctx)
        await self.pool.aclose(close_connection_pool=True)
