"""Middleware for request ids (`X-Request-ID`, in responses and logs) and for CORS."""

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
    "The id of the request: that of the client, if it is 1 to 64 letters, digits and `._~+/=:@-`, or a new one.",
    "5d3c0f3e9b1f4c6f8a2d7e6b5c4a3f21",
)

_SAFE_ID = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,64}")
"""Request ids that are safe in headers, log lines and JSON, and short, because each task record stores one."""


class RequestIds:
    """The outermost ASGI middleware, so that error responses have the id as well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent_id = next((value for name, value in scope["headers"] if name == HEADER), b"")
        request_id = sent_id if _SAFE_ID.fullmatch(sent_id) else uuid4().hex.encode()
        # Never reset: the server logs the request and its errors after the application has returned.
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
    "Upload-Complete",
    "Upload-Draft-Interop-Version",
    "Upload-Length",
    "Upload-Offset",
    "X-Request-ID",
)
"""Request headers allowed for CORS, in addition to the safelisted ones such as Accept and Content-Type."""

RESPONSE_HEADERS = (
    "Accept-Ranges",
    "Content-Location",
    "Content-Range",
    "ETag",
    "Link",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "Upload-Complete",
    "Upload-Limit",
    "Upload-Offset",
    "WWW-Authenticate",
    "X-Request-ID",
)
"""Response headers exposed for CORS, in addition to the safelisted ones such as Content-Type and Last-Modified."""


def cross_origin(origins: Sequence[str], methods: Sequence[str]) -> Middleware:
    """Return CORS middleware for these origins, without credentials, so that a page needs its own API key."""
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=methods,
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
    )
