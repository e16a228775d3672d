"""The queue in Redis: arq's keys and jobs, and the channels that wake workers.

Only this module and `worker.main` use arq's terms (job, in-progress).
"""

from collections.abc import AsyncIterator

from arq.constants import default_queue_name, health_check_key_suffix, in_progress_key_prefix, job_key_prefix
from arq.jobs import serialize_job
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from worker.tasks.connection import encode_job

PROCESS_TASK = "process_task"
"""Name of the arq function that processes a task."""

WAKE_CHANNEL = "darkroom:wake"
"""Pub/sub channel: an empty message when a task is queued and none waited, an id when that task must stop."""

FETCH_QUEUE = default_queue_name + ":fetch"
"""Queue of tasks whose upload must be fetched by URL, so that slow hosts do not delay other tasks."""

FETCHES = 32
"""Uploads that a worker fetches at the same time, each with about 10 MB of memory."""

FETCHES_PER_HOST, FETCHES_PER_FLOW = 8, 16
"""The most of those for one host and for one API key or queue group, so that hosts that hang do not delay others."""

WEBHOOK_QUEUE = default_queue_name + ":webhooks"
WEBHOOK_CHANNEL = "darkroom:webhooks"
"""Pub/sub channel: an empty message when a webhook is due."""

DELIVER_WEBHOOK = "deliver_webhook"
"""Name of the arq function that delivers a webhook message."""

MESSAGE_TTL_MS = 7 * 86_400_000
"""Time to live of a webhook message after its last attempt; longer than any pause between attempts."""

NEVER_S = 3600.0
"""arq's job timeout, too long to matter: when it ends a job, the task never reaches a final state."""
NEVER_TRIES = 1_000_000
"""arq's `max_tries`, too high to matter: `max_attempts` and the webhook schedule limit the attempts."""

HEALTH_KEY = default_queue_name + health_check_key_suffix
HEALTH_INTERVAL_S = 5  # `arq --check` fails 6 s after the last worker's end

JOB_EXPIRES_MS = 30 * 86_400_000
"""Time to live of arq's job keys, longer than any wait: arq drops a job without a key, and the task would never end."""

LEASES = "tasks:leases"
"""Sorted set of the ids of running tasks, scored with the time at which their lease expires (Unix ms)."""

EVENTS_KEPT = 100_000
"""Approximate length of the stream of events; an event has about 100 bytes."""

BEGIN_ARGS = {"lock_prefix": in_progress_key_prefix, "job_prefix": job_key_prefix}
"""The parts of arq's keys that begin.lua needs."""

REUSE_HOLD_MS = 30_000
"""Time after which a task that waits for the results of another is started, in case nobody gives it those."""

LEASE_S = 15
"""Time after which other workers may take over a task whose lease is not renewed."""
LEASE_RENEWAL_S = 5

LONGEST_REPLY_S = 2.0
"""Time that a stopping worker waits for the reply to begin.lua; after that, the leases expire."""


def job_keys(task_id: str) -> list[str]:
    """Return the keys of a task's job, the queue, the leases and the fetch queue."""
    return [job_key_prefix + task_id, default_queue_name, LEASES, FETCH_QUEUE]


def job_for(task_id: str, at_ms: int) -> bytes:
    """Return the job that runs a task, as `ArqRedis.enqueue_job` writes it.

    Our scripts store it together with the task's record, which saves arq's three round trips.
    """
    return _job(PROCESS_TASK, task_id, at_ms)


def _job(function: str, argument: str, at_ms: int) -> bytes:
    job = serialize_job(function, (argument,), {}, None, at_ms, serializer=encode_job)
    if job is None:
        raise TypeError("arq could not serialize the job")
    return job


WEBHOOK_JOB = _job(DELIVER_WEBHOOK, "MESSAGE_ID", 0)
"""The job that delivers a webhook; move.lua replaces MESSAGE_ID."""


def move_keys(task_id: str) -> list[str]:
    """Return `job_keys` and the webhook queue."""
    return [*job_keys(task_id), WEBHOOK_QUEUE]


WEBHOOK_ARGS: dict[str, str | bytes | int] = {
    "webhook_job": WEBHOOK_JOB,
    "job_prefix": job_key_prefix,
    "webhook_channel": WEBHOOK_CHANNEL,
    "message_ttl_ms": MESSAGE_TTL_MS,
}
"""The arguments of move.lua with which it queues the delivery of a webhook message."""


def queue_delivery(pipe: Pipeline, message_id: str, at_ms: int) -> None:
    """Add the commands to a pipeline that make the delivery of a message due at `at_ms` (Unix ms)."""
    pipe.set(job_key_prefix + message_id, _job(DELIVER_WEBHOOK, message_id, at_ms), px=MESSAGE_TTL_MS)
    pipe.zadd(WEBHOOK_QUEUE, {message_id: at_ms})
    pipe.publish(WEBHOOK_CHANNEL, "")


def lock_key(job_id: str) -> str:
    """Return the key of arq's lock, which marks a job as running."""
    return in_progress_key_prefix + job_id


async def messages(redis: Redis, channel: str) -> AsyncIterator[str]:
    """Yield the messages that are published on a channel."""
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(channel)
        while True:
            # The connection's timeout is for commands; a subscription may be silent for longer.
            message = await subscription.get_message(timeout=60)
            if message:
                yield message["data"].decode()


PAUSED = "tasks:paused"
"""Key with the time at which the queue was paused (Unix ms); it exists only while the queue is paused."""


QUEUES = [default_queue_name, FETCH_QUEUE]

LOST_KEYS = [default_queue_name, FETCH_QUEUE, LEASES]
"""The keys of find_lost.lua."""


def begin_keys(token: str) -> list[str]:
    """Return the keys of begin.lua; `token` identifies the call."""
    return [default_queue_name, LEASES, f"tasks:begun:{token}", FETCH_QUEUE, PAUSED]


def lease_keys(task_id: str) -> list[str]:
    return [LEASES, lock_key(task_id)]
