"""`python -m app.server` serves the API in production, with the options of uvicorn (`--host`, `--port`, `--workers`).

uvicorn does not limit the size and the time of a request's head, nor of the trailers of a chunked body.
`BoundedProtocol` does, before the application sees the request.
"""

import asyncio
import os
import resource
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
import uvicorn
import uvicorn.main
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.problems import BY_STATUS, PROBLEM_JSON, ProblemDocument
from worker.telemetry.logs import UVICORN_JSON, LogFormat

MAX_HEAD_BYTES = 64 * 1024
"""Maximum size of a request head (request line and header fields), of trailers and of chunk extensions."""

MAX_TARGET_BYTES = 8 * 1024
"""Maximum size of a request target (path and query)."""

HEAD_TIMEOUT_S = 15.0
"""Maximum time for a request head, from the start of the connection or the end of the previous response."""

DRAIN_TIMEOUT_S = 120.0
"""Maximum time for the rest of a body after its response; many clients only read the response then."""

LINGER_TIMEOUT_S = 5.0
"""Time for a rejected client to stop sending; closing with unread bytes resets the socket and loses the response."""


MAX_CONNECTIONS = 4096
"""Maximum number of connections of a process, if it may have enough file descriptors."""

RESERVED_DESCRIPTORS = 64
"""File descriptors for Redis, storage and the process itself."""


def max_connections() -> int:
    """Return the maximum number of connections, of which each may need a second descriptor for a file."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MAX_CONNECTIONS, max(1, (descriptors - RESERVED_DESCRIPTORS) // 2))


class _Refused(Exception):
    """Raised to stop the parser; `BoundedProtocol` has the status of the response."""


class _LingeringTransport:
    """A transport whose `close` leaves a client that is still sending time to read its response."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with limits on the size and the time of request heads.

    It responds with 431 to a head over `MAX_HEAD_BYTES`, 414 to a target over `MAX_TARGET_BYTES` and 408 after
    `HEAD_TIMEOUT_S`. It closes a silent connection without a response. Beyond `max_connections`, a new connection
    replaces the one that has waited longest for a request; if all have one, the new connection gets 503.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _LingeringTransport(transport, self._close)  # type: ignore[assignment] # for `cycle`
        self._close_now = transport.close
        self._field_bytes = 0
        """Size of the request line and header fields, or of the trailers, received so far."""
        self._unparsed_bytes = 0
        """Number of bytes received since the end of a head, a message or a part of a body."""
        self._is_in_head = self._is_in_body = self._is_refused = False
        self._status = HTTPStatus.BAD_REQUEST
        """The status of the response to a request that cannot be parsed."""
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._on_timeout)
        if len(self.connections) > max_connections():
            self._make_room()

    def _make_room(self) -> None:
        others = [each for each in self.connections if isinstance(each, BoundedProtocol) and each is not self]
        idle = [each for each in others if each.has_no_request() and not each.transport.is_closing()]
        if idle:
            min(idle, key=lambda each: each.idle_until).transport.abort()
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            self._close_now()

    def has_no_request(self) -> bool:
        """Return whether the connection waits for the head of a request, or for the rest of it."""
        return not self._is_in_body and (self.cycle is None or self.cycle.response_complete)

    @property
    def idle_until(self) -> float:
        """When the connection is closed if nothing arrives, by the clock of the event loop."""
        return self._timer.when()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._unparsed_bytes > MAX_HEAD_BYTES and not self._is_refused:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._is_in_head, self._field_bytes = True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if len(self.url) + len(url) > MAX_TARGET_BYTES:
            self._status = HTTPStatus.REQUEST_URI_TOO_LONG
            raise _Refused
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + len(b": \r\n"))
        if self._is_in_head:  # trailers are counted and ignored
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head, self._is_in_body = False, True
        self._field_bytes = self._unparsed_bytes = 0
        self._timer.cancel()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_in_body, self._unparsed_bytes = False, 0
        super().on_message_complete()
        if self.cycle.response_complete:
            self._await_head()

    def _close(self) -> None:
        """Close the connection, or only our side while the rest of a body arrives (RFC 9112, 9.6)."""
        if self._is_in_body and not (self._is_refused or self.transport.is_closing()):
            self._is_refused = True
            self.flow.resume_reading()
            self._linger()
        else:
            self._close_now()

    def _linger(self) -> None:
        self.transport.write_eof()
        self._timer.cancel()
        self._timer = self.loop.call_later(LINGER_TIMEOUT_S, self._close_now)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self._is_refused:  # otherwise the next request has started
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Respond to a request that the parser or a callback of this class has rejected."""
        self._refuse(self._status, msg if self._status is HTTPStatus.BAD_REQUEST else "")

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > MAX_HEAD_BYTES:
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _Refused

    def _await_head(self) -> None:
        self._timer.cancel()
        self._timer = self.loop.call_later(DRAIN_TIMEOUT_S if self._is_in_body else HEAD_TIMEOUT_S, self._on_timeout)

    def _on_timeout(self) -> None:
        if self._is_in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._close_now()

    def _refuse(self, status: HTTPStatus, detail: str = "") -> None:
        """Send an error response, unless there is one already, and close the connection."""
        self._is_refused = True
        can_answer = not (self.cycle.response_started or self.pipeline) if self._is_in_body else self.has_no_request()
        if not can_answer or self.transport.is_closing():
            self._close_now()
            return
        self.transport.write(_response(status, detail or _DETAILS[status]))
        self._linger()


_DETAILS = {
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: f"the head of a request must have at most {MAX_HEAD_BYTES:,} bytes, "
    "and so must its trailers",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"the path and query of a request must have at most {MAX_TARGET_BYTES:,} bytes",
    HTTPStatus.SERVICE_UNAVAILABLE: "the server has as many connections as it may have; try again later",
    HTTPStatus.REQUEST_TIMEOUT: f"the head of the request did not arrive within {HEAD_TIMEOUT_S:g} s",
}


def _response(status: HTTPStatus, detail: str) -> bytes:
    body = msgspec.json.encode(ProblemDocument(BY_STATUS, status.phrase, status, detail))
    retry = "retry-after: 1\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
        f"{retry}connection: close\r\n\r\n"
    )
    return head.encode() + body


def server_config(app: Any, **options: Any) -> uvicorn.Config:
    """Return uvicorn's configuration for serving an application with `BoundedProtocol`."""
    return uvicorn.Config(app, http=BoundedProtocol, ws="none", **options)


def main() -> None:
    options = ["--http", "app.server:BoundedProtocol", "--ws", "none"]
    if os.environ.get("LOG_FORMAT") == LogFormat.JSON:  # also for what uvicorn logs before it imports the application
        options += ["--log-config", str(UVICORN_JSON)]
    options += sys.argv[1:]
    uvicorn.main.main(["app.main:app", *options], prog_name="python -m app.server")


if __name__ == "__main__":
    main()
