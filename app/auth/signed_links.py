"""Links to results that need no key: signed with HMAC-SHA256 (RFC 2104), and good until a time that they say."""

import base64
import hashlib
import hmac
import logging
import re
import secrets
import time
from urllib.parse import quote

from redis.asyncio import Redis

from app.http.exceptions import LinkRefused

SECRET = "links:secret"  # noqa: S105 - the name of its key in Redis
"""Made by the first API that needs it; the same for all of them, and after a restart."""

SECRET_BYTES = 32


class Links:
    """Makes and checks signatures; asks Redis for their secret once."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._secret: bytes | None = None

    async def link(self, result_path: str, expires_s: int) -> str:
        """Return the path and query under which anybody may get a result until `expires_s` (Unix seconds)."""
        path = f"/{result_path}"
        return f"{quote(path)}?expires={expires_s}&signature={await self._signature(path, str(expires_s))}"

    async def check(self, path: str, expires: str, signature: str) -> int:
        """Return how many seconds a link to `path` is still good; raise `LinkRefused` for a wrong or an old one."""
        if not hmac.compare_digest((await self._signature(path, expires)).encode(), signature.encode()):
            raise LinkRefused("the link is not one of this server's, or was changed")
        left_s = int(expires) - int(time.time())
        if left_s <= 0:
            raise LinkRefused("the link has expired; request a new one")
        return left_s

    async def _signature(self, path: str, expires: str) -> str:
        while self._secret is None:
            await self._redis.set(SECRET, secrets.token_bytes(SECRET_BYTES), nx=True)
            self._secret = await self._redis.get(SECRET)
        digest = hmac.digest(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class WithoutSignatures(logging.Filter):
    """Removes signatures from the request lines that uvicorn logs: anyone who reads one could use it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                re.sub(r"(?<=signature=)[^&\s]+", "...", arg) if isinstance(arg, str) else arg for arg in record.args
            )
        return True


WITHOUT_SIGNATURES = WithoutSignatures()
