"""The queue: how tasks are handed to arq, and how idle workers are woken.

arq's own words (job, queue, in-progress) live here and in `worker.main` only.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

import msgspec
from arq.connections import ArqRedis
from arq.constants import default_queue_name, health_check_key_suffix, in_progress_key_prefix, job_key_prefix
from arq.jobs import serialize_job
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from worker.telemetry.clock import now_ms

logger = logging.getLogger(__name__)

T = TypeVar("T")

PROCESS_TASK = "process_task"
"""The name under which the arq function is registered."""

WAKE_CHANNEL = "darkroom:wake"
"""Hears of a task that is queued where none waited (an empty message) and of one that is to stop (its id)."""

FETCH_QUEUE = default_queue_name + ":fetch"
"""Where tasks wait whose uploads are yet to be fetched: behind one that answers slowly, no other task stands."""

WEBHOOK_QUEUE = default_queue_name + ":webhooks"
WEBHOOK_CHANNEL = "darkroom:webhooks"
"""Hears of a message that is to be delivered now."""

DELIVER_WEBHOOK = "deliver_webhook"
"""The name under which the arq function is registered."""

MESSAGE_TTL_MS = 7 * 86_400_000
"""How long a message is kept after its last attempt; far longer than any pause."""

NEVER_S = 3600.0
"""arq's own job timeout, out of the way: it would take the job from the queue and leave it without an end."""
NEVER_TRIES = 1_000_000
"""arq's own `max_tries`: it would fail the job without calling us. Ours are `max_attempts` and a schedule."""

HEALTH_KEY = default_queue_name + health_check_key_suffix
HEALTH_INTERVAL_S = 5  # `arq --check` fails 6 s after the last worker's end

JOB_EXPIRES_MS = 30 * 86_400_000
"""arq fails a job whose key is gone as "expired" and its task would never end: far beyond any queue."""

LEASES = "tasks:leases"
"""Sorted set of the running tasks' ids, scored with the time at which each is free for other workers (Unix ms)."""

BEGIN_ARGS = {"lock_prefix": in_progress_key_prefix, "job_prefix": job_key_prefix}
"""The parts of arq's keys that begin.lua needs."""

LEASE_S = 15
"""How long a task stays with a worker that no longer renews its lease."""
LEASE_RENEWAL_S = 5

