"""Keys that stand for one task each: claimed while its upload arrives, then a record of what was answered.

A claim is a lease: its holder renews it, and one whose holder died lapses. `Tasks.create` puts the record in its
place, in the same step that makes the task.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker.telemetry.lua import Script

LIFE_S = 15
"""How long the key of an API that died stays taken; a client asks again within this time."""
RENEWAL_S = 5

_MARK = b"claim:"
"""Begins every claim and no record."""


class KeyInUse(Exception):
    def __init__(self) -> None:
        super().__init__("a request with this Idempotency-Key is still in progress; try again later")


class IdempotencyEntry(Struct, frozen=True):
    """What `Tasks.create` is to keep under a key, for `ttl_ms`, in the place of the claim."""

    key: str
    claim: str
    record: str
    ttl_ms: int


class Claim:
    """One request's claim to a key. Methods raise redis-py's errors when Redis is away."""

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis = redis
        self._key = key
        self._token = _MARK + uuid4().hex.encode()

    async def take(self) -> bytes | None:
        """Claim the key, or return the record that is kept under it, or raise `KeyInUse`; in one round trip."""
        found: bytes | None = await self._redis.set(self._key, self._token, nx=True, get=True, px=LIFE_S * 1000)
        if found is None or found == self._token:  # redis-py repeats a command whose reply it lost
            return None
        if found.startswith(_MARK):
            raise KeyInUse
        return found

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep the claim while the block runs; let go of it if that raises, so that the request can be sent again."""
        renewal = asyncio.create_task(self._renew())
        try:
            yield
        except RedisError:
            raise  # it lapses: Redis would only keep the client waiting longer
        except BaseException:
            with suppress(RedisError):  # it lapses
                await Script(self._redis, "worker.tasks", "release_claim")(keys=[self._key], claim=self._token)
            raise
        finally:
            renewal.cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_S)
            with suppress(RedisError):  # it may be back in time
                # GT: should the claim be a record by now, that lives longer.
                await self._redis.pexpire(self._key, LIFE_S * 1000, gt=True)

    def entry_for(self, record: bytes, ttl_s: int) -> IdempotencyEntry:
        return IdempotencyEntry(self._key, self._token.decode(), record.decode(), ttl_s * 1000)
