"""X-Request-ID: each request has an id, the client's or one made here, that stands in the answer and in the log."""

import re
from collections.abc import Sequence
from uuid import uuid4

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.description import Header
from worker.telemetry import logs

HEADER = b"x-request-id"

DESCRIBED = Header(
    "X-Request-ID",
    "The request's own id, 1 to 64 letters, digits and `._~+/=:@-`, or else one made here.",
    "5d3c0f3e9b1f4c6f8a2d7e6b5c4a3f21",
)

_SANE = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,64}")
"""Harmless in a header, in a line of the log and in JSON; short, because every task's record keeps it."""


class RequestIds:
    """ASGI middleware, around everything else: answers to errors carry the id too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        request_id = given if _SANE.fullmatch(given) else uuid4().hex.encode()
        # Never reset: the server logs the request, and what broke it, after the application is done with it.
        logs.request_id.set(request_id.decode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id)]
            await send(message)

        await self._app(scope, receive, send_with_id)


REQUEST_HEADERS = (
    "Authorization",
    "Idempotency-Key",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Prefer",
    "Range",
    "X-Request-ID",
)
"""Beside those that every page may send: Accept, Content-Type and two more."""

RESPONSE_HEADERS = (
    "Accept-Ranges",
    "Content-Location",
    "Content-Range",
    "ETag",
    "Link",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
"""Beside those that every page may read: Content-Type, Content-Length, Last-Modified and more."""


def cross_origin(origins: Sequence[str], methods: Sequence[str]) -> Middleware:
    """Let pages of these origins use the API; without cookies, so that a page needs a key of its own."""
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=methods,
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
    )