LONGEST_REPLY_S = 2.0
"""How long a stopping worker waits for the reply to a command that starts tasks; else their leases lapse."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 2.0
"""Between two tries to reach Redis."""

encode_job = msgspec.json.Encoder(enc_hook=repr).encode
decode_job = msgspec.json.Decoder().decode


class PlainWrites(AbstractConnection):
    """A connection that bounds reads by `socket_timeout`, as redis-py does, but not writes.

    redis-py wraps each write in `asyncio.wait_for`, which on Python 3.11 loses a cancellation that arrives as it ends
    (cpython #86296: a worker then never stops), and costs a task for each command. A server that does not take our
    small writes does not answer them either, so the read's bound holds for both.
    """

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        if not self.is_connected:
            await self.connect()  # type: ignore[no-untyped-call] # its handshake reads, bounded
        timeout_s, self.socket_timeout = self.socket_timeout, None
        try:
            await super().send_packed_command(command, check_health)
        finally:
            self.socket_timeout = timeout_s


def connect(url: str, *, request_timeout_s: float | None = None) -> ArqRedis:
    """Make a client for `url`; it connects on first use, and a connection that Redis closed is replaced unnoticed.

    A command fails when Redis does not answer within 5 s and three retries with pauses fail as well. The API gives
    `request_timeout_s`, because its clients wait for their 503: a command then fails after that time and one retry.
    """
    timeout_s = 5.0 if request_timeout_s is None else request_timeout_s
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=100,
        timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), 3) if request_timeout_s is None else Retry(NoBackoff(), 1),
        retry_on_error=[RedisConnectionError],
    )
    pool.connection_class = type("Connection", (PlainWrites, pool.connection_class), {})
    return ArqRedis(pool, job_serializer=encode_job, job_deserializer=decode_job)


async def retry_through_outage(action: Callable[[], Awaitable[T]]) -> T:
    """Do `action`, again and again with growing pauses while Redis is away."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await action()
        except (RedisError, OSError) as exc:
            logger.warning("Redis does not do its part (%s); trying again in %g s", exc, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def job_keys(task_id: str) -> list[str]:
    """Return the keys by which a task waits and runs: its job's, the queue's, the leases' and the fetch queue's."""
    return [job_key_prefix + task_id, default_queue_name, LEASES, FETCH_QUEUE]


def job_for(task_id: str, at_ms: int) -> bytes:
    """Return the job that runs a task, as `ArqRedis.enqueue_job` would write it.

    Our scripts store it together with the task's record, and without arq's three round trips to see whether it is new.
    """
    return _job(PROCESS_TASK, task_id, at_ms)


def _job(function: str, argument: str, at_ms: int) -> bytes:
    job = serialize_job(function, (argument,), {}, None, at_ms, serializer=encode_job)
    if job is None:
        raise TypeError("arq could not serialize the job")
    return job


WEBHOOK_JOB = _job(DELIVER_WEBHOOK, "MESSAGE_ID", 0)
"""The job that delivers a message, with a word in the place of the id, which move.lua makes."""


def move_keys(task_id: str) -> list[str]:
    """Return the keys of `job_keys`, and the queue of webhooks."""
    return [*job_keys(task_id), WEBHOOK_QUEUE]


WEBHOOK_ARGS: dict[str, str | bytes | int] = {
    "webhook_job": WEBHOOK_JOB,
    "job_prefix": job_key_prefix,
    "webhook_channel": WEBHOOK_CHANNEL,
    "message_ttl_ms": MESSAGE_TTL_MS,
}
"""The arguments of move.lua with which it queues the delivery of a webhook message."""


def queue_delivery(pipe: Pipeline, message_id: str, at_ms: int) -> None:
    """Add to a transaction what makes a message's delivery due at once."""
    pipe.set(job_key_prefix + message_id, _job(DELIVER_WEBHOOK, message_id, at_ms), px=MESSAGE_TTL_MS)
    pipe.zadd(WEBHOOK_QUEUE, {message_id: at_ms})
    pipe.publish(WEBHOOK_CHANNEL, "")


def lock_key(job_id: str) -> str:
    """Return the key by which arq knows that a job runs."""
    return in_progress_key_prefix + job_id


async def messages(redis: Redis, channel: str) -> AsyncIterator[str]:
    """Yield what is published on a channel."""
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(channel)
        while True:
            # Without a time of its own it would end with the connection's, which is meant for commands.
            message = await subscription.get_message(timeout=60)
            if message:
                yield message["data"].decode()


PAUSED = "tasks:paused"
"""When the queue was paused (Unix ms); there is no such key otherwise."""


def begin_keys(token: str) -> list[str]:
    """Return the keys with which begin.lua takes tasks from the queues, in a call of its own token."""
    return [default_queue_name, LEASES, f"tasks:begun:{token}", FETCH_QUEUE, PAUSED]


def lease_keys(task_id: str) -> list[str]:
    return [LEASES, lock_key(task_id)]


async def rank(redis: Redis, task_id: str) -> int | None:
    """Return how many jobs are due before a task's in its queue; None when it is in none."""
    found: int | None = await redis.zrank(default_queue_name, task_id)
    return await redis.zrank(FETCH_QUEUE, task_id) if found is None else found


async def held_task_ids(redis: Redis, task_ids: list[str]) -> set[str]:
    """Return those of the tasks that are in a queue (waiting, put off) or run under a lease that has not lapsed."""
    if not task_ids:
        return set()
    async with redis.pipeline(transaction=False) as pipe:
        pipe.zmscore(default_queue_name, task_ids)
        pipe.zmscore(FETCH_QUEUE, task_ids)
        pipe.zmscore(LEASES, task_ids)
        waiting, to_fetch, running = await pipe.execute()
    now = now_ms()
    return {
        task_id
        for task_id, *due, lapse in zip(task_ids, waiting, to_fetch, running, strict=True)
        if due != [None, None] or (lapse is not None and lapse > now)
    }
