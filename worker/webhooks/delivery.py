"""The arq worker that delivers webhooks. Its own queue keeps slow receivers from delaying images, and vice versa."""

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
from worker.tasks.connection import connect, decode_job, encode_job, retry_through_outage
from worker.tasks.queue import (
    HEALTH_INTERVAL_S,
    LONGEST_REPLY_S,
    NEVER_S,
    NEVER_TRIES,
    WEBHOOK_CHANNEL,
    WEBHOOK_QUEUE,
    messages,
)
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import Reporter
from worker.webhooks.messages import ATTEMPT_TIMEOUT_S, DELIVERIES, LOCK_MS, SCHEDULE_S, Courier, Webhooks

logger = logging.getLogger(__name__)

FALLBACK_POLL_S = 1.0
"""How often the worker polls for attempts that have become due, which publish nothing."""


async def deliver_webhook(ctx: dict[str, Any], message_id: str) -> None:
    """Deliver one message. This is the arq function that `worker.tasks.queue.WEBHOOK_JOB` calls."""
    pause_s = await ctx["courier"].deliver(message_id)
    if pause_s is not None:
        raise Retry(pause_s)


def webhook_settings(
    settings: Settings, schedule_s: Sequence[float] = SCHEDULE_S, timeout_s: float = ATTEMPT_TIMEOUT_S
) -> dict[str, Any]:
    """Return arq's settings for the worker that delivers webhooks; they need `WEBHOOK_SECRETS`."""
    if not settings.webhook_secrets:
        raise InvalidSettings("WEBHOOK_SECRETS: must be set to deliver webhooks")

    async def on_startup(ctx: dict[str, Any]) -> None:
        if "outbound" not in ctx:  # it is there when arq starts again after an outage
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
        "redis_settings": RedisSettings.from_dsn(settings.redis_url),  # for `arq --check`
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
    """arq's worker, but woken when a message is queued or a slot becomes free instead of polling."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, poll_delay=0, handle_signals=False)
        self.in_progress_timeout_s = LOCK_MS / 1000  # arq sets the lock, `shorten_lock` then shortens it
        self._wake = asyncio.Event()
        self._poll: asyncio.Task[None] | None = None

    async def main(self) -> None:
        """Deliver messages until cancelled; outages of Redis do not end it."""
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
        """Restore the number of free slots, of which arq loses some when the connection to Redis breaks."""
        for job_id, run in list(self.tasks.items()):
            if run.done():
                if not run.cancelled() and run.exception() is not None:
                    logger.warning("%s failed and will be delivered again: %s", job_id, run.exception())
                del self.tasks[job_id]
        self.job_counter = len(self.tasks)
        self.sem = asyncio.BoundedSemaphore(self.max_jobs + 1)
        for _ in self.tasks:
            await self.sem.acquire()

    async def _poll_iteration(self) -> None:
        self._wake.clear()
        # Cancelled in between, it would leave a lock without a running job.
        self._poll = asyncio.create_task(self._start_due())
        await asyncio.shield(self._poll)
        with suppress(TimeoutError):
            async with asyncio.timeout(FALLBACK_POLL_S):
                await self._wake.wait()

    async def _start_due(self) -> None:
        """Start the jobs that are due by the server's clock; arq goes by that of this machine."""
        if self.job_counter < self.max_jobs:
            due = await self.pool.zrangebyscore(self.queue_name, "-inf", now_ms(), start=0, num=self.queue_read_limit)
            await self.start_jobs(due)
        self._reap()
        await self.heart_beat()

    def _reap(self) -> None:
        """Forget ended jobs; raise the error of one that failed, as arq does."""
        for job_id, run in list(self.tasks.items()):
            if run.done():
                del self.tasks[job_id]
                run.result()

    def _release_sem_dec_counter_on_complete(self) -> None:
        super()._release_sem_dec_counter_on_complete()
        self._wake.set()

    async def _listen(self) -> None:
        async for _ in messages(self.pool, WEBHOOK_CHANNEL):
            self._wake.set()

    async def wind_down(self, grace_s: float) -> None:
        """Wait up to `grace_s` for running attempts, cancel the rest for other workers, and close all connections."""
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
