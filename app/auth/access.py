"""Authentication and authorization of requests, by API key, session or the address of the server."""

import re
from functools import lru_cache
from ipaddress import ip_address

import starlette.requests
from redis.exceptions import RedisError
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.sessions import Sessions
from app.http.exceptions import AdminOnly, NotServedHere, ReadOnlySession, Unauthorized, WrongToken
from app.http.problems import answer_to
from app.keys import NOBODY, Caller, Keys


class Access:
    """Middleware that sets `request.state["caller"]`, or answers a request that is not allowed.

    With API keys, requests need `Authorization: Bearer` (RFC 6750) or a session of the monitor; without, they are
    accepted only at a loopback address.
    """

    def __init__(self, app: ASGIApp, *, keys: Keys | None, is_read_only: bool) -> None:
        self._app = app
        self._keys = keys
        self._is_read_only = is_read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if self._keys is None:
                _check_address(scope, path)
            else:
                scope["state"]["caller"] = await self._caller(HTTPConnection(scope), path, self._keys)
        except (Unauthorized, AdminOnly, NotServedHere, WrongToken, ReadOnlySession, RedisError) as exc:
            await (await answer_to(exc, starlette.requests.Request(scope)))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _caller(self, connection: HTTPConnection, path: str, keys: Keys) -> Caller:
        """Return the caller; raise `Unauthorized`, `AdminOnly` or an error of `Sessions` if that is not allowed."""
        if path in PUBLIC_PATHS or path.startswith(PUBLIC_FILES):
            return NOBODY
        if path.startswith(LINKED_PATHS) and "signature" in connection.query_params:
            return NOBODY  # the route then checks the signed link
        header = connection.headers.get("authorization")
        if header is None:
            sessions: Sessions = connection.scope["state"]["sessions"]
            caller = await sessions.caller(connection, is_read_only=self._is_read_only)
        else:
            # RFC 6750, 2.1; the scheme is case-insensitive (RFC 9110, 11.1).
            match = re.fullmatch(r"bearer +([\w.~+/-]+=*)[ \t]*", header, re.IGNORECASE | re.ASCII)
            caller = keys.caller(match[1]) if match is not None else None
        if caller is None:
            raise Unauthorized(is_given=header is not None)
        if path in ADMIN_PATHS and not caller.is_admin:
            raise AdminOnly
        return caller


def _check_address(scope: Scope, path: str) -> None:
    """Raise `NotServedHere` for a request to an address that other machines can reach."""
    server = scope.get("server")  # None for a Unix socket
    if server is not None and not is_loopback(server[0]) and path not in HEALTH_PATHS:
        raise NotServedHere


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a listening address."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


HEALTH_PATHS = frozenset({"/livez", "/readyz"})
"""Paths for load balancers, which have no key and run on other machines."""

PUBLIC_PATHS = HEALTH_PATHS | {
    "/",
    "/monitor",
    "/operations",
    "/presets",
    "/session",
    "/openapi.json",
    "/docs",
    "/postman.json",
    "/llms.txt",
}
"""Paths that need no API key: public ones, and the sign-in of the monitor."""

PUBLIC_FILES = "/static/"
"""Prefix of the static files of the web pages."""

ADMIN_PATHS = frozenset({"/metrics", "/stats", "/workers", "/queue", "/queue/pause", "/queue/resume"})
"""Paths that read or change the tasks of all owners and need the admin right."""

LINKED_PATHS = "/processed/"
"""Prefix of the paths that a signed link can open without an API key."""
