"""Uploads that arrive in several requests: their parts in storage, and how much has arrived in Redis.

upload:<id>        hash: the request that began the upload, the offset, the task
upload:<id>:parts  list of the paths of its parts in storage
uploads:partial    id -> when it expires (Unix ms); `uploads:partial:<party>` the same for each client
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any, cast
from uuid import uuid4

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError, WatchError

from worker.storage import Storage, StorageUnavailable
from worker.telemetry.clock import now_ms

logger = logging.getLogger(__name__)

LIFE_S = 86_400
"""Time in seconds after its beginning at which an upload expires."""

MOST_OPEN = 100
"""Maximum number of unfinished uploads of one client."""

PART_BYTES = 1024 * 1024
"""Size of a part; a killed process loses at most this much."""

INDEX = "uploads:partial"


class PartialUpload(Struct, frozen=True, kw_only=True):
    """An upload that arrives in several requests. Its body is that of the request that began it."""

    id: str
    owner: str | None = None
    """Name of the API key that began it, if there is one."""
    party: str
    """The client, by API key or address."""
    query: str
    content_type: str
    length: int | None = None
    """Size of the whole body in bytes, if it is known."""
    offset: int = 0
    """Number of bytes that have arrived and are stored."""
    is_complete: bool = False
    """Whether the whole body has arrived and has been used."""
    task_id: str | None = None
    """The task that was created from the complete body."""


class UploadNotFound(Exception):
    def __init__(self, upload_id: str) -> None:
        super().__init__(f"no unfinished upload has the id {upload_id[:64]!r}, or it has expired")


class OffsetMismatch(Exception):
    """Other bytes arrived than those that follow the stored ones."""

    def __init__(self, expected: int, given: int) -> None:
        super().__init__(f"Upload-Offset must be {expected}, the number of bytes that have arrived; got {given}")
        self.expected = expected


class TooManyPartialUploads(Exception):
    def __init__(self) -> None:
        super().__init__(f"this client has {MOST_OPEN} unfinished uploads; finish or delete some")


class PartialUploads:
    """The unfinished uploads. Methods raise redis-py's errors and `StorageUnavailable`."""

    def __init__(self, redis: Redis, storage: Storage) -> None:
        self._redis = redis
        self._storage = storage

    async def create(self, upload: PartialUpload) -> None:
        """Begin an upload; raise `TooManyPartialUploads`."""
        now, index = now_ms(), f"{INDEX}:{upload.party}"
        await self._redis.zremrangebyscore(index, "-inf", now)
        if await self._redis.zcard(index) >= MOST_OPEN:
            raise TooManyPartialUploads
        record = {name: value for name, value in msgspec.to_builtins(upload).items() if value is not None}
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_key(upload.id), mapping={**record, "is_complete": int(upload.is_complete)})
            pipe.pexpire(_key(upload.id), 2 * LIFE_S * 1000)  # the clean-up deletes it before, with its parts
            pipe.zadd(INDEX, {upload.id: now + LIFE_S * 1000})
            pipe.zadd(index, {upload.id: now + LIFE_S * 1000})
            pipe.expire(index, 2 * LIFE_S)
            await pipe.execute()

    async def get(self, upload_id: str) -> PartialUpload:
        """Return an upload, or raise `UploadNotFound`."""
        record = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(_key(upload_id)))
        if b"party" not in record:  # unknown, or deleted while a part was added
            raise UploadNotFound(upload_id)
        fields: dict[str, Any] = {name.decode(): value.decode() for name, value in record.items()}
        return msgspec.convert({**fields, "id": upload_id}, PartialUpload, strict=False)

    async def append(self, upload: PartialUpload, chunks: AsyncIterator[bytes]) -> int:
        """Store more bytes; return the new offset. What has arrived stays if `chunks` raises.

        Raises `OffsetMismatch` if another request has added bytes in the meantime, and `UploadNotFound` if one has
        deleted the upload.
        """
        offset, part = upload.offset, bytearray()
        try:
            async for chunk in chunks:
                part += chunk
                if len(part) >= PART_BYTES:
                    offset, part = await self._add(upload, offset, bytes(part)), bytearray()
        except (OffsetMismatch, UploadNotFound):
            raise
        except BaseException:
            with suppress(OffsetMismatch, UploadNotFound, RedisError, StorageUnavailable):
                await asyncio.shield(self._add(upload, offset, bytes(part)))
            raise
        return await self._add(upload, offset, bytes(part))

    async def _add(self, upload: PartialUpload, offset: int, data: bytes) -> int:
        """Store a part at `offset` and return its end, or raise `OffsetMismatch`."""
        if not data:
            return offset
        path = f"{_folder(upload.id)}/{offset:012d}-{uuid4().hex}"
        await self._storage.put_bytes(path, data)
        key, end = _key(upload.id), offset + len(data)
        async with self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(key)
            present = await cast("Awaitable[bytes | None]", pipe.hget(key, "offset"))
            pipe.multi()  # type: ignore[no-untyped-call]
            pipe.hset(key, "offset", str(end))
            pipe.rpush(_parts(upload.id), path)
            pipe.pexpire(_parts(upload.id), 2 * LIFE_S * 1000)
            with suppress(WatchError):
                if present == str(offset).encode():
                    await pipe.execute()
                    return end
        await self._storage.delete(path)
        raise OffsetMismatch((await self.get(upload.id)).offset, offset)

    async def set_length(self, upload: PartialUpload, length: int) -> PartialUpload:
        """Record the size of the whole body, which the first request did not say."""
        await cast("Awaitable[int]", self._redis.hset(_key(upload.id), "length", str(length)))
        return msgspec.structs.replace(upload, length=length)

    async def body(self, upload: PartialUpload) -> AsyncIterator[bytes]:
        """Yield all bytes that have arrived."""
        paths = await cast("Awaitable[list[bytes]]", self._redis.lrange(_parts(upload.id), 0, -1))
        for path in paths:
            yield await self._storage.read(path.decode())

    async def complete(self, upload: PartialUpload, task_id: str | None) -> None:
        """Record that the whole body has been used, for a task or in vain, and delete its parts."""
        changes = {"is_complete": "1", **({} if task_id is None else {"task_id": task_id})}
        await cast("Awaitable[int]", self._redis.hset(_key(upload.id), mapping=changes))
        await self._redis.zrem(f"{INDEX}:{upload.party}", upload.id)
        await self._delete_parts(upload.id)

    async def delete(self, upload_id: str) -> None:
        """Delete an upload with its parts."""
        party = await cast("Awaitable[bytes | None]", self._redis.hget(_key(upload_id), "party"))
        await self._redis.delete(_key(upload_id))
        await self._delete_parts(upload_id)
        await self._redis.zrem(f"{INDEX}:{(party or b'').decode()}", upload_id)
        await self._redis.zrem(INDEX, upload_id)

    async def delete_expired(self) -> None:
        for upload_id in await self._redis.zrangebyscore(INDEX, "-inf", now_ms()):
            try:
                await self.delete(upload_id.decode())
            except StorageUnavailable as exc:
                logger.warning("upload %s could not be deleted, trying again in a minute: %s", upload_id.decode(), exc)

    async def _delete_parts(self, upload_id: str) -> None:
        await self._storage.delete_under(_folder(upload_id))
        await self._redis.delete(_parts(upload_id))


def _key(upload_id: str) -> str:
    return f"upload:{upload_id}"


def _parts(upload_id: str) -> str:
    return f"upload:{upload_id}:parts"


def _folder(upload_id: str) -> str:
    return f"partial/{upload_id}"
