"""Sessions of the monitor: an admin key, shown once, becomes a cookie that scripts cannot read.

Requests that change something carry a second token, in a header that pages elsewhere cannot set: the synchroniser token
of OWASP's Cross-Site Request Forgery Prevention Cheat Sheet.
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
TOKEN_COOKIE = "darkroom_csrf"  # noqa: S105 - a name
TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105 - a name

LIFE_S = 43_200
"""A working day, and some."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing (RFC 9110, 9.2.1)."""


class Session(msgspec.Struct, frozen=True):
    """What Redis keeps, under the hash of the session's id: who reads it there cannot act as it."""

    digest: str
    """The hash of the key, as `API_KEYS` has it: the session ends when the key is taken out there."""
    token: str


class Sessions:
    """In Redis, so that any API knows them. Methods raise redis-py's errors when Redis is away."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def admin(self, key: str) -> Caller | None:
        """Return the caller of an admin key, or None if it is not one."""
        caller = self._keys.caller(key)
        return caller if caller is not None and caller.is_admin else None

    async def open(self, key: str, response: Response, *, is_secure: bool) -> None:
        """Begin a session and give its cookies to the answer, to be sent back over https alone with `is_secure`."""
        session_id, token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        record = msgspec.json.encode(Session(hashlib.sha256(key.encode()).hexdigest(), token))
        await self._redis.set(_redis_key(session_id), record, ex=LIFE_S)
        for name, value, is_hidden in ((COOKIE, session_id, True), (TOKEN_COOKIE, token, False)):
            response.set_cookie(name, value, LIFE_S, secure=is_secure, httponly=is_hidden, samesite="strict")

    async def caller(self, connection: HTTPConnection[Any], *, is_read_only: bool) -> Caller | None:
        """Return whose session a request is of; None if of none.

        Raise `WrongToken` for one that would change something without the session's token, or `ReadOnlySession`.
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
        """End a request's session, and take its cookies away with the answer."""
        if session_id := connection.cookies.get(COOKIE):
            await self._redis.delete(_redis_key(session_id))
        for name in (COOKIE, TOKEN_COOKIE):
            response.delete_cookie(name, samesite="strict")


def _redis_key(session_id: str) -> str:
    return f"session:{hashlib.sha256(session_id.encode()).hexdigest()}"
