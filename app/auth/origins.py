"""Checks of `Host` and `Origin` against DNS rebinding and cross-site request forgery.

Any web page can make the operator's browser send requests to 127.0.0.1. Without API keys, only these two checks
distinguish such a page from the operator.
"""

import re
from collections.abc import Sequence

import starlette.requests
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.access import HEALTH_PATHS, is_loopback
from app.auth.sessions import SAFE_METHODS
from app.http.exceptions import ForeignOrigin, HostNotAllowed
from app.http.problems import answer_to

ANY = "*"

FOREIGN_SITES = frozenset({"cross-site", "same-site"})
"""Values of `Sec-Fetch-Site` (W3C Fetch Metadata) of requests by pages of other origins."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")

_DEFAULT_PORTS = {"http": "80", "https": "443"}


class OriginPolicy:
    """Middleware that rejects requests to other host names, and changes requested by pages of other origins.

    It comes before every other middleware and route. A request has exactly one `Host` (RFC 9112, 3.2), or gets 400.

    | | without API keys | with API keys |
    |---|---|---|
    | `Host` | a loopback name or address, or one of `ALLOWED_HOSTS`; any for health checks | any, or one of those if `ALLOWED_HOSTS` is set |
    | a change (not GET, HEAD, OPTIONS) | `Origin` and `Sec-Fetch-Site` are absent, of this server, or of `CORS_ORIGINS` | the same, or the request has `Authorization` |
    """  # noqa: E501 - a table

    def __init__(
        self, app: ASGIApp, *, has_keys: bool, allowed_hosts: Sequence[str], cors_origins: Sequence[str]
    ) -> None:
        self._app = app
        self._has_keys = has_keys
        self._checks_host = ANY not in allowed_hosts and bool(allowed_hosts or not has_keys)
        self._hosts = frozenset(name.lower() for name in allowed_hosts)
        self._origins = frozenset(cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope, Headers(scope=scope))
            except (HTTPException, HostNotAllowed, ForeignOrigin) as exc:
                await (await answer_to(exc, starlette.requests.Request(scope)))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise `HTTPException`, `HostNotAllowed` or `ForeignOrigin` if the request is not allowed."""
        hosts = headers.getlist("host")
        if scope["path"] not in HEALTH_PATHS:  # a probe may use HTTP/1.0, which has no Host, or the server's address
            if len(hosts) != 1:
                raise HTTPException(400, "the request must have exactly one Host header (RFC 9112, 3.2)")
            if self._checks_host and not self._is_allowed(hosts[0]):
                raise HostNotAllowed(hosts[0])
        if scope["method"] in SAFE_METHODS or (self._has_keys and "authorization" in headers):
            return
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        if ANY in self._origins or (origins and self._origins.issuperset(origins)):
            return
        if FOREIGN_SITES.intersection(sites) or not all(_is_same(origin, hosts) for origin in origins):
            raise ForeignOrigin(", ".join(origins))

    def _is_allowed(self, host: str) -> bool:
        if (match := _HOST.fullmatch(host.lower())) is None:
            return False
        name = match[1].removesuffix(".")
        return name == "localhost" or name in self._hosts or is_loopback(name.strip("[]"))


def _is_same(origin: str, hosts: list[str]) -> bool:
    """Return whether an `Origin` has this server's host and port; the scheme may differ behind a TLS proxy."""
    scheme, _, place = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    return [_with_port(place, port)] == [_with_port(host.lower(), port) for host in hosts]


def _with_port(host: str, default: str | None) -> tuple[str, str | None] | None:
    match = _HOST.fullmatch(host)
    return match and (match[1], match[2] or default)
