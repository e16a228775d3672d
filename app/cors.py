"""Cross-origin requests: what pages that are served elsewhere may send and read (WHATWG Fetch, 3.3)."""

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from app.routes import ROUTES

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


def cross_origin(origins: tuple[str, ...]) -> Middleware:
    """Let pages of these origins use the API; without cookies, so that a page needs a key of its own."""
    methods = sorted({method for route in ROUTES if isinstance(route, Route) for method in route.methods or ()})
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=methods,
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
    )
