"""Storage of uploads and results in a local directory, S3, Google Cloud Storage or Azure, with obstore.

Partially written objects are never visible: obstore renames a temporary file (local) or completes a multipart upload
(S3).
"""

import asyncio
import logging
import math
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store, from_url

if TYPE_CHECKING:  # obstore defines these only in its stubs
    from obstore import Attributes, BytesStream, ObjectMeta
    from obstore.store import ObjectStore

logger = logging.getLogger(__name__)

PART_BYTES = 5 * 1024 * 1024
"""Size of the write buffer in bytes: the minimum part size of S3 multipart uploads."""


CHUNK_BYTES = 256 * 1024
"""Size in bytes of a chunk of a download, and of a write to a local file.

Linux allocates page cache faster in small pieces: 3 MB in one write took 4 to 6 ms of CPU time, in these pieces 0.7.
"""


class StorageUnavailable(Exception):
    """The storage failed; the request or the task is not the cause."""


class StorageFull(Exception):
    """The disk of a local storage has less free space than it must have for new uploads."""

    def __init__(self, least_mb: int) -> None:
        super().__init__(f"the disk of the storage has less than {least_mb:,} MB left")


SPACE_FRESH_S = 1.0


MAX_STORE_PATH = 900
"""Maximum length in characters of a client's path in a store; with a file name, object stores allow 1,024 bytes."""


class Storage:
    """Objects by path. All methods may raise `StorageUnavailable`, and reading a missing path `FileNotFoundError`."""

    def __init__(self, url: str, *, sync: bool = False) -> None:
        """With `sync`, writing to a local directory waits until the file is on disk; object stores always do."""
        obstore.put(MemoryStore(), "started", b"")  # start obstore's threads now: later there may be no memory for them
        # `automatic_cleanup` deletes empty directories.
        local = {"mkdir": True, "automatic_cleanup": True} if url.startswith("file:") else {}
        try:
            with _obstore_errors():
                self._store: ObjectStore = from_url(url, **local)  # type: ignore[call-overload]
        except StorageUnavailable as exc:
            raise StorageUnavailable(f"STORAGE_URL {url}: {exc}") from exc
        self.root = Path(unquote(urlsplit(url).path)) if url.startswith("file:") else None
        """The local directory; None for an object store."""
        self._synced = self.root if sync else None
        """The directory whose files are synced."""
        self._free_bytes, self._measured_s = math.inf, -math.inf
        """Free space on the disk of a local directory, and when it was measured (monotonic)."""
        self.is_local = isinstance(self._store, LocalStore)
        """Whether the storage is a local directory, which `read_sync` and `put_sync` need."""

    async def put(self, path: str, chunks: AsyncIterator[bytes], head: bytes = b"") -> None:
        """Store `head` and `chunks` as one object, streaming large ones; store nothing if `chunks` raises."""
        chunks_read = [head]
        size = len(head)
        async for chunk in chunks:
            chunks_read.append(chunk)
            size += len(chunk)
            if size >= PART_BYTES:
                break
        else:
            await self._put_whole(path, chunks_read)
            return
        with _obstore_errors(), _nowhere_to_write():
            # One part in flight: with more, a fast upload to a slow storage would fill the memory.
            await obstore.put_async(
                self._store, path, _chain(chunks_read, chunks), chunk_size=PART_BYTES, max_concurrency=1
            )
            await self._sync(path)

    async def put_bytes(self, path: str, data: bytes, media_type: str | None = None) -> None:
        """Store `data`, with its media type if the store supports one (a local directory does not)."""
        attributes: Attributes = {}
        if media_type is not None and not self.is_local:
            attributes["Content-Type"] = media_type
        await self._put_whole(path, _chunks(data), attributes)

    async def _sync(self, path: str) -> None:
        if self._synced is not None:
            await asyncio.to_thread(_sync_to_disk, self._synced, path)

    def put_sync(self, path: str, data: bytes) -> None:
        """Store `data` in a local directory, without an event loop: a third of the CPU time."""
        with _obstore_errors(), _nowhere_to_write():
            obstore.put(self._store, path, _chunks(data), use_multipart=False)
            if self._synced is not None:
                _sync_to_disk(self._synced, path)

    def read_sync(self, path: str) -> bytes:
        """Read from a local directory, without an event loop."""
        with _obstore_errors():
            return bytes(obstore.get(self._store, path).bytes())

    async def _put_whole(
        self, path: str, chunks: Sequence[bytes | memoryview], attributes: "Attributes | None" = None
    ) -> None:
        """Store chunks as one object, with one write per chunk to a local file."""
        with _obstore_errors(), _nowhere_to_write():
            await obstore.put_async(self._store, path, chunks, attributes=attributes, use_multipart=False)
            await self._sync(path)

    async def read(self, path: str) -> bytes:
        with _obstore_errors():
            result = await obstore.get_async(self._store, path)
            return bytes(await result.bytes_async())

    async def get(self, path: str) -> "tuple[ObjectMeta, bytes | BytesStream]":
        """Return the metadata of an object, and its bytes if it has at most `CHUNK_BYTES`, otherwise a stream of them.

        That is one request to an object store, and half of the CPU time that a small stream takes.
        """
        with _obstore_errors():
            result = await obstore.get_async(self._store, path)
            if result.meta["size"] <= CHUNK_BYTES:
                return result.meta, bytes(await result.bytes_async())
            return result.meta, result.stream(CHUNK_BYTES)

    async def chunks(self, path: str) -> tuple[int, AsyncIterator[bytes]]:
        """Return the size of an object in bytes, and its chunks, which may also raise `StorageUnavailable`."""
        meta, body = await self.get(path)
        return meta["size"], _bytes_of(body)

    async def stream(self, path: str, first: int, last: int) -> "BytesStream":
        """Read the bytes from `first` to `last`, both inclusive as in HTTP, in chunks of at least `CHUNK_BYTES`."""
        with _obstore_errors():
            result = await obstore.get_async(self._store, path, options={"range": (first, last + 1)})
            return result.stream(CHUNK_BYTES)

    async def signed_url(self, path: str, life_s: int) -> str:
        """Return a signed URL of the object store, valid for GET for `life_s` seconds.

        It is computed from the credentials (0.15 ms for S3) without checking that the object exists.
        """
        if not isinstance(self._store, (S3Store, GCSStore, AzureStore)):
            raise TypeError(f"{self._store!r} cannot sign URLs")
        with _obstore_errors():
            return await obstore.sign_async(self._store, "GET", path, timedelta(seconds=life_s))

    async def head(self, path: str) -> "ObjectMeta":
        with _obstore_errors():
            return await obstore.head_async(self._store, path)

    async def copy(self, path: str, target: str) -> None:
        """Copy an object without reading it: by a hard link in a local directory, or within the object store.

        An existing target is left as it is in a local directory: a link to a file that replaces one leaves a third.
        """
        with _obstore_errors(), suppress(AlreadyExistsError):
            await obstore.copy_async(self._store, path, target, overwrite=not self.is_local)
        await self._sync(target)

    async def delete(self, path: str) -> None:
        """Delete an object if it exists."""
        with suppress(FileNotFoundError), _obstore_errors():
            await obstore.delete_async(self._store, path)

    async def delete_under(self, prefix: str) -> None:
        """Delete all objects under the directory `prefix`; other processes may delete them at the same time."""
        with _obstore_errors():
            async for listed in obstore.list(self._store, prefix):
                paths = [meta["path"] for meta in listed]
                try:
                    await obstore.delete_async(self._store, paths)
                except FileNotFoundError:  # in a local directory, a missing file ends the deletion of the others
                    for path in paths:
                        await self.delete(path)

    async def require_space(self, least_mb: int) -> None:
        """Raise `StorageFull` if the disk of a local directory has less than `least_mb` free, by the last second."""
        if self.root is None or not least_mb:
            return
        if time.monotonic() - self._measured_s > SPACE_FRESH_S:
            self._measured_s = time.monotonic()
            with suppress(OSError):  # writing will report it
                self._free_bytes = (await asyncio.to_thread(shutil.disk_usage, self.root)).free
        if self._free_bytes < least_mb * 1_000_000:
            raise StorageFull(least_mb)

    async def check(self) -> None:
        """Write and delete a small object."""
        path = f"readiness/{uuid4()}"
        await self.put_bytes(path, b"ready")
        await self.delete(path)


