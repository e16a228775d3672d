"""The checks behind `GET /readyz`, shared by all requests of a few seconds."""

import asyncio
import logging
from collections.abc import Awaitable
from contextvars import Context

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from worker.runner.heartbeat import any_worker_alive
from worker.storage import Storage, StorageUnavailable

logger = logging.getLogger(__name__)

TIMEOUT_S = 2.0

FRESH_S = 2.0
"""Time for which results are used again: each run writes to Redis and to storage."""


class Checks(Struct, frozen=True):
    """Each check is `ok` or the error, which does not name addresses and paths."""

    redis: str
    storage: str
    worker: str

    @property
    def are_ok(self) -> bool:
        return self.redis == self.storage == self.worker == "ok"


class HealthChecks:
    """Checks Redis, storage and the workers, at most once at a time."""

    def __init__(self, redis: Redis, storage: Storage) -> None:
        self._redis = redis
        self._storage = storage
        self._run: asyncio.Task[Checks] | None = None
        self._ended_s = 0.0

    async def results(self, fresh_s: float = FRESH_S) -> Checks:
        """Return results that are at most `fresh_s` old."""
        loop = asyncio.get_running_loop()
        if self._run is None or (self._run.done() and loop.time() - self._ended_s > fresh_s):
            self._run = loop.create_task(self._checks(), context=Context())  # not a request's
        return await asyncio.shield(self._run)

    async def close(self) -> None:
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)

    async def _checks(self) -> Checks:
        checks = Checks(
            *await asyncio.gather(
                _check("Redis", self._write()),
                _check("storage", self._storage.check()),
                _check("worker", self._require_worker()),
            )
        )
        self._ended_s = asyncio.get_running_loop().time()
        return checks

    async def _write(self) -> None:
        await self._redis.set("readiness", b"", ex=60)  # a full Redis answers, but refuses it

    async def _require_worker(self) -> None:
        if not await any_worker_alive(self._redis):
            raise LookupError("no worker has reported recently")


async def _check(name: str, part: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await part
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    except LookupError as exc:
        return str(exc)
    except (RedisError, StorageUnavailable) as exc:
        logger.warning("not ready: %s: %s", name, exc)
        return "full" if isinstance(exc, OutOfMemoryError) else "not available"
    return "ok"
