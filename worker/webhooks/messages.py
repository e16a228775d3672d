"""Webhooks by the Standard Webhooks specification 1.0.0: what is sent when a task ends, how, and how often it is tried.

move.lua writes a message and queues its delivery in the very step in which a task with a `callback_url` ends.
`webhook:<message id>` is a hash with a life of its own, because a delivery may outlive its task.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, cast

import httpx2
import msgspec
from redis.asyncio import Redis

from worker.outbound.client import Refused
from worker.outbound.signatures import signed_headers
from worker.settings import Settings
from worker.tasks import queue
from worker.tasks.model import OutputRecord, Status
from worker.telemetry import logs
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import WEBHOOKS, Stats

logger = logging.getLogger(__name__)

MINUTE, HOUR = 60.0, 3600.0
SCHEDULE_S = (0.0, 5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
"""Pause before each attempt, the specification's own; 76 hours in all."""

JITTER = 0.1
"""The part of a pause by which it is longer or shorter, so that what failed together is not tried together again."""

LONGEST_RETRY_AFTER_S = 24 * HOUR

ATTEMPT_TIMEOUT_S = 20.0
"""From resolving the name to the head of the answer; the specification recommends 15 to 30."""

LOCK_MS = 40_000
"""How long a delivery stays with a worker that died; longer than an attempt."""

ATTEMPTS_KEPT = 50
MAX_ERROR_LENGTH = 2000
"""Characters of a task's error in a message, which stays far below the specification's 20 kB."""

EVENT_TYPES = {Status.SUCCESS: "task.succeeded", Status.FAILURE: "task.failed", Status.REVOKED: "task.revoked"}


class State(StrEnum):
    WAITING = "waiting"
    """For its next attempt."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """Every attempt of the schedule was."""
    GONE = "gone"
    """The receiver wants no more of it: 410."""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try to deliver a message: the receiver's status code, or why there is none."""

    at_ms: int
    duration_ms: int
    status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None
    """What the receiver asked for."""

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The webhook for one end of a task. Times are Unix milliseconds."""

    id: str
    task_id: str
    url: str
    status: Status
    ended_ms: int
    error: str
    outputs_json: bytes
    state: State
    tries: int
    """Attempts since the task ended, or since it was asked to be sent again."""
    next_ms: int
    """When the next attempt is due."""
    attempts_json: bytes = b"[]"
    request_id: str = ""
    """The request that sent the task, as in the log."""

    @property
    def attempts(self) -> list[Attempt]:
        return msgspec.json.decode(self.attempts_json, type=list[Attempt])

    @property
    def body(self) -> bytes:
        """The same bytes for every attempt."""
        data: dict[str, Any] = {"task_id": self.task_id, "status": self.status}
        if self.status is Status.SUCCESS:
            outputs = msgspec.json.decode(self.outputs_json, type=dict[str, OutputRecord])
            paths = {name: output.path for name, output in outputs.items()}
            data["result"] = paths.get("", paths)
        elif self.error:
            data["error"] = self.error[:MAX_ERROR_LENGTH]
        ended = datetime.fromtimestamp(self.ended_ms / 1000, UTC).isoformat(timespec="milliseconds")
        event = {"type": EVENT_TYPES[self.status], "timestamp": ended.replace("+00:00", "Z"), "data": data}
        return msgspec.json.encode(event)


class Webhooks:
    """The messages in Redis. Methods raise redis-py's errors when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.stats = Stats()
        """What this process counts; for a `Reporter` to send."""

    async def get(self, message_id: str) -> Message | None:
        """Return a message, or None if it does not exist or has expired."""
        # redis-py types each command for its blocking client too.
        record = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(_key(message_id)))
        if b"status" not in record:
            return None
        fields: dict[str, Any] = {name.decode(): value.decode() for name, value in record.items()}
        fields["outputs_json"] = record[b"outputs"]
        fields["attempts_json"] = record.get(b"attempts", b"[]")
        return msgspec.convert({"id": message_id, **fields}, Message, strict=False)

    async def hold(self, message_id: str) -> None:
        """Shorten arq's lock, an hour long, for the case that the worker dies."""
        await self._redis.pexpire(queue.lock_key(message_id), LOCK_MS)

    async def record(self, message: Message, attempt: Attempt, state: State, next_ms: int) -> None:
        """Write down an attempt and what follows from it."""
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
        """Send a message again, now, and by the whole schedule if need be; its id and its bytes stay."""
        at_ms = now_ms()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_key(message.id), mapping={"state": State.WAITING, "tries": 0, "next_ms": at_ms})
            pipe.pexpire(_key(message.id), queue.MESSAGE_TTL_MS)
            queue.queue_delivery(pipe, message.id, at_ms)
            await pipe.execute()


class Courier:
    """Makes the attempts: each for at most `timeout_s`, as many as there are pauses before them in `schedule_s`."""

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

    async def deliver(self, message_id: str) -> float | None:
        """Make the attempt that is due, and return the seconds until the next one; None when there is to be none."""
        await self._webhooks.hold(message_id)
        message = await self._webhooks.get(message_id)
        if message is None or message.state is not State.WAITING:
            return None  # delivered already, but its worker or Redis died before arq could record it
        logs.task_id.set(message.task_id)
        logs.request_id.set(message.request_id)
        if message.next_ms > now_ms():
            return (message.next_ms - now_ms()) / 1000
        attempt = await self._attempt(message)
        state, pause_s = self._verdict(message, attempt)
        next_ms = now_ms() + round(1000 * (pause_s or 0))
        await queue.retry_through_outage(lambda: self._webhooks.record(message, attempt, state, next_ms))
        outcome = attempt.error or attempt.status
        logger.info("%s webhook %s: attempt %d in %d ms: %s", message.task_id, state, message.tries + 1,
                    attempt.duration_ms, outcome)  # fmt: skip
        return pause_s

    def _verdict(self, message: Message, attempt: Attempt) -> tuple[State, float | None]:
        """Return what an attempt made of a message, and the seconds until the next one if there is to be one."""
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
        except Exception as exc:  # httpx2's, or whatever else an answer from outside brings about
            error = f"{type(exc).__name__}: {exc}"
        return Attempt(at_ms, round(1000 * (time.monotonic() - began)), status, error, retry_after_s)

    async def _post(self, message: Message, at_s: int) -> tuple[int, float | None]:
        """Send a message; return the answer's status and the seconds that it asks to wait. Its body is not read."""
        body = message.body
        headers = {"Content-Type": "application/json", **signed_headers(message.id, body, at_s, self._secrets)}
        if message.request_id:
            headers["X-Request-ID"] = message.request_id
        async with self._outbound.stream("POST", message.url, content=body, headers=headers) as answer:
            return answer.status_code, retry_after_s(answer.headers.get("retry-after", ""))


def retry_after_s(value: str) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3), seconds or a date; None for what is neither."""
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _key(message_id: str) -> str:
    return f"webhook:{message_id}"
