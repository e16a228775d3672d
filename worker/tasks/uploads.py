"""Store an upload, received or fetched by URL, after checking its head."""

from collections.abc import AsyncIterable, AsyncIterator, Collection

from worker.imaging.decoding import HEAD_BYTES, check_header
from worker.imaging.formats import InputFormat, sniff
from worker.imaging.guards import Limits
from worker.pixels.geometry import Size
from worker.storage import Storage


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
    size = check_header(head, source, limits, is_whole=len(head) < HEAD_BYTES)
    await storage.put(path, body.chunks, head)
    return source, size
