"""Where clients want the results besides this server's storage: presigned URLs, and stores that the operator lists."""

import asyncio
import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from worker.errors import ErrorCode, TaskFailed
from worker.imaging.formats import media_type_of
from worker.outbound.client import Refused
from worker.outbound.shares import NoPlace, Shares
from worker.storage import Storage, StorageUnavailable
from worker.tasks.model import OutputRecord, Spec, Task

logger = logging.getLogger(__name__)

SENDS = 64
"""Tasks whose results a worker sends at the same time."""

SENDS_PER_HOST = 16

SEND_TIMEOUT_S = 60.0
"""Maximum time to send one result."""

MAX_TRIES = 10
"""Tries to send the results of a task, after 1, 2, 4, ... seconds, at most 60: five minutes in total."""

TEMPORARY = {408, 425, 429}
"""Status codes below 500 after which another try may succeed (RFC 9110, RFC 8470, RFC 6585)."""

AZURE_BLOBS = ".blob.core.windows.net"


class NotSent(Exception):
    """The results could not be sent now; another try may succeed."""

    def __init__(self, message: str, *, was_tried: bool = True) -> None:
        super().__init__(message)
        self.was_tried = was_tried
        self.outputs: dict[str, OutputRecord] = {}


class Destinations:
    """Sends results; one per worker process."""

    def __init__(self, stores: Mapping[str, Storage], storage: Storage, outbound: httpx2.AsyncClient) -> None:
        self._stores = stores
        self._storage = storage
        self._outbound = outbound
        self._places = Shares(SENDS, SENDS_PER_HOST)

    async def send(self, task: Task, spec: Spec, outputs: dict[str, OutputRecord]) -> None:
        """Send all results of a task to its destinations.

        A result replaces what is there, so that sending may be repeated. Raises `NotSent`, with the outputs, and
        `TaskFailed` if another try cannot succeed or there were `MAX_TRIES`.
        """
        try:
            await self._send(spec, outputs)
        except FileNotFoundError as exc:
            raise _failed("it is missing from storage") from exc
        except NotSent as exc:
            if exc.was_tried and task.sends + 1 >= MAX_TRIES:
                raise _failed(str(exc)) from exc
            exc.outputs = outputs
            raise

    async def _send(self, spec: Spec, outputs: Mapping[str, OutputRecord]) -> None:
        hosts = {urlsplit(url).hostname or "" for url in spec.output_urls.values()}
        party = next(iter(hosts), spec.output_prefix or "")
        try:
            async with self._places.place(party, 0):
                for name, url in spec.output_urls.items():
                    await self._put(url, outputs[name])
                for output in outputs.values() if spec.output_prefix else ():
                    await self._store(f"{spec.output_prefix}/{output.path.rpartition('/')[2]}", output)
        except NoPlace:
            raise NotSent(f"too many results are being sent to {party}", was_tried=False) from None

    async def _put(self, url: str, output: OutputRecord) -> None:
        host = urlsplit(url).hostname or ""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                size, content = await self._storage.chunks(output.path)
                headers = {"Content-Type": media_type_of(output.format), "Content-Length": str(size)}
                if host.endswith(AZURE_BLOBS):
                    headers["x-ms-blob-type"] = "BlockBlob"
                async with self._outbound.stream("PUT", url, content=content, headers=headers) as answer:
                    status, phrase = answer.status_code, answer.reason_phrase[:100]
        except Refused as exc:
            raise _failed(f"its output_url {exc}") from exc
        except StorageUnavailable as exc:
            raise NotSent("storage is not available") from exc
        except (TimeoutError, httpx2.HTTPError) as exc:
            raise NotSent(f"{host} did not take the result: {str(exc)[:200] or type(exc).__name__}") from exc
        if status in TEMPORARY or status >= 500:
            raise NotSent(f"{host} answered {status} {phrase}")
        if not 200 <= status < 300:
            raise _failed(f"{host} answered {status} {phrase}")

    async def _store(self, place: str, output: OutputRecord) -> None:
        name, _, path = place.partition("/")
        if name not in self._stores:
            raise _failed(f"this worker has no store {name!r} in DELIVERY_STORES")
        try:
            data = await self._storage.read(output.path)
            await self._stores[name].put_bytes(path, data, media_type_of(output.format))
        except StorageUnavailable as exc:
            logger.warning("the store %s did not take a result: %s", name, exc)
            raise NotSent(f"the store {name} did not take the result") from exc


def _failed(message: str) -> TaskFailed:
    return TaskFailed(ErrorCode.DELIVERY, f"the result was not delivered: {message}")
