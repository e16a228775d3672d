"""Webhook messages, their delivery and its schedule, as in the Standard Webhooks specification 1.0.0.

When a task with a `callback_url` ends, move.lua writes the message and queues its delivery in the same atomic step.
`webhook:<message id>` is a hash with its own time to live, because a delivery may outlive its task.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Sequence
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

import httpx2
import msgspec
from msgspec import UNSET, Meta, Struct
from redis.asyncio import Redis

from worker.outbound.client import Refused
from worker.outbound.shares import NoPlace, Shares
from worker.outbound.signatures import signature_headers
from worker.settings import Settings
from worker.tasks import queue
from worker.tasks.connection import retry_through_outage
from worker.tasks.model import OutputRecord
from worker.tasks.status import EndedTask, Status, TaskId, Time
from worker.telemetry import logs
from worker.telemetry.clock import now_ms, rfc3339
from worker.telemetry.counters import WEBHOOKS, Stats

logger = logging.getLogger(__name__)

MINUTE, HOUR = 60.0, 3600.0
SCHEDULE_S = (0.0, 5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
"""Pause in seconds before each attempt, as the specification recommends; 76 hours in total."""

JITTER = 0.1
"""Random share by which a pause is longer or shorter, so that messages that fail together are not retried together."""

LONGEST_RETRY_AFTER_S = 24 * HOUR

ATTEMPT_TIMEOUT_S = 20.0
"""Limit from the DNS lookup to the response headers; the specification recommends 15 to 30 s."""

DELIVERIES = 256
"""Attempts that a worker makes at the same time, half of them for one API key."""

DELIVERIES_PER_HOST = 16
"""The most of those to one receiver: 200 that did not answer delayed all others by a minute."""

BUSY_PAUSE_S = (0.5, 1.5)
"""Shortest and longest pause before a message is looked at again whose receiver or owner has its share."""

LOCK_MS = 40_000
"""Time after which another worker takes over the delivery of a dead one; longer than an attempt."""

ATTEMPTS_KEPT = 50
MAX_ERROR_LENGTH = 2000
"""Maximum number of characters of a task's error in a message; the specification's limit for a message is 20 kB."""

EVENT_TYPES = {Status.SUCCESS: "task.succeeded", Status.FAILURE: "task.failed", Status.REVOKED: "task.revoked"}


class WebhookEvent(Struct, frozen=True):
    """The payload of a webhook, which is sent when a task ends."""

    type: Literal[tuple(EVENT_TYPES.values())]  # type: ignore[valid-type]
    timestamp: Time
    data: EndedTask


class BatchCounts(Struct, frozen=True):
    """How the tasks of a batch have ended."""

    batch_id: TaskId
    counts: Annotated[dict[Status, int], Meta(description="Number of tasks in each final state.")]


class BatchEvent(Struct, frozen=True):
    """The payload of a webhook, which is sent when all tasks of a batch have ended."""

    type: Literal["batch.completed"]
    timestamp: Time
    data: BatchCounts


class State(StrEnum):
    WAITING = "waiting"
    """The next attempt is scheduled."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """Every attempt of the schedule has failed."""
    GONE = "gone"
    """The receiver answered 410 Gone, which ends the attempts."""


class Attempt(Struct, frozen=True, omit_defaults=True):
    """One attempt to deliver a message, with the receiver's status code or the error."""

    at_ms: int
    duration_ms: int
    status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None
    """The receiver's `Retry-After`."""

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Message(Struct, frozen=True, kw_only=True):
    """The webhook for one end of a task or of a batch. Times are Unix milliseconds."""

    id: str
    task_id: str
    """Id of the task or of the batch."""
    url: str
    status: Status
    ended_ms: int
    error: str = ""
    tags: str = ""
    """The tags of the task, comma-separated."""
    outputs_json: bytes = b"{}"
    counts_json: bytes = b""
    """The number of tasks in each final state, for a batch."""
    state: State
    tries: int
    """Attempts since the task ended, or since a client requested to send the message again."""
    next_ms: int
    """When the next attempt is due."""
    attempts_json: bytes = b"[]"
    owner: str = ""
    """Name of the API key that created the task, if there is one."""
    request_id: str = ""
    """The X-Request-ID of the request that created the task."""

    @property
    def attempts(self) -> list[Attempt]:
        return msgspec.json.decode(self.attempts_json, type=list[Attempt])

    @property
    def body(self) -> bytes:
        """The payload, which is the same for every attempt."""
        if self.counts_json:
            counts = msgspec.json.decode(self.counts_json, type=dict[Status, int])
            event = BatchEvent("batch.completed", rfc3339(self.ended_ms), BatchCounts(self.task_id, counts))
            return msgspec.json.encode(event)
        tags = self.tags.split(",") if self.tags else UNSET
        if self.status is Status.SUCCESS:
            outputs = msgspec.json.decode(self.outputs_json, type=dict[str, OutputRecord])
            paths = {name: output.path for name, output in outputs.items()}
            data = EndedTask(self.task_id, self.status, result=paths.get("", paths), tags=tags)
        else:
            error = self.error[:MAX_ERROR_LENGTH] or UNSET
            data = EndedTask(self.task_id, self.status, error=error, tags=tags)
        return msgspec.json.encode(WebhookEvent(EVENT_TYPES[self.status], rfc3339(self.ended_ms), data))


