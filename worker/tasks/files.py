"""The files of a task: store an upload after checking its head, and delete uploads, overlays and results."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterable, AsyncIterator, Collection

from worker.imaging.decoding import HEAD_BYTES, check_header
from worker.imaging.formats import InputFormat, UnreadFormat, describe_unread, sniff
from worker.imaging.guards import Limits
from worker.pixels.geometry import Size
from worker.storage import Storage, StorageUnavailable, overlay_path, results_path, upload_path

logger = logging.getLogger(__name__)

GRACE_S = 5.0
"""Time for which an upload may be slower than the minimum rate, or silent."""


async def paced(chunks: AsyncIterator[bytes], min_bytes_s: int, error: Exception) -> AsyncIterator[bytes]:
    """Yield the chunks of an upload; raise `error` when the sender falls `GRACE_S` behind `min_bytes_s` (0: never).

    The time in which the receiver handles a chunk does not count.
    """
    clock, left_s = asyncio.get_running_loop().time, GRACE_S
    while True:
        began = clock()
        try:
            async with asyncio.timeout(left_s if min_bytes_s else None):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise error from None
        if chunk is None:
            return
        if min_bytes_s:
            left_s = min(GRACE_S, left_s - (clock() - began) + len(chunk) / min_bytes_s)
        yield chunk


class LimitedBody:
    """The chunks of an upload; raises `error` after `max_bytes`. `bytes` is the number of bytes read."""

    def __init__(
        self, chunks: AsyncIterable[bytes], max_bytes: int, error: Exception, *, is_hashed: bool = False
    ) -> None:
        self.bytes = 0
        self._digest = hashlib.sha256() if is_hashed else None
        self._max_bytes = max_bytes
        self._error = error
        self.chunks = self._limit(chunks)

    async def _limit(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.bytes += len(chunk)
            if self.bytes > self._max_bytes:
                raise self._error
            if self._digest is not None:
                self._digest.update(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """The digest of the bytes read; empty unless `is_hashed`, which takes 0.6 ms for a megabyte."""
        return "" if self._digest is None else self._digest.hexdigest()


async def store_upload(
    body: LimitedBody, storage: Storage, path: str, formats: Collection[InputFormat], limits: Limits
) -> tuple[InputFormat, Size | None]:
    """Check the head of an upload, then stream it to storage; return its format and, if the head has it, its size.

    Raises `UnreadFormat`, and stores nothing, if its format is not one of `formats`. Raises `PictureError` for a
    header that is damaged or exceeds the limits, and `StorageUnavailable`.
    """
    head = b""
    async for chunk in body.chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    source = sniff(head, formats)
    if source is None:
        raise UnreadFormat(describe_unread(head))
    # In a thread, because the header of a hostile file can take a quarter of a second.
    size = await asyncio.to_thread(check_header, head, source, limits, is_whole=len(head) < HEAD_BYTES)
    await storage.put(path, body.chunks, head)
    return source, size


async def remove_files(storage: Storage, task_id: str) -> None:
    """Delete all files of a task, or raise `StorageUnavailable`."""
    await _remove_uploads(storage, task_id)
    await storage.delete_under(results_path(task_id))


async def delete_files(storage: Storage, task_id: str) -> None:
    """Delete all files of a task; log a failure."""
    try:
        await remove_files(storage, task_id)
    except StorageUnavailable as exc:
        logger.warning("%s: cannot delete its files: %s", task_id, exc)


async def delete_uploads(storage: Storage, task_id: str) -> None:
    """Delete a task's upload and overlay; log a failure, in which case they stay until the task is deleted."""
    try:
        await _remove_uploads(storage, task_id)
    except StorageUnavailable as exc:
        logger.warning("%s: cannot delete its upload: %s", task_id, exc)


async def _remove_uploads(storage: Storage, task_id: str) -> None:
    await asyncio.gather(storage.delete(upload_path(task_id)), storage.delete(overlay_path(task_id)))