def _sync_to_disk(root: Path, path: str) -> None:
    """Wait until a file and the directories that lead to it are on disk; obstore syncs nothing."""
    place = root / path
    while True:
        opened = os.open(place, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
        if place == root:
            return
        place = place.parent


def _chunks(data: bytes) -> list[memoryview]:
    view = memoryview(data)
    return [view[first : first + CHUNK_BYTES] for first in range(0, len(data), CHUNK_BYTES)]


async def _chain(head: Iterable[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in head:
        yield chunk
    async for chunk in rest:
        yield chunk


async def _bytes_of(body: "bytes | BytesStream") -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    with _obstore_errors():
        async for chunk in body:
            yield bytes(chunk)


@contextmanager
def _obstore_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as exc:
        raise StorageUnavailable(str(exc).splitlines()[0]) from exc
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # PyO3's, which is no Exception and cannot be imported
            raise
        # A panic, for want of memory or threads, leaves obstore unusable: stop this process, to be restarted.
        logger.critical("the storage library has crashed; stopping: %s", exc)
        os.kill(os.getpid(), signal.SIGTERM)
        raise StorageUnavailable("the storage library has crashed") from exc


@contextmanager
def _nowhere_to_write() -> Iterator[None]:
    """Raise `StorageUnavailable` if writing reports not found, because the bucket does not exist."""
    try:
        yield
    except FileNotFoundError as exc:
        raise StorageUnavailable(str(exc).splitlines()[0]) from exc


def upload_path(task_id: str) -> str:
    return f"uploads/{task_id}"


def overlay_path(task_id: str) -> str:
    return f"uploads/{task_id}.overlay"


def results_path(task_id: str) -> str:
    """Return the directory of a task's results in storage."""
    return f"processed/{task_id}"
