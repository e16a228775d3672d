"""Fetch uploads by URL and store them, within the limits of an upload."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import httpx2

from worker.errors import ErrorCode, PictureError, TaskFailed
from worker.imaging.formats import UnreadFormat
from worker.outbound.client import Refused
from worker.settings import Settings
from worker.storage import Storage, StorageUnavailable
from worker.tasks.files import LimitedBody, paced, store_upload
from worker.tasks.model import Fetched, Spec, Task

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 10.0
"""Limit from the DNS lookup to the response headers of the last redirect."""

MAX_CAUSE = 200
"""Maximum length in characters of a text of a server or a library in an error."""


class Fetcher:
    """Fetches uploads; one per worker process."""

    def __init__(
        self, settings: Settings, storage: Storage, outbound: httpx2.AsyncClient, stores: Mapping[str, Storage]
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._storage = storage
        self._outbound = outbound

    async def fetch(self, task: Task, spec: Spec) -> Fetched:
        """Stream a task's upload to storage and return its properties.

        The limits of bytes, pixels and time are those of uploads; nothing is stored of a rejected file. Raises
        `TaskFailed`, also if the operations do not allow the image, and `StorageUnavailable`.
        """
        if spec.store_path is None:
            fetched = await self._fetch(task, spec.url or "")
        else:
            fetched = await self._copy(task, spec.store_path)
        for name, variant in spec.plan.variants.items():
            for problem in variant.problems(fetched.source):
                field = f"variants.{name}.{problem.field}" if name else problem.field
                raise TaskFailed(ErrorCode.IMPOSSIBLE, f"{field}: {problem.message}")
        return fetched

    async def _copy(self, task: Task, store_path: str) -> Fetched:
        """Copy an upload from a delivery store, within the time of an upload."""
        timeout_s = self._settings.upload_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await self._copy_from(task, store_path)
        except TimeoutError as exc:
            raise _fetch_error(f"{store_path} was not read within {timeout_s:g} s") from exc

    async def _copy_from(self, task: Task, store_path: str) -> Fetched:
        name, _, path = store_path.partition("/")
        if name not in self._stores:
            raise _fetch_error(f"this worker has no store {name!r} in DELIVERY_STORES")
        try:
            size, chunks = await self._stores[name].chunks(path)
        except FileNotFoundError as exc:
            raise _fetch_error(f"the store {name} has no {path}") from exc
        except StorageUnavailable as exc:
            logger.warning("%s: the store %s cannot be read: %s", task.id, name, exc)
            raise _fetch_error(f"the store {name} cannot be read") from exc
        if size > self._settings.max_upload_bytes:
            raise _too_large(self._settings.max_upload_bytes)
        try:
            return await _store_body(chunks, f"the store {name}", self._storage, task.upload_path, self._settings)
        except PictureError as exc:
            raise TaskFailed(exc.code, str(exc)) from exc

    async def _fetch(self, task: Task, url: str) -> Fetched:
        host, timeout_s = urlsplit(url).hostname or "", self._settings.upload_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await _store(self._outbound, url, self._storage, task.upload_path, self._settings)
        except TimeoutError as exc:
            raise _fetch_error(f"{host} did not send the image within {timeout_s:g} s") from exc
        except Refused as exc:
            raise _fetch_error(f"the image was not fetched: its URL, or a redirect, {exc}") from exc
        except httpx2.RemoteProtocolError as exc:  # its message quotes what the server sent
            raise _fetch_error(f"the image could not be fetched from {host}: its answer is not valid HTTP") from exc
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            cause = str(exc)[:MAX_CAUSE] or "no answer"
            raise _fetch_error(f"the image could not be fetched from {host}: {cause}") from exc
        except PictureError as exc:
            raise TaskFailed(exc.code, str(exc)) from exc


def _fetch_error(message: str) -> TaskFailed:
    return TaskFailed(ErrorCode.FETCH, message)


def _too_large(max_bytes: int) -> TaskFailed:
    return TaskFailed(ErrorCode.TOO_LARGE, f"the image is too large; the limit is {max_bytes:,} bytes")


async def _store(client: httpx2.AsyncClient, url: str, storage: Storage, path: str, settings: Settings) -> Fetched:
    request = client.stream("GET", url, follow_redirects=True, headers={"Accept": "image/*"})
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await stack.enter_async_context(request)
        except TimeoutError as exc:
            raise _fetch_error(f"the image could not be fetched: no answer within {ANSWER_TIMEOUT_S:g} s") from exc
        if not answer.is_success:
            phrase = answer.reason_phrase[:MAX_CAUSE]
            raise _fetch_error(f"{answer.url.host} answered {answer.status_code} {phrase} instead of an image")
        max_bytes = settings.max_upload_bytes
        declared = answer.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            raise _too_large(max_bytes)
        return await _store_body(answer.aiter_raw(), answer.url.host, storage, path, settings)


async def _store_body(
    chunks: AsyncIterator[bytes], sender: str, storage: Storage, path: str, settings: Settings
) -> Fetched:
    """Store the chunks as the upload, within the limits of uploads."""
    max_bytes, min_bytes_s = settings.max_upload_bytes, settings.upload_min_bytes_s
    too_slow = _fetch_error(f"{sender} did not send the image at {min_bytes_s:,} bytes per second")
    body = LimitedBody(paced(chunks, min_bytes_s, too_slow), max_bytes, _too_large(max_bytes), is_hashed=True)
    try:
        source, size = await store_upload(body, storage, path, settings.input_formats, settings.limits)
    except UnreadFormat as exc:
        choices = ", ".join(known.value for known in settings.input_formats)
        what = f"a supported image but {exc.what}" if exc.what else "a supported image"
        raise _fetch_error(f"{sender} did not send {what}; supported formats: {choices}") from exc
    return Fetched(source, body.bytes, size, body.sha256)
