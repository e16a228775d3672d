"""Sessions of the monitor: signing in with an admin key sets a cookie that scripts cannot read (HttpOnly).

Requests that change something need a second token in a header that other sites cannot set: the synchronizer token of
OWASP's Cross-Site Request Forgery Prevention Cheat Sheet.
"""

import hashlib
import hmac
import secrets
from typing import Any

import msgspec
from redis.asyncio import Redis
from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.http.exceptions import ReadOnlySession, WrongToken
from app.keys import Caller, Keys

COOKIE = "darkroom_session"
TOKEN_COOKIE = "darkroom_csrf"  # noqa: S105 - the name of a cookie
TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105 - the name of a cookie

LIFE_S = 43_200
"""Lifetime of a session in seconds: 12 hours, longer than a working day."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""


class Session(msgspec.Struct, frozen=True):
    """The session in Redis, stored under the hash of its id, so that reading Redis does not give access."""

    digest: str
    """The hash of the API key, as in `API_KEYS`; removing the key there ends the session."""
    token: str


class Sessions:
    """The sessions in Redis, shared by all API processes. Methods raise redis-py's errors when Redis is unavailable."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def admin(self, key: str) -> Caller | None:
        """Return the caller of an admin key, or None if the key is not valid or not an admin key."""
        caller = self._keys.caller(key)
        return caller if caller is not None and caller.is_admin else None

    async def open(self, key: str, response: Response, *, is_secure: bool) -> None:
        """Start a session and set its cookies in the response; with `is_secure`, browsers send them over HTTPS only."""
        session_id, token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        record = msgspec.json.encode(Session(hashlib.sha256(key.encode()).hexdigest(), token))
        await self._redis.set(_redis_key(session_id), record, ex=LIFE_S)
        for name, value, is_hidden in ((COOKIE, session_id, True), (TOKEN_COOKIE, token, False)):
            response.set_cookie(name, value, LIFE_S, secure=is_secure, httponly=is_hidden, samesite="strict")

    async def caller(self, connection: HTTPConnection[Any], *, is_read_only: bool) -> Caller | None:
        """Return the caller of the request's session, or None without a session.

        Raises `WrongToken` for a change without the session's token, and `ReadOnlySession` for any change if
        MONITOR_READ_ONLY is set.
        """
        session_id = connection.cookies.get(COOKIE)
        record = await self._redis.get(_redis_key(session_id)) if session_id else None
        if record is None:
            return None
        session = msgspec.json.decode(record, type=Session)
        if connection.scope["method"] not in SAFE_METHODS:
            if not hmac.compare_digest(connection.headers.get(TOKEN_HEADER, "").encode(), session.token.encode()):
                raise WrongToken
            if is_read_only:
                raise ReadOnlySession
        return self._keys.caller_of(bytes.fromhex(session.digest))

    async def close(self, connection: HTTPConnection[Any], response: Response) -> None:
        """End the session of a request and delete its cookies in the response."""
        if session_id := connection.cookies.get(COOKIE):
            await self._redis.delete(_redis_key(session_id))
        for name in (COOKIE, TOKEN_COOKIE):
            response.delete_cookie(name, samesite="strict")


def _redis_key(session_id: str) -> str:
    return f"session:{hashlib.sha256(session_id.encode()).hexdigest()}"
