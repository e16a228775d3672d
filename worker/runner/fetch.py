"""Fetch uploads by URL and store them, within the limits of an upload."""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import httpx2

from worker.errors import ErrorCode, PictureError, TaskFailed, TaskStopped
from worker.imaging.formats import UnreadFormat
from worker.outbound.client import Refused
from worker.settings import Settings
from worker.storage import Storage
from worker.tasks.files import LimitedBody, paced, store_upload
from worker.tasks.model import Fetched, Spec, Task

ANSWER_TIMEOUT_S = 10.0
"""Limit from the DNS lookup to the response headers of the last redirect."""

MAX_CAUSE = 200
"""Maximum length in characters of a text of a server or a library in an error."""


class Fetcher:
    """Fetches uploads; one per worker process."""

    def __init__(self, settings: Settings, storage: Storage, outbound: httpx2.AsyncClient) -> None:
        self._settings = settings
        self._storage = storage
        self._outbound = outbound
        self._running: dict[str, asyncio.Task[Fetched]] = {}

    async def fetch(self, task: Task, spec: Spec) -> Fetched:
        """Stream a task's upload to storage and return its properties.

        The limits of bytes, pixels and time are those of uploads; nothing is stored of a rejected file. Raises
        `TaskFailed`, also if the operations do not allow the image, `StorageUnavailable`, and `TaskStopped` after
        `stop`.
        """
        run = self._running[task.id] = asyncio.create_task(self._fetch(task, spec.url or ""))
        try:
            fetched = await run
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise TaskStopped from None
        finally:
            del self._running[task.id]
        for name, variant in spec.plan.variants.items():
            for problem in variant.problems(fetched.source):
                field = f"variants.{name}.{problem.field}" if name else problem.field
                raise TaskFailed(ErrorCode.PICTURE, f"{field}: {problem.message}")
        return fetched

    def stop(self, task_id: str) -> None:
        """Cancel the fetch of a task, if there is one."""
        if task_id in self._running:
            self._running[task_id].cancel()

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
            raise TaskFailed(ErrorCode.PICTURE, str(exc)) from exc


def _fetch_error(message: str) -> TaskFailed:
    return TaskFailed(ErrorCode.FETCH, message)


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
        too_large = _fetch_error(f"the image is too large; the limit is {max_bytes:,} bytes")
        declared = answer.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            raise too_large
        min_bytes_s = settings.upload_min_bytes_s
        too_slow = _fetch_error(f"{answer.url.host} did not send the image at {min_bytes_s:,} bytes per second")
        body = LimitedBody(paced(answer.aiter_raw(), min_bytes_s, too_slow), max_bytes, too_large)
        try:
            source, size = await store_upload(body, storage, path, settings.input_formats, settings.limits)
        except UnreadFormat as exc:
            choices = ", ".join(known.value for known in settings.input_formats)
            what = f"a supported image but {exc.what}" if exc.what else "a supported image"
            raise _fetch_error(f"{answer.url.host} did not send {what}; supported formats: {choices}") from exc
        return Fetched(source, body.bytes, size, body.sha256)
