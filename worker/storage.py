"""Uploads and results behind one URL: a local directory, S3, Google Cloud Storage or Azure, by obstore.

Nothing half-written is ever visible: obstore writes aside and moves (local) or completes a multipart upload (S3).
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store, from_url

if TYPE_CHECKING:  # obstore has these in its stubs only
    from obstore import Attributes, BytesStream, ObjectMeta
    from obstore.store import ObjectStore

PART_BYTES = 5 * 1024 * 1024
"""Bytes held before they are written on; the smallest part that S3 takes in a multipart upload."""


CHUNK_BYTES = 256 * 1024
"""Bytes in one chunk of a download, and in one write of a result to a local file.

Linux finds memory for a file sooner in small pieces: 3 MB in one write took 4 to 6 ms of CPU time, in these 0.7.
"""


class StorageUnavailable(Exception):
    """The storage did not do what it was asked; the task or the request is not at fault."""


class Storage:
    """Objects by path. Every method raises `StorageUnavailable`; reading an absent path raises `FileNotFoundError`."""

    def __init__(self, url: str) -> None:
        # `automatic_cleanup` removes a directory with its last file.
        local = {"mkdir": True, "automatic_cleanup": True} if url.startswith("file:") else {}
        try:
            with _obstore_errors():
                self._store: ObjectStore = from_url(url, **local)  # type: ignore[call-overload]
        except StorageUnavailable as exc:
            raise StorageUnavailable(f"STORAGE_URL {url}: {exc}") from exc

    async def put(self, path: str, chunks: AsyncIterator[bytes], head: bytes = b"") -> None:
        """Store `head` and what `chunks` yields: at once if it is little, else as it comes; nothing if that raises."""
        held = [head]
        size = len(head)
        async for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            if size >= PART_BYTES:
                break
        else:
            await self._put_whole(path, held)
            return
        with _obstore_errors(), _nowhere_to_write():
            # One part in flight: more would let a slow storage pile a fast upload up in memory.
            await obstore.put_async(self._store, path, _chain(held, chunks), chunk_size=PART_BYTES, max_concurrency=1)

    async def put_bytes(self, path: str, data: bytes, media_type: str | None = None) -> None:
        """Store `data`; with its type where the store keeps one, which a local directory does not."""
        view = memoryview(data)
        chunks = [view[first : first + CHUNK_BYTES] for first in range(0, len(data), CHUNK_BYTES)]
        attributes: Attributes = {}
        if media_type is not None and not isinstance(self._store, LocalStore):
            attributes["Content-Type"] = media_type
        await self._put_whole(path, chunks, attributes)

    async def _put_whole(
        self, path: str, chunks: Sequence[bytes | memoryview], attributes: "Attributes | None" = None
    ) -> None:
        """Store chunks as one object; each is one write to a local file."""
        with _obstore_errors(), _nowhere_to_write():
            await obstore.put_async(self._store, path, chunks, attributes=attributes, use_multipart=False)

    async def read(self, path: str) -> bytes:
        with _obstore_errors():
            result = await obstore.get_async(self._store, path)
            return bytes(await result.bytes_async())

    async def stream(self, path: str, first: int, last: int) -> "BytesStream":
        """Open the bytes from `first` to `last`, both included as in HTTP, in chunks of `CHUNK_BYTES` or more."""
        with _obstore_errors():
            result = await obstore.get_async(self._store, path, options={"range": (first, last + 1)})
            return result.stream(CHUNK_BYTES)

    async def signed_url(self, path: str, life_s: int) -> str:
        """Return a signed URL of the object store, valid for GET for `life_s` seconds.

        It is computed from the credentials, 0.15 ms for S3, without checking that the object exists.
        """
        if not isinstance(self._store, (S3Store, GCSStore, AzureStore)):
            raise TypeError(f"{self._store!r} cannot sign URLs")
        with _obstore_errors():
            return await obstore.sign_async(self._store, "GET", path, timedelta(seconds=life_s))

    async def head(self, path: str) -> "ObjectMeta":
        with _obstore_errors():
            return await obstore.head_async(self._store, path)

    async def delete(self, path: str) -> None:
        """Remove an object, if it exists."""
        with suppress(FileNotFoundError), _obstore_errors():
            await obstore.delete_async(self._store, path)

    async def delete_under(self, prefix: str) -> None:
        """Remove every object whose path begins with the segments of `prefix`; others may remove them meanwhile."""
        with _obstore_errors():
            async for listed in obstore.list(self._store, prefix):
                paths = [meta["path"] for meta in listed]
                try:
                    await obstore.delete_async(self._store, paths)
                except FileNotFoundError:  # from a local directory: one is gone, and those after it were not removed
                    for path in paths:
                        await self.delete(path)

    async def check(self) -> None:
        """Write and remove a small object."""
        path = f"readiness/{uuid4()}"
        await self.put_bytes(path, b"ready")
        await self.delete(path)


async def _chain(head: Iterable[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in head:
        yield chunk
    async for chunk in rest:
        yield chunk


@contextmanager
def _obstore_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as exc:
        raise StorageUnavailable(str(exc).splitlines()[0]) from exc


@contextmanager
def _nowhere_to_write() -> Iterator[None]:
    """Raise `StorageUnavailable` for not found while writing: it is the bucket that does not exist."""
    try:
        yield
    except FileNotFoundError as exc:
        raise StorageUnavailable(str(exc).splitlines()[0]) from exc
