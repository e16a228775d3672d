"""Idempotency keys in Redis: a claim while the upload arrives, then the record of the response.

A claim is a lease that its request renews; the claim of a process that died expires. `Tasks.create` replaces it with
the record in the same atomic step that creates the task.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

LIFE_S = 15
"""Lifetime of a claim that is not renewed, because its API process died."""
RENEWAL_S = 5

_PREFIX = b"claim:"
"""Prefix of claims, which no record has."""


class KeyInUse(Exception):
    def __init__(self) -> None:
        super().__init__("a request with this Idempotency-Key is still in progress; try again later")


class IdempotencyEntry(Struct, frozen=True):
    """The record that `Tasks.create` stores under `key` for `ttl_ms`, in place of the claim."""

    key: str
    claim: str
    record: str
    ttl_ms: int


class Claim:
    """The claim of one request to an idempotency key. Methods raise redis-py's errors when Redis is unavailable."""

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis = redis
        self._key = key
        self._token = _PREFIX + uuid4().hex.encode()

    async def take(self) -> bytes | None:
        """Claim the key, or return its record, or raise `KeyInUse`, in one round trip."""
        value: bytes | None = await self._redis.set(self._key, self._token, nx=True, get=True, px=LIFE_S * 1000)
        if value is None or value == self._token:  # redis-py repeats a command whose reply it lost
            return None
        if value.startswith(_PREFIX):
            raise KeyInUse
        return value

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renew the claim while the block runs; release it if the block raises, so that the client can try again."""
        renewal = asyncio.create_task(self._renew())
        try:
            yield
        except RedisError:
            raise  # the claim expires; another command would only delay the response
        except BaseException:
            with suppress(RedisError):  # the claim expires
                await self._release()
            raise
        finally:
            renewal.cancel()

    async def _release(self) -> None:
        """Delete the key if it still has this claim; raise `WatchError` if another request takes it now."""
        async with self._redis.pipeline() as pipe:
            await pipe.watch(self._key)
            if await pipe.get(self._key) == self._token:
                pipe.multi()  # type: ignore[no-untyped-call]
                pipe.delete(self._key)
                await pipe.execute()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_S)
            with suppress(RedisError):  # Redis may be available again in time
                # GT: the value may be a record by now, which lives longer.
                await self._redis.pexpire(self._key, LIFE_S * 1000, gt=True)

    def entry_for(self, record: bytes, ttl_s: int) -> IdempotencyEntry:
        return IdempotencyEntry(self._key, self._token.decode(), record.decode(), ttl_s * 1000)