class Webhooks:
    """The messages in Redis. Methods raise redis-py's errors when Redis is unavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.stats = Stats()
        """Counters of this process, which a `Reporter` sends to Redis."""

    async def get(self, message_id: str) -> Message | None:
        """Return a message, or None if it does not exist or has expired."""
        # redis-py types each command for its blocking client too.
        record = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(_key(message_id)))
        if b"status" not in record:
            return None
        fields: dict[str, Any] = {name.decode(): value.decode() for name, value in record.items()}
        fields["outputs_json"] = record.get(b"outputs", b"{}")
        fields["counts_json"] = record.get(b"counts", b"")
        fields["attempts_json"] = record.get(b"attempts", b"[]")
        return msgspec.convert({"id": message_id, **fields}, Message, strict=False)

    async def shorten_lock(self, message_id: str) -> None:
        """Shorten arq's lock from an hour to `LOCK_MS`, so that another worker can take over soon if this one dies."""
        await self._redis.pexpire(queue.lock_key(message_id), LOCK_MS)

    async def record(self, message: Message, attempt: Attempt, state: State, next_ms: int) -> None:
        """Store an attempt, the new state and the time of the next attempt (Unix ms)."""
        attempts = [*message.attempts, attempt][-ATTEMPTS_KEPT:]
        fields: dict[str, str | int | bytes] = {
            "attempts": msgspec.json.encode(attempts), "state": state, "next_ms": next_ms, "tries": message.tries + 1,
        }  # fmt: skip
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_key(message.id), mapping=fields)
            pipe.pexpire(_key(message.id), queue.MESSAGE_TTL_MS)
            await pipe.execute()
        self.stats.count(WEBHOOKS, state)

    async def resend(self, message: Message) -> None:
        """Queue a message for delivery now, with the whole schedule ahead; its id and its payload stay the same."""
        at_ms = now_ms()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_key(message.id), mapping={"state": State.WAITING, "tries": 0, "next_ms": at_ms})
            pipe.pexpire(_key(message.id), queue.MESSAGE_TTL_MS)
            queue.queue_delivery(pipe, message.id, at_ms)
            await pipe.execute()


class Courier:
    """Delivers messages, with one attempt of at most `timeout_s` for each pause in `schedule_s`."""

    def __init__(
        self,
        settings: Settings,
        webhooks: Webhooks,
        outbound: httpx2.AsyncClient,
        schedule_s: Sequence[float] = SCHEDULE_S,
        timeout_s: float = ATTEMPT_TIMEOUT_S,
    ) -> None:
        self._secrets = settings.webhook_secrets
        self._webhooks = webhooks
        self._outbound = outbound
        self._schedule_s = schedule_s
        self._timeout_s = timeout_s
        self._hosts = Shares(DELIVERIES, DELIVERIES_PER_HOST)
        self._owners = Shares(DELIVERIES, DELIVERIES // 2)

    async def deliver(self, message_id: str) -> float | None:
        """Make the attempt that is due; return the seconds until the next one, or None after the last."""
        await self._webhooks.shorten_lock(message_id)
        message = await self._webhooks.get(message_id)
        if message is None or message.state is not State.WAITING:
            return None  # already delivered, but the worker or Redis died before arq recorded it
        logs.task_id.set(message.task_id)
        logs.request_id.set(message.request_id)
        if message.next_ms > now_ms():
            return (message.next_ms - now_ms()) / 1000
        try:
            async with self._hosts.place(urlsplit(message.url).netloc, 0), self._owners.place(message.owner, 0):
                attempt = await self._attempt(message)
        except NoPlace:
            return random.uniform(*BUSY_PAUSE_S)  # noqa: S311
        state, pause_s = self._next_step(message, attempt)
        next_ms = now_ms() + round(1000 * (pause_s or 0))
        await retry_through_outage(lambda: self._webhooks.record(message, attempt, state, next_ms))
        outcome = attempt.error or attempt.status
        logger.info("%s webhook %s: attempt %d in %d ms: %s", message.task_id, state, message.tries + 1,
                    attempt.duration_ms, outcome)  # fmt: skip
        return pause_s

    def _next_step(self, message: Message, attempt: Attempt) -> tuple[State, float | None]:
        """Return the message's state after an attempt, and the seconds until the next one if there is one."""
        if attempt.is_delivered:
            return State.DELIVERED, None
        if attempt.status == 410:
            return State.GONE, None
        if message.tries + 1 >= len(self._schedule_s):
            return State.FAILED, None
        pause_s = self._schedule_s[message.tries + 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        return State.WAITING, max(pause_s, min(attempt.retry_after_s or 0, LONGEST_RETRY_AFTER_S))

    async def _attempt(self, message: Message) -> Attempt:
        at_ms, began = now_ms(), time.monotonic()
        status = error = retry_after_s = None
        try:
            async with asyncio.timeout(self._timeout_s):
                status, retry_after_s = await self._post(message, at_ms // 1000)
        except TimeoutError:
            error = f"no answer within {self._timeout_s:g} s"
        except Refused as exc:
            error = f"the address {exc}"
        except Exception as exc:  # httpx2's errors, and any other that a foreign response causes
            error = f"{type(exc).__name__}: {exc}"
        return Attempt(at_ms, round(1000 * (time.monotonic() - began)), status, error, retry_after_s)

    async def _post(self, message: Message, at_s: int) -> tuple[int, float | None]:
        """Send a message; return the response's status and its `Retry-After` in seconds. Its body is not read."""
        body = message.body
        headers = {"Content-Type": "application/json", **signature_headers(message.id, body, at_s, self._secrets)}
        if message.request_id:
            headers["X-Request-ID"] = message.request_id
        async with self._outbound.stream("POST", message.url, content=body, headers=headers) as answer:
            return answer.status_code, retry_after_s(answer.headers.get("retry-after", ""))


def retry_after_s(value: str) -> float | None:
    """Parse a Retry-After header (RFC 9110, 10.2.3) of seconds or a date; return None if it is neither."""
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_ms() / 1000)
    except (ValueError, OverflowError):
        return None


def _key(message_id: str) -> str:
    return f"webhook:{message_id}"
