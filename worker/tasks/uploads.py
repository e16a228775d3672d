"""Store an upload, received or fetched by URL, after checking its head."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Collection

from worker.imaging.decoding import HEAD_BYTES, check_header
from worker.imaging.formats import InputFormat, sniff
from worker.imaging.guards import Limits
from worker.pixels.geometry import Size
from worker.storage import Storage

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

    def __init__(self, chunks: AsyncIterable[bytes], max_bytes: int, error: Exception) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._error = error
        self.chunks = self._limit(chunks)

    async def _limit(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.bytes += len(chunk)
            if self.bytes > self._max_bytes:
                raise self._error
            yield chunk


async def store_upload(
    body: LimitedBody, storage: Storage, path: str, formats: Collection[InputFormat], limits: Limits
) -> tuple[InputFormat, Size | None] | None:
    """Check the head of an upload, then stream it to storage; return its format and, if the head has it, its size.

    Returns None, and stores nothing, if its format is not one of `formats`. Raises `PictureError` for a
    header that is damaged or exceeds the limits, and `StorageUnavailable`.
    """
    head = b""
    async for chunk in body.chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    source = sniff(head, formats)
    if source is None:
        return None
    # In a thread, because the header of a hostile file can take a quarter of a second.
    size = await asyncio.to_thread(check_header, head, source, limits, is_whole=len(head) < HEAD_BYTES)
    await storage.put(path, body.chunks, head)
    return source, size
